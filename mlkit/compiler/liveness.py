"""How much memory the results of a graph take at any time, before there is a plan."""

from mlkit.core import dtypes, layout
from mlkit.core.graph import Graph
from mlkit.core.tensor import Value


def most_alive(graph: Graph) -> int:
    """Bytes of the results that are alive together where these are most: about what the arena of a plan will take."""
    last = {}  # Value -> number of the last call that needs it
    for i, call in enumerate(graph.calls):
        last.update(dict.fromkeys(call.inputs, i))
    kept = {v for v in graph.outputs if type(v) is Value}
    views = [c for c in graph.calls if c.op.traits.view and type(c.args[0]) is Value]
    for view in reversed(views):  # what it looks at is needed as long as it is
        source, seen = view.args[0], view.outs[0]
        last[source] = max(last[source], last.pop(seen, 0))
        if seen in kept:
            kept.add(source)
    alive = most = 0
    dying = [0] * len(graph.calls)
    for i, call in enumerate(graph.calls):
        for v in call.outs:
            if v in last and v not in kept:
                size = layout.nbytes(v.shape, dtypes.itemsize(v.dtype))
                alive += size
                dying[last[v]] += size
        alive -= dying[i]
        if alive > most:
            most = alive
    return most
