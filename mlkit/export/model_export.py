"""`Model.export`: the choice of the format, the names of inputs and outputs, and what is common to all formats."""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.deferred import Deferred
from mlkit.core.spec import Dim, Spec
from mlkit.export import photo_input
from mlkit.export.files import answers
from mlkit.export.precision import accuracy_lost
from mlkit.utils.console import print_message

_REFUSED = {
    "tf_saved_model": "a SavedModel is a program of TensorFlow's. For a server write ONNX (Triton, KServe, ONNX Runtime)",
    "torch": "there are no ops of PyTorch here. ONNX files are read by its runtimes",
}
_FORMATS = {
    "onnx": (Deferred("mlkit.export.onnx_format"), "ONNX Runtime"),
    "litert": (Deferred("mlkit.export.litert_format"), "LiteRT"),
    "stablehlo": (Deferred("mlkit.export.stablehlo_format"), "XLA"),
    "openvino": (Deferred("mlkit.export.openvino_format"), "OpenVINO"),
}
SUFFIXES = {
    ".onnx": "onnx",
    ".ort": "onnx",
    ".stablehlo": "stablehlo",
    ".tflite": "litert",
    ".xml": "openvino",
    ".pt": "torch",
    ".pt2": "torch",
}
_KNOWN = "'onnx' (.onnx, .ort), 'litert' (.tflite), 'stablehlo' (.stablehlo), 'openvino' (.xml)"


def export_model(
    model: Any,
    filepath: Any,
    format: str | None = None,
    verbose: Any = None,
    input_signature: Any = None,
    *,
    preprocess: Any = False,
    class_names: Sequence[str] | None = None,
    evaluation_data: Any = None,
    **options: Any,
) -> None:
    """See `Model.export`."""
    path, format = located(filepath, format)
    structure, names = _signature(model, input_signature if preprocess is False else None)
    specs = tree.flatten(structure)

    def fn(*tensors: Any) -> Any:
        return tree.flatten(model(tree.pack_sequence_as(structure, list(tensors)), training=False))

    if preprocess is not False:
        photo_input.check(model, preprocess, structure)
        (inside,), inner = specs, fn
        given = None if input_signature is None else tree.flatten(_signature(model, input_signature)[0])[0]
        specs = [photo_input.photo_spec(model, inside, given)]
        photos = photo_input.prepared(model, inside, preprocess)
        fn = lambda batch: inner(photos(batch))
    metadata = {"mlkit": json.dumps(_told(model, class_names))}
    facts = write(format, fn, specs, names, lambda count: _output_names(model, count), path, metadata, options)
    if verbose or verbose is None:
        print_message(summary(path, format, facts))
    if evaluation_data is not None:
        _print_accuracy(fn, specs, facts, evaluation_data)


def located(filepath: Any, format: str | None) -> tuple[str, str]:
    """(path, format) that a file is written to and in.

    Raises:
        ValueError, NotImplementedError, FileNotFoundError: There is no such format, or no such folder.
    """
    path = os.fspath(filepath)
    suffix = os.path.splitext(path)[1]
    format = format or SUFFIXES.get(suffix)
    if format in _REFUSED:
        raise NotImplementedError(f"export: format {format!r}: {_REFUSED[format]}: model.export('model.onnx').")
    if format not in _FORMATS:
        what = f"the suffix {suffix!r}" if format is None else f"format {format!r}"
        raise ValueError(f"export: {what} is not known. There are: {_KNOWN}.")
    if format == "openvino" and suffix != ".xml":
        raise ValueError(
            f"export: OpenVINO's files end in .xml, with one that ends in .bin beside it, but the name is {path!r}."
        )
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"export: there is no folder {folder!r}.")
    return path, format


def write(
    format: str,
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    names: Sequence[str],
    outputs: Callable[[int], Sequence[str]],
    path: str,
    metadata: dict[str, str],
    options: dict[str, Any],
) -> dict[str, Any]:
    """Write a function of tensors in a format: the facts that its `write` returns.

    Raises:
        TypeError: It has no such option.
    """
    module, _ = _FORMATS[format]
    known = [*module.write.__kwdefaults__][:-1]  # all but the metadata
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"export: format {format!r} has no option {unknown[0]!r}. It has: {', '.join(sorted(known))}.")
    return module.write(fn, specs, names, outputs, path, metadata=metadata, **options)


