"""Fusion of batch normalization with relu behind it, and of their gradients: two passes over memory less each way."""

from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.op import OPS


def fuse_norm_relu(graph, kernels):
    """The graph with relu(batch_norm(x)) as one call where nobody else needs what lies between, and the gradients likewise."""
    if "batch_norm_relu" not in kernels or "batch_norm_relu_grad" not in kernels:
        return graph
    return _Fusion(graph).run()


class _Fusion(Rewriter):
    def __init__(self, graph):
        super().__init__(graph)
        self.followed = {id(c.args[0]) for c in graph.calls if c.op.name == "relu"}
        self.masks = {}  # id of the result of a fused call -> (its input, its mask)

    def _rule(self, call):
        name = call.op.name
        if name == "batch_norm":
            return self._forward(call)
        if name == "relu" and id(call.args[0]) in self.masks:
            return call.args[0]
        if name == "batch_norm_grad":
            return self._backward(call)

    def _forward(self, call):
        y = call.outs[0]
        if id(y) in self.followed and self.uses[id(y)] == 1:
            *results, mask = self.add(OPS["batch_norm_relu"], call.args, call.params)
            self.masks[id(results[0])] = call.args[0], mask
            return tuple(results)

    def _backward(self, call):
        g, x, *rest = call.args
        gradient = self.maker(g, "relu_grad")
        if gradient is None or self.uses.get(id(g)) != 1:
            return None
        source, mask = self.masks.get(id(gradient.args[1]), (None, None))
        if source is x:
            return self.add(OPS["batch_norm_relu_grad"], (gradient.args[0], x, *rest, mask), call.params)
