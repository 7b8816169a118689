"""Several functions of a model as programs of another runtime, in one folder."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from mlkit.core import tree
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FilePath
from mlkit.export.files import total_bytes
from mlkit.export.model_export import SUFFIXES, located, model_signature, signature, summary, write
from mlkit.layers.layer import Layer
from mlkit.objects.variable import Variable
from mlkit.utils.atomic import arriving
from mlkit.utils.console import print_message

__all__ = ["ExportArchive"]

INDEX = "endpoints.json"


class ExportArchive:
    """Collects functions, such as a model's call and its encoder alone, and writes each as a program.

    Args:
        format: "onnx", "litert", "stablehlo" or "openvino". (Keras's default, "saved_model", is TensorFlow's and refused.)

    >>> import mlkit, os, tempfile
    >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(2)])
    >>> archive = mlkit.export.ExportArchive()
    >>> archive.track(model)
    >>> _ = archive.add_endpoint("serve", model)
    >>> twice = lambda x: {"double": 2 * model(x)}
    >>> _ = archive.add_endpoint("twice", twice, input_signature=[mlkit.InputSpec(shape=(None, 4), dtype="float32")])
    >>> folder = os.path.join(tempfile.mkdtemp(), "net")
    >>> archive.write_out(folder, verbose=False)
    >>> sorted(os.listdir(folder))
    ['endpoints.json', 'serve.onnx', 'twice.onnx']
    """

    def __init__(self, format: str = "onnx"):
        self.format = located("archive.xml", "tf_saved_model" if format == "saved_model" else format)[1]
        self._tracked: list[Layer] = []
        self._endpoints: dict[str, tuple[Callable[..., Any], Any]] = {}

    def track(self, resource: Layer) -> None:
        """Note a layer or model whose variables endpoints use; layers that are endpoints themselves are noted in any case.

        Raises:
            ValueError: It is no layer, or has no weights yet.
        """
        if not isinstance(resource, Layer):
            raise ValueError(f"ExportArchive: only layers and models can be tracked, but got {type(resource).__name__}.")
        if not resource.built:
            raise ValueError(f"ExportArchive: {resource.name!r} is not built: call it once, so that it has its weights.")
        if all(resource is not r for r in self._tracked):
            self._tracked.append(resource)

    @property
    def variables(self) -> list[Variable]:
        """Of all that is tracked."""
        return list({id(v): v for r in self._tracked for v in r.variables}.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of `variables` that are trained."""
        return [v for v in self.variables if v.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Those of `variables` that are not trained."""
        return [v for v in self.variables if not v.trainable]

    def add_endpoint(self, name: str, fn: Callable[..., Any], input_signature: Any = None) -> Callable[..., Any]:
        """Add a function; it is traced when the archive is written, with the weights of then.

        Args:
            name: Of its file.
            fn: Function of tensors, or a layer or model, which is called with ``training=False``. A dict that it returns names the outputs.
            input_signature: List of one `InputSpec`, tensor or structure of them for each argument; a model made of KerasTensors
                tells its own.

        Returns:
            `fn`.

        Raises:
            ValueError: The name is taken or no name of a file, or arguments are not known.
        """
        if not name or name in self._endpoints or os.path.basename(name) != name or name.startswith("."):
            raise ValueError(f"ExportArchive: {name!r} cannot be the name of an endpoint. There are: {list(self._endpoints)}.")
        if not callable(fn):
            raise ValueError(f"ExportArchive: endpoint {name!r} must be a function, but is {type(fn).__name__}.")
        if isinstance(fn, Layer):
            self.track(fn)
        if input_signature is None and getattr(fn, "_graph", None) is None:
            raise ValueError(
                f"ExportArchive: endpoint {name!r} does not tell its arguments. Pass input_signature=[mlkit.InputSpec(shape=(None, "
                "...), dtype=...)], or one for each argument."
            )
        if input_signature is not None and not isinstance(input_signature, (list, tuple)):
            raise ValueError(
                f"ExportArchive: `input_signature` must be a list, one for each argument, but is {input_signature!r}."
            )
        self._endpoints[name] = fn, input_signature
        return fn

    def track_and_add_endpoint(self, name: str, resource: Layer, input_signature: Any) -> Callable[..., Any]:
        """`track` and `add_endpoint` in one."""
        self.track(resource)
        return self.add_endpoint(name, resource, input_signature)

    def add_variable_collection(self, name: str, variables: Any) -> None:
        """Not possible: programs hold weights as constants."""
        raise NotImplementedError(
            f"ExportArchive: variables cannot be had from a program of format {self.format!r}, where they are constants. Save them: "
            "model.save('net.keras')."
        )

    def write_out(self, filepath: FilePath, options: Mapping[str, Any] | None = None, verbose: bool = True) -> None:
        """Write a folder with a file for each endpoint, each with the weights that it uses, and `endpoints.json`, which tells them.

        Every file is compared as `Model.export` does. The folder appears when all are written; an archive that is there is replaced.

        Args:
            filepath: Of the folder.
            options: Those of the format, as `Model.export` takes them.
            verbose: Whether to print what was written.

        Raises:
            ValueError: There are no endpoints.
            FileExistsError: Something that is no archive is there.
            NotImplementedError, RuntimeError: As `Model.export`; nothing is written then.
        """
        if not self._endpoints:
            raise ValueError("ExportArchive: there is nothing to write. Add an endpoint: archive.add_endpoint('serve', model).")
        path = os.path.abspath(os.fspath(filepath))
        located(path, self.format) if self.format != "openvino" else located(f"{path}.xml", self.format)
        if os.path.lexists(path) and not os.path.isfile(os.path.join(path, INDEX)):
            raise FileExistsError(f"ExportArchive: {path!r} is there, and is no archive that could be replaced.")
        suffix = next(s for s, format in SUFFIXES.items() if format == self.format)
        with arriving(path) as part:
            os.mkdir(part)
            told = {}
            for name, (fn, given) in self._endpoints.items():
                file = os.path.join(part, name + suffix)
                told[name] = self._write(name, fn, given, file, dict(options or {}))
                if verbose:
                    print_message(summary(os.path.join(path, name + suffix), self.format, told[name].pop("facts")))
                told[name].pop("facts", None)
            with open(os.path.join(part, INDEX), "w") as index:
                json.dump({"format": self.format, "endpoints": told}, index, indent=1)
        if verbose:
            print_message(f"{path}: {len(told)} endpoints, {total_bytes(path) / 1e6:.1f} MB.")

    def _write(self, name: str, fn: Callable[..., Any], given: Any, path: str, options: dict[str, Any]) -> dict[str, Any]:
        if given is None:
            structure, names = model_signature(fn)
            arguments = [structure]
        else:
            arguments, names = signature(list(given))
        specs = tree.flatten(arguments)
        keywords = {"training": False} if isinstance(fn, Layer) else {}
        outputs: list[str] = []

        def flat(*tensors: Tensor) -> list[Tensor]:
            found = fn(*tree.pack_sequence_as(arguments, list(tensors)), **keywords)
            outputs[:] = _output_names(fn, found)
            return tree.flatten(found)

        texts = {"mlkit": json.dumps({"name": name})}
        facts = write(self.format, flat, specs, names, lambda count: outputs, path, texts, options)
        return {"file": os.path.basename(path), "inputs": names, "outputs": list(outputs), "facts": facts}


def _output_names(fn: Any, found: Any) -> list[str]:
    count = len(tree.flatten(found))
    if isinstance(found, dict) and len(found) == count:
        return [str(key) for key in sorted(found)]
    own = list(fn.output_names) if getattr(fn, "_graph", None) is not None else []
    return own if len(set(own)) == count else [f"output_{i}" for i in range(count)]
