"""Carrying: copies of weights in half floats are written when the weights are, and kept for the next run, not cast in every run anew."""

from typing import Any, NamedTuple

from mlkit.core.dtypes import itemsize
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.elementwise import cast


class Carried(NamedTuple):
    """What a graph takes beside its inputs and returns beside its outputs.

    graph    with one more input for each copy, behind the others, which counts as state, and one more output, its new value
    sources  (number of the input that it is a copy of, number of the output that takes its place, dtype) for each copy
    """

    graph: Graph
    sources: list[tuple[int, int, str]]


def carry(graph: Graph) -> Carried:
    """The graph, of whose casts of variables those are inputs whose variable gets its new value element by element, as from optimizers."""
    maker = {id(v): c for c in graph.calls for v in c.outs}
    numbers = {id(v): i for i, v in enumerate(graph.inputs) if i in graph.successors}
    copies: dict[tuple[int, str], Value] = {}
    now: dict[int, Value] = {}  # id of what a cast makes -> the copy
    for call in graph.calls:
        i = numbers.get(id(call.args[0])) if call.op is cast else None
        if i is None or not _is_written_by_elements(maker, graph.outputs[graph.successors[i]], call):
            continue
        now[id(call.outs[0])] = copies.setdefault((i, call.params["dtype"]), Value(call.outs[0].spec))
    if not copies:
        return Carried(graph, [])
    return _with(graph, copies, now)


def _is_written_by_elements(maker: dict[int, Call], new: Any, call: Call) -> bool:
    """Whether the new value of a variable is there element by element, and the cast makes it smaller."""
    made_by = maker.get(id(new))
    return made_by is not None and made_by.op.traits.elementwise and itemsize(call.params["dtype"]) < itemsize(new.dtype)


def _with(graph: Graph, copies: dict[tuple[int, str], Value], now: dict[int, Value]) -> Carried:
    def new(a: Any) -> Any:
        return now.get(id(a), a) if type(a) is Value else a

    calls = [c.with_args([new(a) for a in c.args]) for c in graph.calls if id(c.outs[0] if c.outs else c) not in now]
    result = Graph([*graph.inputs, *copies.values()], calls, map(new, graph.outputs))
    result.state, result.successors = graph.state + len(copies), dict(graph.successors)
    result.name, result.is_due = graph.name, graph.is_due
    sources = []
    for k, (i, dtype) in enumerate(copies):
        output = graph.successors[i]
        sources.append((i, output, dtype))
        result.successors[len(graph.inputs) + k] = len(result.outputs)
        result.outputs.append(result.add(cast, (result.outputs[output],), dict(dtype=dtype)))
    return Carried(result, sources)
