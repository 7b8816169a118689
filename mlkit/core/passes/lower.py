"""Lowering: fused ops that a backend has no kernel for are replaced by their fallback, which is made of other ops."""

from mlkit.core.graph import Graph
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import trace_into


def lower(graph, kernels):
    """The graph with only ops that are in `kernels` (or that have no fallback: those are the executor's)."""
    if not any(_lacks(c.op, kernels) for c in graph.calls):
        return graph
    out = Graph(graph.inputs)
    new = {}  # id of an old output of a lowered call -> what computes it now

    def now(a):
        return new.get(id(a), a) if type(a) is Value else a

    for call in graph.calls:
        args = tuple(map(now, call.args))
        if _lacks(call.op, kernels):
            results = _expand(call.op, args, call.params, kernels, out)
            new.update(zip(map(id, call.outs), results))
        else:
            out.calls.append(call.with_args(args))
    out.outputs = [now(v) for v in graph.outputs]
    return out


def _lacks(op, kernels):
    return op.fallback is not None and op.name not in kernels


def _expand(op, args, params, kernels, out):
    """Stage the fallback, and the fallbacks of what it is made of, into the graph `out`; the result Values."""
    start = len(out.calls)
    with trace_into(out):
        results = op.fallback(*(Tensor(a) if type(a) is not Tensor and hasattr(a, "shape") else a for a in args), **params)
    results = results if type(results) is tuple else (results,)
    part = lower(Graph(calls=out.calls[start:], outputs=[t.data for t in results]), kernels)
    out.calls[start:] = part.calls
    return part.outputs
