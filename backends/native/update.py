"""Updates by optimizers' rules: they work element by element, so plans run them as chains."""

import functools

from mlkit.compiler.chain import Chain
from mlkit.compiler.passes.simplify import simplify
from mlkit.core.dtypes import name_of
from mlkit.core.graph import Graph
from mlkit.core.spec import Spec
from mlkit.core.state import state
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import trace_into
from mlkit.primitives.fused.update import adam_update, rmsprop_update, sgd_update

UPDATES = (sgd_update, adam_update, rmsprop_update)


def make(xp):
    """Op name -> kernel."""
    return {op.name: _Update(op) for op in UPDATES}


class _Update:
    """The kernel of a rule: step by step, where there is no plan, which has its chain."""

    def __init__(self, op):
        self.op = op

    def __call__(self, *args, **params):
        return self.as_chain(args, params).run(args, lambda op, xs, params: state.kernels[op.name](*xs, **params))

    def as_chain(self, args, params):
        return as_chain(self.op, args, params)


def as_chain(op, args, params):
    """The Chain of an update of these arguments, or of others of their kinds."""
    kinds = tuple((tuple(a.shape) == tuple(args[0].shape), name_of(a.dtype)) for a in args)
    return _chain(op, kinds, tuple(params.items()))


@functools.lru_cache(64)
def _chain(op, kinds, params):
    """kinds: (whether it has the shape of the weight, dtype) for each argument."""
    graph = Graph([Value(Spec((2,) if full else (), dtype)) for full, dtype in kinds])
    with trace_into(graph):
        results = op.fallback(*map(Tensor, graph.inputs), **dict(params))
    graph.outputs = [t.data for t in results]
    graph = simplify(graph)
    return Chain.of(graph.calls, graph.inputs, graph.outputs)
