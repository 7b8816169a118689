"""Graphs as functions of JAX's, which formats that are made of StableHLO lower: sizes that are free are symbols of JAX's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.backend import get_backend
from mlkit.core.deferred import Deferred
from mlkit.core.graph import Call, Graph
from mlkit.core.spec import Dim, Spec
from mlkit.export.tracing import Format, inference_graph, with_sizes
from mlkit.primitives.catalogue import OPS

Rows = Mapping[str, Callable[..., Any]]  # name of an op -> function of JAX's arrays
MISSING = 'StableHLO is written by JAX: pip install "mlkit-engine[jax]"'
jax = Deferred("jax", MISSING)
jnp = Deferred("jax.numpy", MISSING)
export = Deferred("jax.export", MISSING)


def graph_for(
    name: str,
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    takes: Callable[[Call], bool] = lambda call: True,
    has_loops: bool = True,
) -> Graph:
    """The inference graph of a function of tensors, of ops that JAX has. name: of the format. takes: which of their calls are kept.
    has_loops: whether the format has loops."""
    rows = {OPS[op]: kernel for op, kernel in get_backend("jax").kernels.items()}
    return inference_graph(fn, specs, Format(name, rows, takes, has_loops))


def exported(
    graph: Graph, specs: Sequence[Spec], platforms: Sequence[str], sizes: Mapping[Dim, int], own: Rows | None = None
) -> Any:
    """A graph as `jax.export` exports it. sizes: those of free sizes that are known nevertheless. own: rows in place of JAX's.

    Raises:
        NotImplementedError: JAX needs to know a size that is free.
    """
    free = symbols([n for s in specs for n in s.shape if type(n) is Dim and n not in sizes])
    known = {**free, **sizes}
    shapes = [tuple(known[n] if type(n) is Dim else n for n in s.shape) for s in specs]
    structs = [jax.ShapeDtypeStruct(shape, dtypes.as_numpy(s.dtype)) for shape, s in zip(shapes, specs)]
    try:
        return export.export(jax.jit(function_of(graph, known, own), keep_unused=True), platforms=list(platforms))(*structs)
    except Exception as error:  # of several kinds, whose names differ between versions
        if not free:
            raise
        raise NotImplementedError(
            f"export: JAX cannot leave {len(free)} of the inputs' sizes free here. Fix them: input_signature=[mlkit.InputSpec(shape="
            f"(1, 224, 224, 3), dtype='float32')]. It says: {str(error).splitlines()[0]}"
        ) from error


def symbols(free: Sequence[Dim]) -> dict[Dim, Any]:
    """A symbol of JAX's for each size."""
    free = list(dict.fromkeys(free))
    return dict(zip(free, export.symbolic_shape(", ".join(f"size_{i}" for i in range(len(free)))))) if free else {}


def function_of(graph: Graph, sizes: Mapping[Dim, Any], own: Rows | None = None) -> Callable[..., list[Any]]:
    """The graph as a function of JAX's arrays, with these sizes in its parameters."""
    kernels, graph = {**get_backend("jax").kernels, **(own or {})}, with_sizes(graph, sizes)
    return lambda *arrays: graph.walk(arrays, lambda call, args: kernels[call.op.name](*args, **call.params))
