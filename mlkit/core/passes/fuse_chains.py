"""Fusion of elementwise ops over large tensors into chains, which a backend runs in one pass over memory.

Calls are grouped by stages, so that no chain waits for what itself delivers: along an edge between two calls that may be in one
chain the stage stays, along any other it rises. Calls of one stage that are joined by such edges form a chain.
"""

import heapq

from mlkit.core.chain import Chain
from mlkit.core.graph import Call
from mlkit.core.spec import size_of
from mlkit.core.tensor import Value
from mlkit.core.thresholds import threshold

SMALLEST = threshold("fuse_chains", 1 << 13, "elements: what fits in the first cache gains little")


def fuse_chains(graph, fits, alone=lambda call: False):
    """The graph with chains of elementwise ops as calls of `fused_elementwise`. fits: whether a call may be part of one; alone:
    whether it gains even by being one by itself."""
    groups = _Groups(graph, fits, SMALLEST)
    members = groups.find()
    chained = [len(g) > 1 or groups.fits[g[0]] and alone(graph.calls[g[0]]) for g in members.values()]
    if not any(chained):
        return graph
    wanted = _needed_outside(graph, groups, members)
    calls = [
        _chain([graph.calls[i] for i in g], wanted) if is_chain else graph.calls[g[0]]
        for g, is_chain in zip(members.values(), chained)
    ]
    return graph.like(_ordered(calls, [g[-1] for g in members.values()]), graph.outputs)


class _Groups:
    def __init__(self, graph, fits, smallest):
        self.calls = graph.calls
        self.outputs = {id(v) for v in graph.outputs if type(v) is Value}
        self.maker = {id(v): i for i, c in enumerate(graph.calls) for v in c.outs}
        self.fits = [size_of(c.outs[0].shape) >= smallest and fits(c) for c in graph.calls]

    def _joined(self, i, j):
        """Whether calls i and j, of which one uses the other's result, may be in one chain."""
        return self.fits[i] and self.fits[j] and self.calls[i].outs[0].shape == self.calls[j].outs[0].shape

    def _producers(self, i):
        return [self.maker[id(a)] for a in self.calls[i].args if type(a) is Value and id(a) in self.maker]

    def find(self):
        """First member of each group -> its members, in order."""
        n = len(self.calls)
        stage, users = [0] * n, [[] for _ in range(n)]
        for i in range(n):
            for p in self._producers(i):
                users[p].append(i)
                stage[i] = max(stage[i], stage[p] + (not self._joined(p, i)))
        for i in reversed(range(n)):  # as late as its users allow, if all of them may take it in
            if users[i] and id(self.calls[i].outs[0]) not in self.outputs and all(self._joined(i, u) for u in users[i]):
                stage[i] = min(stage[u] for u in users[i])
        parent = list(range(n))

        def root(i):
            while parent[i] != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        for i in range(n):
            for p in self._producers(i):
                if self._joined(p, i) and stage[p] == stage[i]:
                    parent[root(p)] = root(i)
        members = {}
        for i in range(n):
            members.setdefault(root(i), []).append(i)
        return members


def _needed_outside(graph, groups, members):
    """ids of the Values that something outside their own group uses."""
    group_of = {i: r for r, g in members.items() for i in g}
    wanted = set(groups.outputs)
    for i, call in enumerate(graph.calls):
        for a in call.args:
            if type(a) is Value and id(a) in groups.maker and group_of[groups.maker[id(a)]] != group_of[i]:
                wanted.add(id(a))
    return wanted


def _chain(calls, wanted):
    """One call for several; its outputs are the Values of theirs that are wanted outside."""
    from mlkit.ops.fused.chain import fused_elementwise

    inner = {id(c.outs[0]) for c in calls}
    operands = list({id(a): a for c in calls for a in c.args if hasattr(a, "shape") and id(a) not in inner}.values())
    outs = [c.outs[0] for c in calls if id(c.outs[0]) in wanted]
    chain = Chain.of(calls, operands, outs)
    return Call(fused_elementwise, operands, dict(chain=chain), tuple(outs), True, calls[-1].place)


def _ordered(calls, rank):
    """The calls so that each comes after those it needs, else by rank."""
    maker = {id(v): i for i, c in enumerate(calls) for v in c.outs}
    users, missing = [[] for _ in calls], [0] * len(calls)
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
