"""The gradient that batch normalization hands on sums to zero over what was averaged, whatever comes in: moving all of a channel by
the same amount changes nothing behind it. So a bias before it has no gradient but rounding errors, and none is computed."""

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern, rewritten
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.fused.normalization import batch_norm_grad
from mlkit.primitives.movement import full
from mlkit.primitives.shape import sum_

_SUM = Pattern(sum_, Pattern(batch_norm_grad, call="gradient"))


def zero_sums(graph: Graph, target: Target | None = None) -> Graph:
    """The graph with zeros for such sums."""
    return rewritten(graph, (_SUM, _zeros))


def _zeros(rewriter: Rewriter, call: Call, gradient: Call) -> Value | None:
    y = call.outs[0]
    if sorted(call.params["axes"]) == sorted(gradient.params["axes"]):
        return rewriter.add(full, (), dict(shape=y.shape, value=0, dtype=y.dtype))


PASS = Pass("zero_sums", zero_sums, needs=(batch_norm_grad,))
