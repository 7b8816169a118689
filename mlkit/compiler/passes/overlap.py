"""Overlap: what ranks add travels while other calls run.

Each `all_reduce` becomes two calls, and its results parts of one vector. Where arrays travel while others are computed, the first stands
where the last of its tensors is made, and behind the last of these, calls come in the order in which what they need arrives: weights whose
gradients were made first are updated first. The order among collectives stays that of the trace, which is the same on all ranks.
"""

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.rewrite import Rewriter, ordered
from mlkit.core.graph import Call, Graph
from mlkit.core.spec import size_of
from mlkit.core.tensor import Value
from mlkit.primitives.collectives import all_reduce, all_reduce_start, all_reduce_wait
from mlkit.primitives.elementwise import cast
from mlkit.primitives.movement import slice_
from mlkit.primitives.shape import reshape


def overlap(graph: Graph, target: Target) -> Graph:
    """The graph with `all_reduce_start` and `all_reduce_wait`."""
    if not (target.runs(all_reduce_start) and target.runs(all_reduce_wait)):
        return graph
    split = _Halves(graph).run()
    if target.overlaps:
        split.calls = ordered(split.calls, _ranks(split.calls))
    return split


class _Halves(Rewriter):
    def _rule(self, call: Call) -> tuple[Value, ...] | None:
        if call.op is not all_reduce:
            return None
        started = self.add(all_reduce_start, call.args, call.params)
        vector = self.add(all_reduce_wait, (started,), {})
        found, first = [], 0
        for v in call.outs:
            end = first + size_of(v.shape)
            part = self.add(slice_, (vector,), dict(starts=(first,), stops=(end,), strides=(1,)))
            part = self.add(reshape, (part,), dict(shape=v.shape))
            found.append(part if part.dtype == v.dtype else self.add(cast, (part,), dict(dtype=v.dtype)))
            first = end
        return tuple(found)


def _ranks(calls: list[Call]) -> list[tuple[int, ...]]:
    """Sort keys of calls: the numbers they have, but starts follow what they need, and behind the last start what comes first is what
    waits for the fewest starts."""
    maker = {id(v): i for i, call in enumerate(calls) for v in call.outs}
    awaited: list[int] = []  # how many starts must have arrived before a call
    ranks: list[tuple[int, ...]] = []
    last = starts = 0
    for i, call in enumerate(calls):
        needs = [maker[id(a)] for a in call.inputs if id(a) in maker]
        awaited.append(max((awaited[k] for k in needs), default=0))
        if call.op is all_reduce_start:
            last, starts = max([last, *needs]), starts + 1
            ranks.append((last, 1, starts))
        else:
            if call.op is all_reduce_wait:
                awaited[i] = starts
            ranks.append((i, 0, 0))
    return [rank if calls[i].op is all_reduce_start or i <= last else (last + 1, awaited[i], i) for i, rank in enumerate(ranks)]


PASS = Pass("overlap", overlap, exact=True, needs=(all_reduce,))
