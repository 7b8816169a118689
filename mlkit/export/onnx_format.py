"""ONNX files of models: written, run by ONNX Runtime, and compared before they appear under their name."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.graph import Call, Graph
from mlkit.core.spec import Spec
from mlkit.core.tensor import Value
from mlkit.export import golden
from mlkit.export.files import answers
from mlkit.export.first_difference import first_difference
from mlkit.export.onnx_control import ROWS as CONTROL
from mlkit.export.onnx_control import takes as takes_control
from mlkit.export.onnx_convolutions import tidy_convolutions
from mlkit.export.onnx_quantizer import smaller
from mlkit.export.onnx_recurrent import STATES, has_constant_weights
from mlkit.export.onnx_rows import ROWS, takes
from mlkit.export.onnx_writer import Writer, onnx
from mlkit.export.precision import ALLOWED, checked, samples, settled
from mlkit.export.tracing import Format, inference_graph, op
from mlkit.utils.atomic import arriving

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
    if call.op in CONTROL:
        return takes_control(call)
    if call.op is op("conv_input"):
        return not isinstance(call.args[1], Value)
    return takes(call)


FORMAT = Format("onnx", ROWS, _takes)


def write(
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    names: Sequence[str],
    outputs: Callable[[int], Sequence[str]],
    path: str,
    *,
    opset_version: int = OPSET,
    dtype: str | None = None,
    quantize: str | None = None,
    calibration_data: Any = None,
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
        dtype: "float16" for weights of half the size, which are cast where they are used.
        quantize: "int8" for weights of a quarter, and products of 8 bits.
        calibration_data: Samples from which the ranges between layers follow then; without them each batch tells its own.
        check: Whether ONNX Runtime runs it first, on a golden sample, and what it answers is compared.
        metadata: Further texts for the file.

    Returns:
        Facts about it: nodes, bytes, difference, and `run`, function from arrays to what the file answers.

    Raises:
        NotImplementedError: An op cannot be written; nothing is.
        RuntimeError: ONNX Runtime answers something else; the message names the first layer that does, and there is no file.
    """
    if not 18 <= opset_version <= 24:
        raise ValueError(f"export: `opset_version` must be from 18 to 24, but is {opset_version}.")
    kind = checked(dtype, quantize, calibration_data)
    graph = inference_graph(fn, specs, FORMAT)
    results = list(outputs(len(graph.outputs)))
    inputs = golden.sample(specs)
    wanted, found = answers(fn, inputs), None
    told = lambda: {**(metadata or {}), "golden": golden.packed(specs, wanted, (names, results), tolerance=ALLOWED[kind])}
    model = _model(graph, names, results, opset_version, told(), halves=kind == "float16")
    with arriving(path) as part:
        written = f"{part}.onnx"
        _save(model, written, os.path.basename(path))
        if check:
            where = lambda: _first_difference(graph, names, opset_version, inputs)
            tolerance = ALLOWED["float16" if kind == "float16" else None]
            found = golden.require(run(written, inputs), wanted, "ONNX Runtime", where, tolerance)
        if kind == "int8":
            calibration = None if calibration_data is None else list(samples(calibration_data, specs, None))
            model = smaller(written, calibration)
            if check:
                reduced = lambda arrays: run(model.SerializeToString(), arrays)
                found, wanted = settled(reduced, lambda arrays: answers(fn, arrays), inputs, "ONNX Runtime", kind, calibration)
            onnx.helper.set_model_props(model, told())
            onnx.save_model(model, written)
        if os.path.splitext(path)[1] == ".ort":
            found = _as_ort(written, part, inputs, wanted, kind)
            os.remove(written)
        else:
            os.replace(written, part)
    size = sum(os.path.getsize(p) for p in (path, f"{path}.data") if os.path.exists(p))
    return {"nodes": len(model.graph.node), "bytes": size, "difference": found, "run": lambda arrays: run(path, arrays)}


def _model(
    graph: Graph, names: Sequence[str], outputs: Sequence[str], opset: int, metadata: dict[str, str], halves: bool = False
) -> Any:
    writer = Writer(graph, names, outputs, halves)
    writer.write(ROWS)
    tidy_convolutions(writer)
    return writer.model(opset, metadata)


def _save(model: Any, part: str, name: str) -> None:
    """As one file; constants that are too many for it in a second one beside it. name: of the file at the end."""
    if sum(len(t.raw_data) for t in model.graph.initializer) <= _INSIDE:
        onnx.save_model(model, part)
    else:
        onnx.save_model(model, part, save_as_external_data=True, location=f"{name}.data")


def _as_ort(written: str, part: str, inputs: Sequence[np.ndarray], wanted: Sequence[np.ndarray], kind: str | None) -> float:
    """ONNX Runtime's own format, which its builds for phones read; made by the runtime, and so run in any case."""
    options = _options()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED  # further ones are for this processor
    options.optimized_model_filepath = part
    options.add_session_config_entry("session.save_model_format", "ORT")
    runtime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
    return golden.require(run(part, inputs), wanted, "ONNX Runtime", tolerance=ALLOWED[kind])


def _options() -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    return options


def _session(file: str | bytes) -> Any:
    return runtime.InferenceSession(file, _options(), providers=["CPUExecutionProvider"])


def run(file: str | bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a file answers, by ONNX Runtime on the CPU. file: its path, or what is in it."""
    session = _session(file)
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), inputs)})


def verify(path: str) -> float:
    """Run a file on its golden sample: the difference as a multiple of what is allowed.

    Raises:
        ValueError: It has no sample.
    """
    session = _session(path)
    kept = session.get_modelmeta().custom_metadata_map
    if "golden" not in kept:
        raise ValueError(f"{path} has no golden sample: it was not written by mlkit.")
    return golden.against(kept["golden"], lambda inputs, names, outputs: session.run(outputs, dict(zip(names, inputs))))


def _first_difference(graph: Graph, names: Sequence[str], opset: int, inputs: Sequence[np.ndarray]) -> str:
    def run_graph(every: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        model = _model(every, names, [f"value_{i}" for i in range(len(every.outputs))], opset, {})
        return run(model.SerializeToString(), arrays)

    return first_difference(graph, inputs, run_graph)
