"""Dead code: calls whose results reach no output are dropped."""

from mlkit.compiler.contract import Pass, Target
from mlkit.core.graph import Graph
from mlkit.core.tensor import Value


def prune(graph: Graph, target: Target | None = None) -> Graph:
    """The graph without calls that no output depends on."""
    if graph.is_pruned:
        return graph
    needed = {v for v in graph.outputs if type(v) is Value}
    kept = []
    for call in reversed(graph.calls):
        if not needed.isdisjoint(call.outs):
            kept.append(call)
            needed.update(call.inputs)
    graph = graph.like(kept[::-1], graph.outputs)
    graph.is_pruned = True
    return graph


PASS = Pass("prune", prune, exact=True)