def summary(path: str, format: str, facts: dict[str, Any]) -> str:
    """What is said of a file."""
    checked = "not compared"
    if facts["difference"] is not None:
        checked = f"{_FORMATS[format][1]} differs by {facts['difference']:.2g} of what is allowed"
    batch = "" if "batch_size" not in facts else f"the batch is {facts['batch_size'] or 'free'}; "
    return f"{path}: {facts['bytes'] / 1e6:.1f} MB, {facts['nodes']} nodes; {batch}{checked}."


def verify(path: str) -> float:
    """Run a file on the golden sample that it holds: the difference as a multiple of what is allowed.

    Raises:
        ValueError: It holds none.
    """
    format = SUFFIXES.get(os.path.splitext(path)[1])
    if format not in ("onnx", "litert", "openvino"):
        raise ValueError(f"verify-file: {path} is no file that holds a sample: .onnx, .ort, .tflite and .xml do.")
    return _FORMATS[format][0].verify(path)


def _told(model: Any, class_names: Sequence[str] | None) -> dict[str, Any]:
    """What a file keeps of a model."""
    names = getattr(model, "class_names", None) if class_names is None else class_names
    if names is not None and (isinstance(names, str) or not all(isinstance(name, str) for name in names)):
        raise ValueError(f"export: `class_names` must be a list of texts, but is {names!r}.")
    return {"name": model.name, **({"class_names": list(names)} if names is not None else {})}


def _print_accuracy(fn: Callable[..., Any], specs: Sequence[Spec], facts: dict[str, Any], data: Any) -> None:
    if not isinstance(data, tuple) or len(data) != 2:
        raise ValueError("export: `evaluation_data` must be (inputs, labels).")
    first = lambda found: np.asarray(found[0])
    model, file = lambda arrays: first(answers(fn, arrays)), lambda arrays: first(facts["run"](arrays))
    before, after = accuracy_lost(model, file, data, specs, facts.get("batch_size"))
    print_message(f"accuracy: the model {before:.4f}, the file {after:.4f}: {100 * (before - after):.2f} points lost.")


def _signature(model: Any, input_signature: Any) -> tuple[Any, list[str]]:
    """(specs in the structure of the model's inputs, a name for each)."""
    if input_signature is None:
        return model_signature(model)
    if isinstance(input_signature, (list, tuple)) and len(input_signature) == 1:
        input_signature = input_signature[0]
    return signature(input_signature)


def model_signature(model: Any) -> tuple[Any, list[str]]:
    """As `signature`, of what a model made of KerasTensors takes.

    Raises:
        ValueError: The model is of another kind.
        NotImplementedError: It takes strings.
    """
    if model._graph is None:
        raise ValueError(
            f"export: model {model.name!r} does not tell its inputs. Pass input_signature=[mlkit.InputSpec(shape=(None, ...), "
            "dtype=...)], or one for each input."
        )
    if any(t.dtype == dtypes.STRING for t in model.inputs):
        raise NotImplementedError(
            f"export: model {model.name!r} begins with strings, which stay on the host: export the part behind the layers of texts."
        )
    return signature(model.input)[0], list(model.input_names)


def signature(given: Any) -> tuple[Any, list[str]]:
    """(specs, in the same structure, that share the size of the batch; a name for each). given: `InputSpec`s or tensors."""
    batch = Dim("batch")
    structure = tree.map_structure(lambda s: _spec(s.shape, s.dtype, batch), given)
    return structure, [getattr(s, "name", None) or f"input_{i}" for i, s in enumerate(tree.flatten(given))]


def _spec(shape: Any, dtype: Any, batch: Dim) -> Spec:
    sizes = [(batch if i == 0 else Dim(f"size_{i}")) if n is None or type(n) is Dim else n for i, n in enumerate(shape)]
    return Spec(tuple(sizes), dtypes.standardize_dtype(dtype or "float32"))


def _output_names(model: Any, count: int) -> list[str]:
    names = list(model.output_names) if model._graph is not None else []
    return names if len(set(names)) == count else [f"output_{i}" for i in range(count)]
