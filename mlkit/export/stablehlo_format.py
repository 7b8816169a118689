"""StableHLO programs of models, as JAX exports them: for XLA on CPUs, GPUs and TPUs, read back by `jax.export.deserialize` alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.backend import get_backend
from mlkit.core.deferred import Deferred
from mlkit.core.graph import Graph
from mlkit.core.op import OPS
from mlkit.core.spec import Dim, Spec, resolve
from mlkit.core.tensor import Value
from mlkit.export import golden
from mlkit.export.files import answers, arriving
from mlkit.export.tracing import Format, inference_graph

jax = Deferred("jax", 'StableHLO is written by JAX: pip install "mlkit-engine[jax]"')
export = Deferred("jax.export", 'StableHLO is written by JAX: pip install "mlkit-engine[jax]"')


def write(
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    names: Sequence[str],
    outputs: Callable[[int], Sequence[str]],
    path: str,
    *,
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    check: bool = True,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Write a function of tensors as a program of StableHLO; arguments and results as of `onnx_format.write`. Inputs have no names in it.

    platforms: what it is lowered for.
    """
    kernels = get_backend("jax").kernels
    graph = inference_graph(fn, specs, Format({OPS[name]: kernel for name, kernel in kernels.items()}, lambda call: True))
    sizes = _symbols(specs)
    shapes = [tuple(sizes.get(n, n) if type(n) is Dim else n for n in s.shape) for s in specs]
    known = _with_sizes(graph, sizes)

    def program(*arrays: Any) -> list[Any]:
        return _run(known, kernels, arrays)

    structs = [jax.ShapeDtypeStruct(shape, dtypes.as_numpy(s.dtype)) for shape, s in zip(shapes, specs)]
    exported = export.export(jax.jit(program), platforms=list(platforms))(*structs)
    data, found = bytes(exported.serialize()), None
    if check and "cpu" in platforms:
        inputs = golden.sample(specs)
        got = [np.asarray(a) for a in export.deserialize(bytearray(data)).call(*inputs)]
        found = golden.require(got, answers(fn, inputs), "XLA")
    with arriving(path) as part, open(part, "wb") as file:
        file.write(data)
    return {"nodes": len(graph.calls), "bytes": len(data), "difference": found}


def _symbols(specs: Sequence[Spec]) -> dict[Dim, Any]:
    """A symbol of JAX's for each size that is free."""
    free = list(dict.fromkeys(n for s in specs for n in s.shape if type(n) is Dim))
    if not free:
        return {}
    return dict(zip(free, export.symbolic_shape(", ".join(f"size_{i}" for i in range(len(free))))))


def _with_sizes(graph: Graph, sizes: dict[Dim, Any]) -> Graph:
    """The graph with JAX's symbols for sizes in parameters."""

    def known(p: Any) -> Any:
        return tree.map_structure(lambda n: resolve(n, sizes) if type(n) is Dim else n, p)

    calls = []
    for call in graph.calls:
        new = call.with_args(call.args)
        new.params = {k: known(p) for k, p in call.params.items()}
        calls.append(new)
    return graph.like(calls, graph.outputs)


def _run(graph: Graph, kernels: Any, arrays: Sequence[Any]) -> list[Any]:
    env = dict(zip(map(id, graph.inputs), arrays))

    def value(a: Any) -> Any:
        return env[id(a)] if type(a) is Value else a

    for call in graph.calls:
        out = kernels[call.op.name](*map(value, call.args), **call.params)
        env.update(zip(map(id, call.outs), out if call.is_tuple else (out,)))
    return [value(v) for v in graph.outputs]
