"""How much memory the results of a graph take at any time, before there is a plan."""

from mlkit.core import dtypes, layout
from mlkit.core.views import VIEWS


def most_alive(graph):
    """Bytes of the results that are alive together where these are most: about what the arena of a plan will take."""
    whole, last = {}, {}  # id of a Value -> of the one it is a view of; -> number of the last call that needs it
    for i, call in enumerate(graph.calls):
        for a in call.inputs:
            last[whole.get(id(a), id(a))] = i
        if call.op.name in VIEWS and call.inputs:
            source = id(call.args[0])
            whole[id(call.outs[0])] = whole.get(source, source)
    returned = {whole.get(id(v), id(v)) for v in graph.outputs}
    alive = most = 0
    dying = {}
    for i, call in enumerate(graph.calls):
        for v in call.outs:
            if id(v) in last and id(v) not in returned:
                size = layout.nbytes(v.shape, dtypes.itemsize(v.dtype))
                alive += size
                dying[last[id(v)]] = dying.get(last[id(v)], 0) + size
        alive -= dying.get(i, 0)
        most = max(most, alive)
    return most
