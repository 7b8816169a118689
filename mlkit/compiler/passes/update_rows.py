"""Gradient descent without momentum leaves rows without a gradient alone: of a table, all but those that were looked up."""

from mlkit.compiler.contract import Pass
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.primitives.elementwise import mul, neg
from mlkit.primitives.fused.update import sgd_update
from mlkit.primitives.movement import scatter_add, sum_rows
from mlkit.primitives.shape import reshape


def update_rows(graph, target=None):
    """The graph with ``sgd_update(w, sum_rows(index, g), rate)`` as ``scatter_add(w, index, g * -rate)``."""
    rewriter = Rewriter(graph)

    def rule(call):
        if call.op is not sgd_update or len(call.args) > 3:
            return None
        w, gradient, rate = call.args
        rows = rewriter.maker(gradient, sum_rows)
        if rows is None or rewriter.uses[id(gradient)] > 1 or not w.dtype == gradient.dtype == rate.dtype:
            return None
        index, updates = rows.args
        if index.shape[0] > w.shape[0]:
            return None
        step = rewriter.add(mul, (updates, rewriter.add(neg, (rate,), {})), {})
        index = rewriter.add(reshape, (index,), dict(shape=(*index.shape, 1)))
        return (rewriter.add(scatter_add, (w, index, step), {}),)

    return rewriter.run(rule)


PASS = Pass("update_rows", update_rows, needs=(sum_rows,))
