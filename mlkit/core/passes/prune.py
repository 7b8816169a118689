"""Dead code: calls whose results reach no output are dropped."""

from mlkit.core.tensor import Value


def prune(graph):
    """The graph without calls that no output depends on."""
    if graph.is_pruned:
        return graph
    needed = {id(v) for v in graph.outputs if type(v) is Value}
    kept = []
    for call in reversed(graph.calls):
        if any(id(v) in needed for v in call.outs):
            kept.append(call)
            needed.update(id(a) for a in call.args if type(a) is Value)
    graph = graph.like(kept[::-1], graph.outputs)
    graph.is_pruned = True
    return graph
