"""Fusion of the two gradients that a convolution's result has to give: one pass over it yields the kernel's and the bias's."""

from mlkit.core.passes.rewrite import Rewriter
from mlkit.core.tensor import Value


def fuse_bias_grads(graph, kernels):
    """The graph with a convolution's kernel gradient and the sums of the same tensor by channel as one call."""
    sums = _sums_by_channel(graph)
    pairs = {id(c): sums[id(c.args[1])] for c in graph.calls if c.op.name == "conv_kernel" and id(c.args[1]) in sums}
    if not pairs or "conv_kernel_bias" not in kernels:
        return graph
    return _Fusion(graph, pairs).run()


def _sums_by_channel(graph):
    """id of a Value -> the call that sums it over all axes but the last."""
    found = {}
    for c in graph.calls:
        if c.op.name == "sum" and type(c.args[0]) is Value and not c.params["keepdims"]:
            if tuple(sorted(c.params["axes"])) == tuple(range(len(c.args[0].shape) - 1)):
                found[id(c.args[0])] = c
    return found


class _Fusion(Rewriter):
    def __init__(self, graph, pairs):
        super().__init__(graph)
        self.partner = {}  # id of the output of one call of a pair -> the other
        for c in graph.calls:
            other = pairs.pop(id(c), None)
            if other is not None and id(other.outs[0]) not in self.partner:
                self.partner[id(c.outs[0])], self.partner[id(other.outs[0])] = other, c
        self.done = {}  # id of an output of a later call of a pair -> what stands for it
        self.known = set(map(id, graph.inputs))

    def run(self):
        return super().run(self._rule)

    def _note(self, call):
        super()._note(call)
        self.known.update(map(id, call.outs))

    def _rule(self, call):
        """At the first call of a pair both results are made, if the arguments of both are there."""
        key = id(call.outs[0])
        if key in self.done:
            return self.done[key]
        other = self.partner.get(key)
        if other is None:
            return None
        gradient, total = (call, other) if call.op.name == "conv_kernel" else (other, call)
        args = [self.now(a) for a in gradient.args]
        if not all(id(a) in self.known for a in args if type(a) is Value):
            return None
        from mlkit.ops.fused import conv_kernel_bias

        results = dict(zip((id(gradient.outs[0]), id(total.outs[0])), self.add(conv_kernel_bias, args, gradient.params)))
        self.done.update(results)
        return results[key]
