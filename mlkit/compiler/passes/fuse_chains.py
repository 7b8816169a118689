"""Fusion of elementwise ops over large tensors into chains, which a backend runs in one pass over memory.

Calls are grouped by stages, so that no chain waits for what itself delivers: along an edge between two calls that may be in one
chain the stage stays, along any other it rises. Calls of one stage that are joined by such edges form a chain.

A chain needs all that it reads at once, where its calls would have let go of one array before they asked for the next: in the sum of
the gradients of many slices, say. Where this raises the peak by more than a page, chains are cut into segments that read a few arrays each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mlkit.compiler.chain import Chain
from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.liveness import most_alive
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import ordered
from mlkit.core.graph import Call, Graph
from mlkit.core.machine import threshold
from mlkit.core.spec import size_of
from mlkit.core.tensor import Value
from mlkit.primitives.fused.elementwise_chain import fused_elementwise

SMALLEST = threshold("fuse_chains")
READS = 8, 4, 2  # arrays that a segment reads, tried in turn
PAGE = 4096  # bytes: numbers that are kept a while longer are no reason to do without chains
LONGEST = 64  # calls in a chain: the work of planning one grows with the square


def fuse_chains(graph: Graph, target: Target) -> Graph:
    """The graph with chains of elementwise ops as calls of `fused_elementwise`."""
    graph = prune(graph)
    smallest = SMALLEST if target.smallest_chain is None else target.smallest_chain
    groups, alone = _Groups(graph, target.can_chain, smallest), target.gains_alone
    members = groups.segments(groups.find().values())
    fused = _fused(graph, groups, members, alone)
    if fused is graph or most_alive(fused) <= (most := most_alive(graph) + PAGE):
        return fused
    tried = (_fused(graph, groups, groups.segments(members, reads), alone) for reads in READS)
    return next((cut for cut in tried if most_alive(cut) <= most), graph)


def _fused(graph: Graph, groups: "_Groups", members: Sequence[list[int]], alone: Callable[..., Any]) -> Graph:
    """The graph with a chain for each of the lists of calls in `members` that is one."""
    chained = [len(g) > 1 or (groups.fits[g[0]] and alone(graph.calls[g[0]])) for g in members]
    if not any(chained):
        return graph
    wanted = _needed_outside(graph, groups, members)
    calls = [
        _chain([graph.calls[i] for i in g], wanted) if is_chain else graph.calls[g[0]] for g, is_chain in zip(members, chained)
    ]
    return graph.like(ordered(calls, [g[-1] for g in members]), graph.outputs)


class _Groups:
    def __init__(self, graph: Graph, fits: Callable[..., Any], smallest: int) -> None:
        self.calls = graph.calls
        self.outputs = {v for v in graph.outputs if type(v) is Value}
        self.maker = {v: i for i, c in enumerate(graph.calls) for v in c.outs}
        self.producers = [[self.maker[a] for a in c.inputs if a in self.maker] for c in graph.calls]
        self.fits = [size_of(c.outs[0].shape) >= smallest and fits(c) for c in graph.calls]

    def _joined(self, i: int, j: int) -> bool:
        """Whether calls i and j, of which one uses the other's result, may be in one chain."""
        return self.fits[i] and self.fits[j] and self.calls[i].outs[0].shape == self.calls[j].outs[0].shape

    def find(self) -> dict[int, list[int]]:
        """First member of each group -> its members, in order."""
        n = len(self.calls)
        stage = [0] * n
        users: list[list[int]] = [[] for _ in range(n)]
        for i in range(n):
            for p in self.producers[i]:
                users[p].append(i)
                stage[i] = max(stage[i], stage[p] + (not self._joined(p, i)))
        for i in reversed(range(n)):  # as late as its users allow, if all of them may take it in
            if users[i] and self.calls[i].outs[0] not in self.outputs and all(self._joined(i, u) for u in users[i]):
                stage[i] = min(stage[u] for u in users[i])
        parent = list(range(n))

        def root(i: int) -> int:
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        for i in range(n):
            for p in self.producers[i]:
                if self._joined(p, i) and stage[p] == stage[i]:
                    parent[root(p)] = root(i)
        members: dict[int, list[int]] = {}
        for i in range(n):
            members.setdefault(root(i), []).append(i)
        return members

    def segments(self, members: Iterable[list[int]], reads: int = LONGEST) -> list[list[int]]:
        """The groups cut into parts that are not too long and take at most so many results of calls outside (or those of one call, if they
        are more). Views are not counted: what they look at is there anyway."""
        return [part for group in members for part in (self._cut(group, reads) if len(group) > 1 else (group,))]

    def _cut(self, group: Sequence[int], reads: int) -> Iterator[list[int]]:
        part: list[int] = []
        own: set[int] = set()
        taken: set[int] = set()
        for i in group:
            made = {p for p in self.producers[i] if self.calls[p].op.traits.view is None}
            if part and (len(part) == LONGEST or len(taken | made - own) > reads):
                yield part
                part, own, taken = [], set(), set()
            part.append(i)
            own.add(i)
            taken |= made - own
        yield part


def _needed_outside(graph: Graph, groups: _Groups, members: Sequence[list[int]]) -> set[Value]:
    """The Values that something outside their own group uses."""
    group_of = {i: r for r, g in enumerate(members) for i in g}
    wanted = set(groups.outputs)
    for i, call in enumerate(graph.calls):
        for a in call.inputs:
            if a in groups.maker and group_of[groups.maker[a]] != group_of[i]:
                wanted.add(a)
    return wanted


def _chain(calls: Sequence[Call], wanted: set[Value]) -> Call:
    """One call for several; its outputs are the Values of theirs that are wanted outside."""
    inner = {id(c.outs[0]) for c in calls}
    operands = list({id(a): a for c in calls for a in c.args if hasattr(a, "shape") and id(a) not in inner}.values())
    outs = [c.outs[0] for c in calls if c.outs[0] in wanted]
    chain = Chain.of(calls, operands, outs)
    return Call(fused_elementwise, operands, dict(chain=chain), tuple(outs), True, calls[-1].place)


PASS = Pass("fuse_chains", fuse_chains)
