"""Fusion of batch normalization with relu behind it, or with a sum and then relu, as residual blocks end, and of their gradients: two or
three passes over memory less each way."""

from typing import Any, NamedTuple

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern, replaced
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter, count_uses, ordered
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import relu, relu_grad
from mlkit.primitives.fused.norm_relu import (
    batch_norm_add_relu,
    batch_norm_add_relu_grad,
    batch_norm_relu,
    batch_norm_relu_grad,
)
from mlkit.primitives.fused.normalization import batch_norm, batch_norm_grad

_BACKWARD = Pattern(batch_norm_grad, Pattern(relu_grad, "g", "y", alone=True), "x")


def fuse_norm_relu(graph: Graph, target: Target) -> Graph:
    """The graph with relu(batch_norm(x)) and relu(batch_norm(x) + other) as one call where nobody else needs what lies between, and the
    gradients likewise."""
    if all(map(target.runs, (batch_norm_add_relu, batch_norm_add_relu_grad))):
        graph = _fuse_sums(prune(graph), target)
    if not all(map(target.runs, (batch_norm_relu, batch_norm_relu_grad))):
        return graph
    return _Fusion(prune(graph)).run()


class _Fusion(Rewriter):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.followed = {id(c.args[0]) for c in graph.calls if c.op is relu}
        self.masks: dict[int, tuple[Value, Value]] = {}  # id of the result of a fused call -> (its input, its mask)

    def _rule(self, call: Call) -> Any:
        if call.op is batch_norm:
            return self._forward(call)
        if call.op is relu and id(call.args[0]) in self.masks:
            return call.args[0]
        if call.op is batch_norm_grad:
            return replaced(self, call, _BACKWARD, _Fusion._backward)

    def _forward(self, call: Call) -> tuple[Value, ...] | None:
        y = call.outs[0]
        if id(y) in self.followed and self.uses[id(y)] == 1:
            *results, mask = self.add(batch_norm_relu, call.args, call.params)
            self.masks[id(results[0])] = call.args[0], mask
            return tuple(results)

    def _backward(self, call: Call, g: Value, y: Value, x: Value) -> Any:
        source, mask = self.masks.get(id(y), (None, None))
        if source is x:
            return self.add(batch_norm_relu_grad, (g, *call.args[1:], mask), call.params)


# ---- with a sum between ----------------------------------------------------------------------------------------------


class _Sum(NamedTuple):
    """relu(batch_norm(x) + other), where nobody else needs what lies between."""

    norm: Call
    total: Call  # the sum
    y: Value  # the result of relu
    other: Value


def _fuse_sums(graph: Graph, target: Target) -> Graph:
    """Normalizations move to where the other summand is there, too."""
    sums = _sums(graph, target)
    if not sums:
        return graph
    place = {id(c): i for i, c in enumerate(graph.calls)}
    rank = [float(i) for i in range(len(graph.calls))]
    for s in sums:
        rank[place[id(s.norm)]] = place[id(s.total)] - 0.5
    return _SumFusion(graph.like(ordered(graph.calls, rank), graph.outputs), sums, target).run()


def _sums(graph: Graph, target: Target) -> list[_Sum]:
    """Those that there is a kernel for."""
    uses, maker = count_uses(graph), {id(v): c for c in graph.calls for v in c.outs}
    found = []
    for call in graph.calls:
        total = maker.get(id(call.args[0])) if call.op is relu else None
        if total is None or total.op is not el.add or uses[id(total.outs[0])] != 1:
            continue
        for y, other in (total.args, total.args[::-1]):
            norm = maker.get(id(y))
            if norm is None or norm.op is not batch_norm or y is not norm.outs[0] or uses[id(y)] != 1:
                continue
            fused = Call(batch_norm_add_relu, (*norm.args, other), norm.params, ())
            if type(other) is Value and other.spec == y.spec and not target.lacks(fused):
                found.append(_Sum(norm, total, call.outs[0], other))
                break
    return found


class _SumFusion(Rewriter):
    def __init__(self, graph: Graph, sums: list[_Sum], target: Target) -> None:
        super().__init__(graph)
        self.target = target
        self.norms = {id(s.norm.outs[0]): s for s in sums}
        self.totals = {id(s.total.outs[0]): s for s in sums}
        self.relus = {id(s.y): s for s in sums}
        self.gradients = self._gradients()
        self.masks: dict[int, Value] = {}  # id of the result of a normalization in the old graph -> the mask
        # id of a gradient of x in the old graph -> what stands for the call that makes it
        self.ready: dict[int, tuple[Value, ...]] = {}

    def _gradients(self) -> dict[int, tuple[_Sum, Call]]:
        """id of a gradient of relu -> the sum before it, and the gradient of the normalization which needs it."""
        slopes = {
            id(c.outs[0]): self.relus[id(c.args[1])]
            for c in self.old.calls
            if c.op is relu_grad and id(c.args[1]) in self.relus
        }
        found = {}
        for call in self.old.calls:
            s = slopes.get(id(call.args[0])) if call.op is batch_norm_grad else None
            if s is not None and all(a is b for a, b in zip(call.args[1:], (*s.norm.args[:2], *s.norm.outs[1:]), strict=True)):
                found[id(call.args[0])] = s, call
        return found

    def _rule(self, call: Call) -> Any:
        out = id(call.outs[0])
        if out in self.norms:
            *results, self.masks[out] = self.add(
                batch_norm_add_relu, (*call.args, self.now(self.norms[out].other)), call.params
            )
            return tuple(results)
        if out in self.totals:
            return self.now(self.totals[out].norm.outs[0])
        if out in self.relus:
            return call.args[0]
        if out in self.gradients:
            return self._backward(call, *self.gradients[out])
        return self.ready.get(out)

    def _backward(self, call: Call, s: _Sum, gradient: Call) -> Value | None:
        """The gradient of the other summand; that of the normalization comes with it."""
        mask = self.masks[id(s.norm.outs[0])]
        args = call.args[0], *map(self.now, gradient.args[1:]), mask
        if self.target.lacks(Call(batch_norm_add_relu_grad, args, gradient.params, ())):
            return None
        *self.ready[id(gradient.outs[0])], other = self.add(batch_norm_add_relu_grad, args, gradient.params)
        return other


PASS = Pass("fuse_norm_relu", fuse_norm_relu, needs=(batch_norm,))
