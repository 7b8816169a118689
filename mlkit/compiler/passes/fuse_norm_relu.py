"""Fusion of batch normalization with relu behind it, and of their gradients: two passes over memory less each way."""

from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern, replaced
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.fused.activation import relu, relu_grad
from mlkit.primitives.fused.norm_relu import batch_norm_relu, batch_norm_relu_grad
from mlkit.primitives.fused.normalization import batch_norm, batch_norm_grad

_BACKWARD = Pattern(batch_norm_grad, Pattern(relu_grad, "g", "y", alone=True), "x")


def fuse_norm_relu(graph: Graph, target: Target) -> Graph:
    """The graph with relu(batch_norm(x)) as one call where nobody else needs what lies between, and the gradients likewise."""
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


PASS = Pass("fuse_norm_relu", fuse_norm_relu, needs=(batch_norm,))
