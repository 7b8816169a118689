"""Hoisting: what depends only on variables that a graph does not change is computed once, not in every run.

In inference that is, for example, the scale and shift of each normalization, and the convolution kernels they are folded into.
"""

from collections.abc import Iterable, Sequence

from mlkit.compiler.passes.prune import prune
from mlkit.core.dtypes import itemsize
from mlkit.core.graph import Call, Graph
from mlkit.core.layout import nbytes
from mlkit.core.machine import threshold
from mlkit.core.tensor import Value

_SLACK = threshold("hoist")


def hoist(graph: Graph) -> tuple[Graph | None, Graph]:
    """(what is to be computed once, the rest), two graphs; the first is None if there is nothing.

    The results of the first are further inputs of the rest, behind the others, and count as its state.
    """
    early = _early(graph)
    crossing, stay = _crossing(graph, early)
    if not crossing:
        return None, graph
    unchanging = graph.unchanging()
    inputs = [v for v in graph.inputs if id(v) in unchanging]
    first = prune(Graph(inputs, early, crossing))
    used = {id(a) for c in first.calls for a in c.inputs}
    first.inputs = [v for v in inputs if id(v) in used]
    first.state = len(first.inputs)
    moved = set(map(id, early)) - stay
    rest = Graph([*graph.inputs, *crossing], [c for c in graph.calls if id(c) not in moved], graph.outputs)
    rest.state, rest.successors = graph.state + len(crossing), graph.successors
    return first, rest


def _early(graph: Graph) -> list[Call]:
    """The calls that depend on unchanging state and constants only, and make nothing much larger of it."""
    known, calls = graph.unchanging(), []
    for call in graph.calls:
        if call.op.traits.communicates:
            continue
        if call.inputs and all(id(a) in known for a in call.inputs) and _size(call.outs) <= _size(call.inputs) + _SLACK:
            known.update(map(id, call.outs))
            calls.append(call)
    return calls


def _size(values: Iterable[Value]) -> int:
    return sum(nbytes(v.shape, itemsize(v.dtype)) for v in values)


def _crossing(graph: Graph, early: Sequence[Call]) -> tuple[list[Value], set[int]]:
    """(Values that the rest takes from the early calls, ids of early calls that belong to the rest as well: views come
    last)."""
    ids = set(map(id, early))
    wanted = {id(v) for v in graph.outputs if type(v) is Value}
    wanted.update(id(a) for c in graph.calls if id(c) not in ids for a in c.inputs)
    crossing, stay = [], set()
    for call in reversed(early):
        found = [v for v in call.outs if id(v) in wanted]
        if found and call.op.traits.view:
            stay.add(id(call))
            wanted.update(map(id, call.inputs))
        else:
            crossing += found
    return crossing[::-1], stay
