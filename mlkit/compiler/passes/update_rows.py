"""Gradient descent without momentum leaves rows without a gradient alone: of a table, all but those that were looked up."""

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern, rewritten
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.elementwise import mul, neg
from mlkit.primitives.fused.update import sgd_update
from mlkit.primitives.movement import scatter_add, sum_rows
from mlkit.primitives.shape import reshape

_STEP = Pattern(sgd_update, "w", Pattern(sum_rows, "index", "updates", alone=True), "rate")


def update_rows(graph: Graph, target: Target | None = None) -> Graph:
    """The graph with ``sgd_update(w, sum_rows(index, g), rate)`` as ``scatter_add(w, index, g * -rate)``."""
    return rewritten(graph, (_STEP, _of_rows))


def _of_rows(rewriter: Rewriter, call: Call, w: Value, index: Value, updates: Value, rate: Value) -> tuple[Value] | None:
    has_momentum = len(call.args) > 3
    if has_momentum or not w.dtype == updates.dtype == rate.dtype or index.shape[0] > w.shape[0]:
        return None
    step = rewriter.add(mul, (updates, rewriter.add(neg, (rate,), {})), {})
    index = rewriter.add(reshape, (index,), dict(shape=(*index.shape, 1)))
    return (rewriter.add(scatter_add, (w, index, step), {}),)


PASS = Pass("update_rows", update_rows, needs=(sum_rows,))
