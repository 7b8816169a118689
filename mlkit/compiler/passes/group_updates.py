"""Updates of many small variables as few calls: each step of them is done once, for a vector of all elements.

What optimizers do to a weight, its slots and its gradient works element by element: limits by a common norm, weight decay, the rule,
moving averages, sums of gradients. For a weight of a thousand elements the call of a kernel costs more than its work. So the calls by
which variables get their new values, and which nothing else waits for, are looked through for parts of one make. The tensors of equal
parts are packed into vectors, the calls of one part are made of these, and the results unpacked to where the old values lay.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mlkit.compiler.chain import Chain
from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.rewrite import ordered, param_key
from mlkit.core.graph import Call, Graph, spec_of
from mlkit.core.machine import threshold
from mlkit.core.spec import Spec, size_of
from mlkit.core.tensor import Value
from mlkit.primitives.fused.pack import pack, unpack

SMALL = threshold("update_alone")
TOGETHER = threshold("updates_together")
FEWEST = 4  # parts that are worth being packed


def group_updates(graph: Graph, target: Target) -> Graph:
    """The graph with equal updates of small variables done together."""
    if not (graph.successors and target.runs(pack) and target.runs(unpack)):
        return graph
    groups = [group for group in _groups(_parts(graph)) if len(group) >= FEWEST]
    if not groups:
        return graph
    gone = {id(call) for group in groups for part in group for call in part.calls}
    calls = [call for call in graph.calls if id(call) not in gone]
    ranks = [i for i, call in enumerate(graph.calls) if id(call) not in gone]
    for group in groups:
        together = _Together(group).calls
        calls += together
        ranks += [group[-1].rank] * len(together)
    return graph.like(ordered(calls, ranks), graph.outputs)


class _Part(NamedTuple):
    """Calls that work element by element on tensors of one shape, and of which each needs another.

    calls    in order
    args     of each call: ("tensor", k), ("number", k), ("made", number of a call, number of its result), or what stands for itself
    tensors  Values and constants of the shape that they take from others
    numbers  those without axes, one for each place where one is taken
    results  (number of a call, number of its result) of what is returned
    rank     number of the last call in the graph
    key      equal for parts that do the same
    """

    calls: list[Call]
    args: list[list[Any]]
    tensors: list[Any]
    numbers: list[Any]
    results: list[tuple[int, int]]
    rank: int
    key: Any

    @property
    def shape(self) -> tuple[Any, ...]:
        return tuple(self.calls[0].outs[0].shape)


# ---- what is to be done together -----------------------------------------------------------------------------------------


def _groups(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Equal parts, in order, as many as their vectors may hold."""
    gathered: dict[Any, list[_Part]] = {}
    elements: dict[Any, int] = {}
    for part in parts:
        size = size_of(part.shape)
        if elements.get(part.key, TOGETHER) + size > TOGETHER:
            yield gathered.pop(part.key, [])
            elements[part.key] = 0
        gathered.setdefault(part.key, []).append(part)
        elements[part.key] += size
    yield from gathered.values()


def _parts(graph: Graph) -> Iterator[_Part]:
    """The parts that give variables new values, in the order in which they are done."""
    returned, new = set(map(id, graph.outputs)), {id(graph.outputs[o]) for o in graph.successors.values()}
    for numbers in sorted(_connected(graph), key=lambda numbers: numbers[-1]):
        calls = [graph.calls[i] for i in numbers]
        results = [(k, j) for k, call in enumerate(calls) for j, v in enumerate(call.outs) if id(v) in returned]
        if any(id(calls[k].outs[j]) in new for k, j in results):
            yield _described(calls, results, numbers[-1])


def _connected(graph: Graph) -> list[list[int]]:
    """Numbers of calls on small tensors whose results, if anything reads them, are read by others of the same list.

    What several lists would take in makes them one if it reads a variable, as a rule does whose results are looked at one by one; else,
    as what gradients of several variables have in common, it stays outside.
    """
    readers: dict[int, set[int]] = {}
    for i, call in enumerate(graph.calls):
        for a in call.inputs:
            readers.setdefault(id(a), set()).add(i)
    changed = {id(graph.inputs[i]) for i in graph.successors}
    part_of: dict[int, list[int]] = {}
    for i in reversed(range(len(graph.calls))):
        call = graph.calls[i]
        after = set().union(*(readers.get(id(v), ()) for v in call.outs))
        if not (_is_small(call) and after <= part_of.keys()):
            continue
        parts = list({id(part_of[j]): part_of[j] for j in after}.values())
        if len(parts) < 2 or any(id(a) in changed for a in call.inputs):
            part = [i, *(k for part in parts for k in part)]
            part_of.update(dict.fromkeys(part, part))
    return [sorted(part) for part in {id(part): part for part in part_of.values()}.values()]


