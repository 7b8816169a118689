"""Lowering: fused ops that a backend has no kernel for, or whose kernel declines the arguments, are replaced by their fallback, which
is made of other ops."""

from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.rewrite import Rewriter, is_scalar
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Tensor
from mlkit.core.trace import trace_into


def lower(graph: Graph, target: Target) -> Graph:
    """The graph with only calls that the target can run, or whose op has no fallback."""
    if not any(map(target.lacks, graph.calls)):
        return graph
    rewriter = Rewriter(graph)

    def rule(call: Call) -> Any:
        if not target.lacks(call):
            return None
        part = lower(_expanded(call), target)  # the fallback may be made of fused ops itself
        for c in part.calls:
            rewriter.keep(c)
        return tuple(part.outputs) if call.is_tuple else part.outputs[0]

    return rewriter.run(rule)


def _expanded(call: Call) -> Graph:
    """The fallback of a call as a graph."""
    graph = Graph()
    args = [a if a is None or is_scalar(a) else Tensor(a) for a in call.args]
    with trace_into(graph, call.place):
        results = call.op.fallback(*args, **call.params)
    graph.outputs = [t.data for t in (results if call.is_tuple else (results,))]
    return graph


PASS = Pass("lower", lower, exact=True, optional=False)
