"""LiteRT's files (.tflite) of models, for phones and small computers: StableHLO that litert-converter turns into them, run by LiteRT
and compared before they appear under their name."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.graph import Graph
from mlkit.core.spec import Dim, Spec, resolve
from mlkit.export import golden
from mlkit.export.files import answers
from mlkit.export.first_difference import first_difference, named
from mlkit.export.jax_lowering import exported, graph_for
from mlkit.export.litert_converter import PACKAGES, ConverterError, convert
from mlkit.export.litert_quantizer import smaller
from mlkit.export.litert_rows import ROWS, takes
from mlkit.export.precision import ALLOWED, checked, samples, settled
from mlkit.export.tracing import sizes_of
from mlkit.utils.atomic import arriving

interpreter = Deferred("ai_edge_litert.interpreter", f"Files of LiteRT are run by ai-edge-litert: {PACKAGES}")
SIGNATURE = "serving_default"


def write(
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    names: Sequence[str],
    outputs: Callable[[int], Sequence[str]],
    path: str,
    *,
    batch_size: int | None = None,
    dtype: str | None = None,
    quantize: str | None = None,
    calibration_data: Any = None,
    check: bool = True,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a function of tensors as a file of LiteRT's; arguments and results as of `onnx_format.write`.

    batch_size: fixed in the file; None leaves it free. dtype: "float16" for weights of half the size. quantize: "int8" for weights of
    a quarter, and products of 8 bits. calibration_data: samples from which the ranges between layers follow then.
    """
    kind = checked(dtype, quantize, calibration_data)
    if calibration_data is not None and batch_size is None:
        raise ValueError("export: `calibration_data` needs a fixed batch in format 'litert': batch_size=1.")
    graph = graph_for("litert", fn, specs, takes, has_loops=False)
    sizes = _sizes(specs, batch_size)
    results = list(outputs(len(graph.outputs)))
    data = _converted(graph, specs, sizes, names, results)
    inputs = golden.sample(specs, batch=batch_size)
    wanted, found = answers(fn, inputs), None
    if check:
        where = lambda: first_difference(graph, inputs, _run_graph)
        found = golden.require(run(data, inputs, names, results), wanted, "LiteRT", where)
    if kind:
        calibration = None if calibration_data is None else list(samples(calibration_data, specs, batch_size))
        data = smaller(data, kind, SIGNATURE, names, calibration)
        if check:
            reduced = lambda arrays: run(data, arrays, names, results)
            found, wanted = settled(reduced, lambda arrays: answers(fn, arrays), inputs, "LiteRT", kind, calibration)
    kept = {**(metadata or {}), "golden": golden.packed(specs, wanted, (names, results), batch_size, ALLOWED[kind])}
    with arriving(path) as part:
        with open(part, "wb") as file:
            file.write(data)
        _append(part, kept)
        size = os.path.getsize(part)
    runner = _runner(data)
    runs = lambda arrays: _run(runner, arrays, names, results)
    return {"nodes": len(graph.calls), "bytes": size, "difference": found, "run": runs, "batch_size": batch_size}


def _sizes(specs: Sequence[Spec], batch_size: int | None) -> dict[Dim, int]:
    """Those that are free and fixed in the file: that of the batch."""
    if batch_size is None:
        return {}
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(
            f"export: `batch_size` must be a whole number from 1 on, or None to leave it free, but is {batch_size!r}."
        )
    return {s.shape[0]: batch_size for s in specs if s.shape and type(s.shape[0]) is Dim}


def _converted(
    graph: Graph, specs: Sequence[Spec], sizes: dict[Dim, int], names: Sequence[str], outputs: Sequence[str]
) -> bytes:
    text = exported(graph, specs, ("cpu",), sizes, ROWS).mlir_module()
    (data,) = convert([dict(text=text, name=SIGNATURE, inputs=names, outputs=outputs)], free=_are_free(specs, sizes))
    problem = data if isinstance(data, ConverterError) else _refusal(data)
    if problem is None:
        return data
    free = "" if not _are_free(specs, sizes) else " With batch_size=1 the sizes are known, and more can be written."
    raise NotImplementedError(
        f"export: format 'litert' has nothing for {_culprit(graph, specs, sizes) or 'the model as a whole'}.{free} It says: {problem}"
    )


def _are_free(specs: Sequence[Spec], sizes: dict[Dim, int]) -> bool:
    return any(type(n) is Dim and n not in sizes for s in specs for n in s.shape)


def _refusal(data: bytes) -> str | None:
    """What LiteRT says against a file: its converter leaves ops there that it does not run."""
    try:
        interpreter.Interpreter(model_content=data).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return str(error)
    return None


def _culprit(graph: Graph, specs: Sequence[Spec], sizes: dict[Dim, int]) -> str | None:
    """The first call that cannot be written alone, with all sizes known."""
    known = {**sizes_of(graph, golden.sample(specs)), **sizes}
    parts, programs = [], []
    for call in graph.calls:
        values = list({id(v): v for v in call.inputs}.values())
        shapes = [Spec(tuple(resolve(n, known) for n in v.shape), v.dtype) for v in values]
        text = exported(Graph(values, [call], call.outs), shapes, ("cpu",), known, ROWS).mlir_module()
        parts.append(call)
        names = [[f"{kind}_{i}" for i in range(n)] for kind, n in (("in", len(values)), ("out", len(call.outs)))]
        programs.append(dict(text=text, name=SIGNATURE, inputs=names[0], outputs=names[1]))
    for call, data in zip(parts, convert(programs)):
        if isinstance(data, ConverterError) or _refusal(data) is not None:
            return named(call)
    return None


def run(data: bytes, inputs: Sequence[np.ndarray], names: Sequence[str], outputs: Sequence[str]) -> list[np.ndarray]:
    """What a file answers, by LiteRT on this machine's processor. names, outputs: those of inputs and outputs."""
    return _run(_runner(data), inputs, names, outputs)


def _runner(data: bytes) -> Any:
    return interpreter.Interpreter(model_content=data).get_signature_runner(SIGNATURE)


def _run(runner: Any, inputs: Sequence[np.ndarray], names: Sequence[str], outputs: Sequence[str]) -> list[np.ndarray]:
    found = runner(**dict(zip(names, inputs)))
    return [np.array(found[name]) for name in outputs]


def _run_graph(graph: Graph, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    specs = [v.spec for v in graph.inputs]
    names = [[f"{kind}_{i:06}" for i in range(n)] for kind, n in (("in", len(specs)), ("out", len(graph.outputs)))]
    return run(_converted(graph, specs, sizes_of(graph, inputs), *names), inputs, *names)


def _append(path: str, texts: dict[str, Any]) -> None:
    """Texts behind the program, as a zip archive, which is where tools for phones look for the names of classes."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        names = json.loads(texts["mlkit"]).get("class_names") if "mlkit" in texts else None
        if names:
            archive.writestr("labels.txt", "".join(f"{name}\n" for name in names))
        for name, text in texts.items():
            archive.writestr(f"{name}.json", text)


def verify(path: str) -> float:
    """Run a file on its golden sample: the difference as a multiple of what is allowed.

    Raises:
        ValueError: It has no sample.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            text = archive.read("golden.json").decode()
    except (zipfile.BadZipFile, KeyError):
        raise ValueError(f"{path} has no golden sample: it was not written by mlkit.") from None
    return golden.against(text, lambda *given: run(data, *given))
