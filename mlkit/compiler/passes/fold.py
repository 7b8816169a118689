"""Constant folding: what depends on constants only is computed while compiling."""

from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.spec import size_of
from mlkit.core.tensor import Value, as_arrays
from mlkit.core.thresholds import threshold

LARGEST = threshold("fold", 1 << 14, "elements: larger constants cost more memory than the time they save")


def fold(graph, kernels):
    """The graph with calls of constants replaced by their values."""

    def rule(call):
        if any(type(a) is Value for a in call.args) or call.op.name not in kernels:
            return None
        if any(size_of(v.shape) > LARGEST for v in call.outs):
            return None
        return as_arrays(kernels[call.op.name](*call.args, **call.params))

    return Rewriter(graph).run(rule)
