"""Elementwise calls that do not need one another as one launch, whatever their sizes: the updates of all weights above all.

First each update takes in what only it reads and what only reads it (gradients that are clipped, weights cast to half floats), then all
that are on one level become one call of `multi_tensor_apply`. The level of a call is how many of those calls there are on the way from it,
so that none waits for what itself delivers. Of other chains only those join in whose results the graph returns: they are late anyway.
"""

from collections.abc import Sequence
from typing import Any

from mlkit.compiler.chain import Chain
from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.liveness import most_alive
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import ordered
from mlkit.core.graph import Call, Graph
from mlkit.core.spec import size_of
from mlkit.core.tensor import Value
from mlkit.primitives.fused.elementwise_chain import fused_elementwise, multi_tensor_apply

SLACK = 1 << 28  # bytes, or a tenth, by which memory may grow: gradients wait for one another


def fuse_horizontally(graph: Graph, target: Target) -> Graph:
    """The graph with calls of `multi_tensor_apply`."""
    graph = prune(graph)
    parts = _Parts(graph, target)
    if len(parts.chains) < 2:
        return graph
    parts.merge()
    fused = parts.joined()
    before = most_alive(graph)
    return graph if most_alive(fused) > before + max(SLACK, before // 10) else fused


class _Parts:
    """The calls of a graph; `chains` has those that may be joined: number of a call -> its Chain."""

    def __init__(self, graph: Graph, target: Target) -> None:
        self.graph, self.calls = graph, list(graph.calls)
        self.updates = set()  # numbers of calls that give variables their new values
        self.chains: dict[int, Chain] = {}
        written = {id(graph.outputs[o]) for o in graph.successors.values()}
        for i, call in enumerate(self.calls):
            chain = target.joins(call)
            if chain is not None and _is_flat(call.args, call.outs[0]):
                self.chains[i] = chain
                if any(id(v) in written for v in call.outs):
                    self.updates.add(i)

    # ---- one after another ---------------------------------------------------------------------------------------------

    def merge(self) -> None:
        """Let each update take in chains of its shape: those that only it reads, and those that
        read only what it makes and what is there anyway."""
        maker, users = self._links()
        returned, there = {id(v) for v in self.graph.outputs}, self._there_anyway(maker)
        gone: set[int] = set()
        for i in sorted(self.updates):
            if i in gone:
                continue
            for p in {maker[id(a)] for a in self.calls[i].inputs if id(a) in maker} - gone:
                outs = self.calls[p].outs
                if self._fits(p, i) and all(users.get(id(v), set()) <= {i} and id(v) not in returned for v in outs):
                    self._take_in(i, p, i)
                    gone.add(p)
            for u in sorted({u for v in self.calls[i].outs for u in users.get(id(v), ())} - gone):
                known = {id(a) for a in (*self.calls[i].args, *self.calls[i].outs)}
                if self._fits(u, i) and all(id(a) in known or id(a) in there for a in self.calls[u].inputs):
                    self._take_in(i, i, u)
                    gone.add(u)
        kept = [i for i in range(len(self.calls)) if i not in gone]
        numbers = {id(self.calls[i]): i for i in kept}
        self.calls = ordered([self.calls[i] for i in kept], kept)
        now = {numbers[id(c)]: k for k, c in enumerate(self.calls)}
        self.chains = {now[i]: c for i, c in self.chains.items() if i in now}
        self.updates = {now[i] for i in self.updates if i in now}

    def _there_anyway(self, maker: dict[int, int]) -> set[int]:
        """ids of the Values that need no update."""
        late: set[int] = set()
        for i, c in enumerate(self.calls):
            if i in self.updates or any(maker.get(id(a), -1) in late for a in c.inputs):
                late.add(i)
        made = {id(v) for i, c in enumerate(self.calls) if i not in late for v in c.outs}
        return made | {id(v) for v in self.graph.inputs}

    def _fits(self, other: int, i: int) -> bool:
        return other in self.chains and self.calls[other].outs[0].shape == self.calls[i].outs[0].shape

    def _take_in(self, i: int, first: int, second: int) -> None:
        """Make call i the two calls, of which the second may use what the first makes; results of a first one that is taken in go."""
        one, two = self.calls[first], self.calls[second]
        outs = [*(one.outs if i == first else ()), *two.outs]
        made = {id(v) for v in one.outs}
        operands = list({id(a): a for a in (*one.args, *two.args) if hasattr(a, "shape") and id(a) not in made}.values())
        chain = _composed(operands, ((one, self.chains[first]), (two, self.chains[second])), outs)
        self.calls[i] = Call(fused_elementwise, operands, dict(chain=chain), tuple(outs), True, self.calls[i].place)
        self.chains[i] = chain

    def _links(self) -> tuple[dict[int, int], dict[int, set[int]]]:
        """id of a Value -> the number of the call that makes it, and the numbers of those that read it."""
        users: dict[int, set[int]] = {}
        for i, c in enumerate(self.calls):
            for a in c.inputs:
                users.setdefault(id(a), set()).add(i)
        return {id(v): i for i, c in enumerate(self.calls) for v in c.outs}, users

    # ---- side by side --------------------------------------------------------------------------------------------------

    def joined(self) -> Graph:
        """The graph with all of a level as one call."""
        _, users = self._links()
        after = [{u for v in c.outs for u in users.get(id(v), ())} for c in self.calls]
        wanted = {i for i in self.chains if i in self.updates or not after[i]}
        level = [0] * len(self.calls)
        levels: dict[int, list[int]] = {}
        for i in reversed(range(len(self.calls))):
            level[i] = max((level[u] + (u in wanted) for u in after[i]), default=0)
            if i in wanted:
                levels.setdefault(level[i], []).append(i)
        groups = [sorted(g) for g in levels.values() if len(g) > 1]
        taken = {i for g in groups for i in g}
        calls = [(i, c) for i, c in enumerate(self.calls) if i not in taken] + [(g[-1], self._joined(g)) for g in groups]
        return self.graph.like(ordered([c for _, c in calls], [i for i, _ in calls]), self.graph.outputs)

    def _joined(self, group: Sequence[int]) -> Call:
        calls, chains = [self.calls[i] for i in group], tuple(self.chains[i] for i in group)
        operands = [a for c in calls for a in c.args if hasattr(a, "shape")]
        outs = tuple(v for c in calls for v in c.outs)
        return Call(multi_tensor_apply, operands, dict(chains=chains), outs, True)


def _is_flat(args: Sequence[Any], out: Value) -> bool:
    """Whether the arrays among the arguments have the shape of the result, or are single numbers."""
    return all(tuple(a.shape) == tuple(out.shape) or size_of(a.shape) == 1 for a in args if hasattr(a, "shape"))


def _composed(operands: Sequence[Any], parts: Sequence[tuple[Call, Chain]], outs: Sequence[Value]) -> Chain:
    """The chain of several calls that are chains, one after another."""
    number = {id(a): k for k, a in enumerate(operands)}
    steps: list[Any] = []
    for call, chain in parts:
        env = [number[id(a)] for a in call.args if hasattr(a, "shape")]
        for op, args, params in chain.steps:
            steps.append((op, tuple(a if type(a) is tuple else env[a] for a in args), params))
            env.append(len(operands) + len(steps) - 1)
        number.update((id(v), env[r]) for v, r in zip(call.outs, chain.outs))
    return Chain(len(operands), steps, [number[id(v)] for v in outs])


PASS = Pass("fuse_horizontally", fuse_horizontally)
