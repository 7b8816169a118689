"""StableHLO programs of models, as JAX exports them: for XLA on CPUs, GPUs and TPUs, read back by `jax.export.deserialize` alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core.graph import Graph
from mlkit.core.spec import Spec
from mlkit.export import golden
from mlkit.export.files import answers
from mlkit.export.first_difference import first_difference
from mlkit.export.jax_lowering import export, exported, function_of, graph_for
from mlkit.export.tracing import sizes_of
from mlkit.utils.atomic import arriving


def write(
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    names: Sequence[str],
    outputs: Callable[[int], Sequence[str]],
    path: str,
    *,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    check: bool = True,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a function of tensors as a program of StableHLO; arguments and results as of `onnx_format.write`. Inputs have no names in
    it, and it has no place for other texts.

    platforms: what it is lowered for.
    """
    graph = graph_for("stablehlo", fn, specs)
    data, found = bytes(exported(graph, specs, platforms, {}).serialize()), None
    if check and "cpu" in platforms:
        inputs = golden.sample(specs)
        got = [np.asarray(a) for a in export.deserialize(bytearray(data)).call(*inputs)]
        found = golden.require(got, answers(fn, inputs), "XLA", lambda: first_difference(graph, inputs, _run))
    with arriving(path) as part, open(part, "wb") as file:
        file.write(data)
    return {"nodes": len(graph.calls), "bytes": len(data), "difference": found}


def _run(graph: Graph, inputs: Sequence[np.ndarray]) -> list[Any]:
    return function_of(graph, sizes_of(graph, inputs))(*inputs)
