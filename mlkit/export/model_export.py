"""`Model.export`: the choice of the format, the names of inputs and outputs."""

import os
from typing import Any

from mlkit.core import dtypes, tree
from mlkit.core.spec import Dim, Spec
from mlkit.export import onnx_format, stablehlo_format

_REFUSED = {
    "tf_saved_model": "a SavedModel is a program of TensorFlow's. For a server write ONNX (Triton, KServe, ONNX Runtime)",
    "torch": "there are no ops of PyTorch here. ONNX files are read by its runtimes",
    "litert": "not written yet. ONNX files run on phones by ONNX Runtime",
    "openvino": "OpenVINO reads ONNX files as they are",
}
_FORMATS = {"onnx": (onnx_format, "ONNX Runtime"), "stablehlo": (stablehlo_format, "XLA")}
_SUFFIXES = {
    ".onnx": "onnx",
    ".stablehlo": "stablehlo",
    ".tflite": "litert",
    ".xml": "openvino",
    ".pt": "torch",
    ".pt2": "torch",
}


def export_model(
    model: Any, filepath: Any, format: str | None = None, verbose: Any = None, input_signature: Any = None, **options: Any
) -> None:
    """See `Model.export`."""
    path = os.fspath(filepath)
    suffix = os.path.splitext(path)[1]
    format = format or _SUFFIXES.get(suffix)
    if format in _REFUSED:
        raise NotImplementedError(f"export: format {format!r}: {_REFUSED[format]}: model.export('model.onnx').")
    if format not in _FORMATS:
        what = f"the suffix {suffix!r}" if format is None else f"format {format!r}"
        raise ValueError(f"export: {what} is not known. There are: 'onnx' (.onnx), 'stablehlo' (.stablehlo).")
    module, runtime = _FORMATS[format]
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"export: there is no folder {folder!r}.")
    structure, names = _signature(model, input_signature)
    specs = tree.flatten(structure)

    def fn(*tensors: Any) -> Any:
        return tree.flatten(model(tree.pack_sequence_as(structure, list(tensors)), training=False))

    metadata = onnx_format.metadata_of(model)
    facts = module.write(fn, specs, names, lambda count: _output_names(model, count), path, metadata=metadata, **options)
    if verbose or verbose is None:
        checked = (
            "not compared"
            if facts["difference"] is None
            else f"{runtime} differs by {facts['difference']:.2g} of what is allowed"
        )
        print(f"{path}: {facts['bytes'] / 1e6:.1f} MB, {facts['nodes']} nodes; {checked}.")


def _signature(model: Any, input_signature: Any) -> tuple[Any, list[str]]:
    """(specs in the structure of the model's inputs, a name for each)."""
    batch = Dim("batch")  # one for all inputs
    if input_signature is not None:
        if isinstance(input_signature, (list, tuple)) and len(input_signature) == 1:
            input_signature = input_signature[0]
        given = tree.flatten(input_signature)
        structure = tree.pack_sequence_as(input_signature, [_spec(s.shape, s.dtype, batch) for s in given])
        named = [getattr(s, "name", None) or f"input_{i}" for i, s in enumerate(given)]
    elif model._graph is not None:
        if any(t.dtype == dtypes.STRING for t in model.inputs):
            raise NotImplementedError(
                f"export: model {model.name!r} begins with strings, which stay on the host: export the part behind the layers of texts."
            )
        structure = tree.map_structure(lambda t: _spec(t.shape, t.dtype, batch), model.input)
        named = list(model.input_names)
    else:
        raise ValueError(
            f"export: model {model.name!r} does not tell its inputs. Pass input_signature=[mlkit.InputSpec(shape=(None, ...), "
            "dtype=...)], or one for each input."
        )
    return structure, named


def _spec(shape: Any, dtype: Any, batch: Dim) -> Spec:
    sizes = [(batch if i == 0 else Dim(f"size_{i}")) if n is None or type(n) is Dim else n for i, n in enumerate(shape)]
    return Spec(tuple(sizes), dtypes.standardize_dtype(dtype or "float32"))


def _output_names(model: Any, count: int) -> list[str]:
    names = list(model.output_names) if model._graph is not None else []
    return names if len(set(names)) == count else [f"output_{i}" for i in range(count)]
