"""The walk that passes share: each call in turn is kept, or replaced by what computes its outputs now."""

import collections
import functools
import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.call import CallContext
from mlkit.core.graph import Call, Graph
from mlkit.core.op import Op
from mlkit.core.state import state
from mlkit.core.tensor import Value


class Rewriter:
    """A graph in the making. `out` is the new graph, `made_by` maps the id of a Value in it to the Call that makes it, `uses` how
    often it is used in the old one. A subclass may have the rule of `run` as `_rule`."""

    _rule: Callable[..., Any]

    def __init__(self, graph: Graph) -> None:
        self.old = graph
        self.out = graph.like()
        self.made_by: dict[int, Call] = {}
        self._now: dict[int, Any] = {}  # id of a replaced Value -> what stands for it

    @functools.cached_property
    def uses(self) -> dict[int, int]:
        return count_uses(self.old)

    def now(self, a: Any) -> Any:
        """What stands for an argument of the old graph."""
        return self._now.get(id(a), a) if type(a) is Value else a

    def maker(self, a: Any, op: Op | None = None) -> Call | None:
        """The call that makes a Value (if it is of this op), or None."""
        call = self.made_by.get(id(a)) if type(a) is Value else None
        return call if call is not None and (op is None or call.op is op) else None

    def add(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Stage a call in the new graph; its output, or a tuple of them."""
        result = self.out.add(op, args, params)
        self._note(self.out.calls[-1])
        return result

    def keep(self, call: Call) -> None:
        self.out.calls.append(call)
        self._note(call)

    def _note(self, call: Call) -> None:
        for v in call.outs:
            self.made_by[id(v)] = call

    def run(self, rule: Callable[..., Any] | None = None) -> Graph:
        """The new graph, or the old one if nothing is replaced. ``rule(call)``, with arguments already replaced, returns None to
        keep the call, or what stands for its one output (a tuple for several): a Value, an array or, where the op that uses it
        takes scalars, a number."""
        outer = state.call
        state.call = context = CallContext()
        try:
            for call in self.old.calls:
                context.path = call.place  # what stands for a call belongs to its layer
                self._visit(call, rule or self._rule)
        finally:
            state.call = outer
        if not self._now:
            return self.old
        self.out.outputs = [self.now(v) for v in self.old.outputs]
        return self.out

    def _visit(self, call: Call, rule: Callable[..., Any]) -> None:
        if not self._now.keys().isdisjoint(map(id, call.args)):
            call = call.with_args(tuple(map(self.now, call.args)))
        found = rule(call)
        if found is None:
            self.keep(call)
        else:
            self._now.update(zip(map(id, call.outs), found if call.is_tuple else (found,)))


def param_key(p: Any) -> tuple[Any, ...]:
    """A parameter or scalar as something hashable that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    if type(p) is tuple:
        return tuple(map(param_key, p))
    return type(p), repr(p) if type(p) in (float, complex) else p


def is_scalar(a: object) -> bool:
    return type(a) in (bool, int, float, complex)


def count_uses(graph: Graph) -> dict[int, int]:
    """id of a Value -> how often it is an argument or an output."""
    returned = [v for v in graph.outputs if type(v) is Value]
    return collections.Counter(map(id, itertools.chain(*[c.inputs for c in graph.calls], returned)))


def ordered(calls: Sequence[Call], rank: Sequence[Any]) -> list[Call]:
    """The calls so that each comes after those it needs, else by rank."""
    maker = {id(v): i for i, c in enumerate(calls) for v in c.outs}
    users: list[list[int]] = [[] for _ in calls]
    missing = [0] * len(calls)
    for i, c in enumerate(calls):
        for p in {maker[id(a)] for a in c.args if type(a) is Value and id(a) in maker}:
            users[p].append(i)
            missing[i] += 1
    ready = [(rank[i], i) for i, m in enumerate(missing) if not m]
    heapq.heapify(ready)
    out = []
    while ready:
        _, i = heapq.heappop(ready)
        out.append(calls[i])
        for u in users[i]:
            missing[u] -= 1
            if not missing[u]:
                heapq.heappush(ready, (rank[u], u))
    return out
