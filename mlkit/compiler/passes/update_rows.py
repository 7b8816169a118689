"""Gradient descent without momentum leaves rows without a gradient alone: of a table, all but those that were looked up."""

from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.op import OPS


def update_rows(graph):
    """The graph with ``sgd_update(w, sum_rows(index, g), rate)`` as ``scatter_add(w, index, g * -rate)``."""
    rewriter = Rewriter(graph)

    def rule(call):
        if call.op.name != "sgd_update" or len(call.args) > 3:
            return None
        w, gradient, rate = call.args
        rows = rewriter.maker(gradient, "sum_rows")
        if rows is None or rewriter.uses[id(gradient)] > 1 or not w.dtype == gradient.dtype == rate.dtype:
            return None
        index, updates = rows.args
        if index.shape[0] > w.shape[0]:
            return None
        step = rewriter.add(OPS["mul"], (updates, rewriter.add(OPS["neg"], (rate,), {})), {})
        index = rewriter.add(OPS["reshape"], (index,), dict(shape=(*index.shape, 1)))
        return (rewriter.add(OPS["scatter_add"], (w, index, step), {}),)

    return rewriter.run(rule)
