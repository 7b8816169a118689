"""The gradient that batch normalization hands on sums to zero over what was averaged, whatever comes in: moving all of a channel by
the same amount changes nothing behind it. So a bias before it has no gradient but rounding errors, and none is computed."""

from mlkit.compiler.contract import Pass
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.primitives.fused.normalization import batch_norm_grad
from mlkit.primitives.movement import full
from mlkit.primitives.shape import sum_


def zero_sums(graph, target=None):
    """The graph with zeros for such sums."""
    rewriter = Rewriter(graph)

    def rule(call):
        x, y = call.args[0] if call.op is sum_ else None, call.outs[0]
        maker = rewriter.maker(x, batch_norm_grad)
        if maker and x is maker.outs[0] and sorted(call.params["axes"]) == sorted(maker.params["axes"]):
            return rewriter.add(full, (), dict(shape=y.shape, value=0, dtype=y.dtype))

    return rewriter.run(rule)


PASS = Pass("zero_sums", zero_sums, needs=(batch_norm_grad,))