def _is_small(call: Call) -> bool:
    """Whether a call does for each element of tensors of one shape, which has few, the same as for the others."""
    shape = call.outs[0].shape if call.outs else ()
    return (
        call.op.traits.elementwise
        and 0 < size_of(shape) < SMALL
        and shape != ()
        and all(v.shape == shape for v in call.outs)
        and all(tuple(a.shape) in ((), shape) for a in call.args if hasattr(a, "shape"))
    )


def _described(calls: list[Call], results: list[tuple[int, int]], rank: int) -> _Part:
    made = {id(v): ("made", k, j) for k, call in enumerate(calls) for j, v in enumerate(call.outs)}
    places: dict[int, Any] = {}
    tensors: list[Any] = []
    numbers: list[Any] = []
    args: list[list[Any]] = []
    key: list[Any] = [tuple(results)]
    for call in calls:
        args.append([])
        key.append((call.op, tuple((name, _key_of(p)) for name, p in sorted(call.params.items()))))
        for a in call.args:
            if not hasattr(a, "shape"):
                args[-1].append(a)
                key.append(param_key(a))
            elif tuple(a.shape) == ():
                args[-1].append(("number", len(numbers)))
                numbers.append(a)
                # rules of optimizers take no vector of rates
                key.append(("number", spec_of(a).dtype, None if call.op.fallback is None else id(a)))
            else:
                if id(a) not in made and id(a) not in places:
                    places[id(a)] = "tensor", len(tensors)
                    tensors.append(a)
                args[-1].append(made.get(id(a)) or places[id(a)])
                key.append((args[-1][-1], spec_of(a).dtype))
    return _Part(calls, args, tensors, numbers, results, rank, tuple(key))


def _key_of(p: Any) -> Any:
    if not isinstance(p, Chain):
        return param_key(p)
    steps = tuple(
        (op, param_key(args), tuple((n, param_key(v)) for n, v in sorted(params.items()))) for op, args, params in p.steps
    )
    return p.operands, steps, p.outs


# ---- doing it together ---------------------------------------------------------------------------------------------------


class _Together:
    """`calls`: those that take the place of the calls of several equal parts."""

    def __init__(self, group: Sequence[_Part]) -> None:
        self.calls: list[Call] = []
        self._sizes = tuple(size_of(part.shape) for part in group)
        first, shapes = group[0], tuple(part.shape for part in group)
        self._place = first.calls[0].place
        vectors = [self._packed(xs) for xs in zip(*(part.tensors for part in group))]
        numbers = [self._common(xs) for xs in zip(*(part.numbers for part in group))]
        known = {"tensor": vectors, "number": numbers}
        made: list[Sequence[Value]] = []
        for call, args in zip(first.calls, first.args):
            found = []
            for a in args:
                if type(a) is tuple:
                    a = made[a[1]][a[2]] if a[0] == "made" else known[a[0]][a[1]]
                found.append(a)
            made.append([self._vector(v.dtype) for v in call.outs])
            self.calls.append(Call(call.op, found, call.params, tuple(made[-1]), call.is_tuple, call.place))
        for k, j in first.results:
            outs = tuple(part.calls[k].outs[j] for part in group)
            self.calls.append(Call(unpack, (made[k][j],), dict(shapes=shapes), outs, True, self._place))

    def _vector(self, dtype: str) -> Value:
        return Value(Spec((sum(self._sizes),), dtype))

    def _packed(self, xs: Sequence[Any]) -> Value:
        vector = self._vector(spec_of(xs[0]).dtype)
        self.calls.append(Call(pack, xs, dict(sizes=self._sizes), (vector,), False, self._place))
        return vector

    def _common(self, xs: Sequence[Any]) -> Any:
        """The number that all parts take, or a vector of those that they take."""
        return xs[0] if all(x is xs[0] for x in xs) else self._packed(xs)


PASS = Pass("group_updates", group_updates, exact=True)
