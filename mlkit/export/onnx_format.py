"""ONNX files of models: written, run by ONNX Runtime, and compared before they appear under their name."""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.graph import Call, Graph
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor, Value
from mlkit.export import golden
from mlkit.export.files import answers, arriving
from mlkit.export.onnx_recurrent import STATES, has_constant_weights
from mlkit.export.onnx_rows import ROWS, takes
from mlkit.export.onnx_writer import Writer, onnx
from mlkit.export.tracing import Format, inference_graph, op

runtime = Deferred(
    "onnxruntime",
    "A file of ONNX is run by ONNX Runtime and compared before it is kept, which check=False leaves out: "
    'pip install "mlkit-engine[onnx]"',
)
OPSET = 21
_INSIDE = 1_900_000_000  # bytes of constants that a file of protobuf can hold


def _takes(call: Call) -> bool:
    if call.op in STATES:
        return has_constant_weights(call)
    if call.op is op("conv_input"):
        return not isinstance(call.args[1], Value)
    return takes(call)


FORMAT = Format(ROWS, _takes)


def write(
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    names: Sequence[str],
    outputs: Callable[[int], Sequence[str]],
    path: str,
    *,
    opset_version: int = OPSET,
    check: bool = True,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Write a function of tensors as an ONNX file.

    Args:
        fn: Called with one Tensor for each spec; returns a Tensor or a list of them.
        specs: Of its arguments; sizes may be unknown.
        names: Of the file's inputs.
        outputs: Function from the number of outputs to their names.
        path: Of the file.
        opset_version: ONNX's version of the ops.
        check: Whether ONNX Runtime runs it first, on a golden sample, and what it answers is compared.
        metadata: Further texts for the file.

    Returns:
        Facts about it: nodes, bytes, difference.

    Raises:
        NotImplementedError: An op cannot be written; nothing is.
        RuntimeError: ONNX Runtime answers something else; the message names the first layer that does, and there is no file.
    """
    if not 18 <= opset_version <= 24:
        raise ValueError(f"export: `opset_version` must be from 18 to 24, but is {opset_version}.")
    graph = inference_graph(fn, specs, FORMAT)
    kept = dict(metadata or {})
    inputs = golden.sample(specs)
    wanted = answers(fn, inputs)
    kept["golden"] = golden.packed(specs, wanted)
    model = _model(graph, names, outputs(len(graph.outputs)), opset_version, kept)
    found = None
    with arriving(path) as part:
        _save(model, part, path)
        if check:
            where = lambda: _first_difference(graph, names, opset_version, inputs)
            found = golden.require(run(part, inputs), wanted, "ONNX Runtime", where)
    return {"nodes": len(model.graph.node), "bytes": os.path.getsize(path), "difference": found}


def _model(graph: Graph, names: Sequence[str], outputs: Sequence[str], opset: int, metadata: dict[str, str]) -> Any:
    writer = Writer(graph, names)
    writer.write(ROWS)
    return writer.model(outputs, opset, metadata)


def _save(model: Any, part: str, path: str) -> None:
    """As one file; constants that are too many for it in a second one beside it."""
    if sum(len(t.raw_data) for t in model.graph.initializer) <= _INSIDE:
        onnx.save_model(model, part)
    else:
        onnx.save_model(model, part, save_as_external_data=True, location=os.path.basename(path) + ".data")


def run(path: str, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a file answers, by ONNX Runtime on the CPU."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), inputs)})


def verify(path: str) -> float:
    """Run a file on its golden sample: the difference as a multiple of what is allowed.

    Raises:
        ValueError: It has no sample.
    """
    kept = {p.key: p.value for p in onnx.load_model(path, load_external_data=False).metadata_props}
    if "golden" not in kept:
        raise ValueError(f"{path} has no golden sample: it was not written by mlkit.")
    inputs, wanted = golden.unpacked(kept["golden"])
    return golden.difference(run(path, inputs), wanted)


def _first_difference(graph: Graph, names: Sequence[str], opset: int, inputs: Sequence[np.ndarray]) -> str:
    """In words, which call is the first one whose results differ."""
    values = [v for call in graph.calls for v in call.outs[:1]]
    every = graph.like(graph.calls, values)
    wanted = [np.asarray(t.numpy()) for t in every.run(*(Tensor(np.array(a)) for a in inputs))]
    model = _model(every, names, [f"value_{i}" for i in range(len(values))], opset, {})
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {i.name: a for i, a in zip(session.get_inputs(), inputs)})
    for call, a, b in zip(graph.calls, found, wanted):
        if golden.difference([a], [b]) > 1:
            return f"; the first difference is in {call.op.name} of {'/'.join(map(str, call.place)) or 'the model itself'}"
    return ""


def metadata_of(model: Any) -> dict[str, str]:
    """Texts about a model that its file keeps."""
    names = getattr(model, "class_names", None)
    return {"mlkit": json.dumps({"name": model.name, **({"class_names": list(names)} if names else {})})}
