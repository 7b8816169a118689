"""Updates by optimizers' rules: they work element by element, so plans run them as chains."""

import functools

from mlkit.compiler.chain import Chain
from mlkit.compiler.passes.simplify import simplify
from mlkit.core.graph import Graph
from mlkit.core.op import OPS
from mlkit.core.spec import Spec
from mlkit.core.state import state
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import trace_into

NAMES = ("sgd_update", "adam_update", "rmsprop_update")


def make(xp):
    """Op name -> kernel."""
    return {name: functools.partial(_at_once, name) for name in NAMES}


def _at_once(name, *args, **params):
    """Step by step: plans do without this one."""
    return as_chain(name, args, params).run(args, lambda op, xs, params: state.kernels[op.name](*xs, **params))


def as_chain(name, args, params):
    """The Chain of an update of these arguments, or of others of their kinds."""
    kinds = tuple((tuple(a.shape) == tuple(args[0].shape), str(a.dtype)) for a in args)
    return _chain(name, kinds, tuple(params.items()))


@functools.lru_cache(64)
def _chain(name, kinds, params):
    """kinds: (whether it has the shape of the weight, dtype) for each argument."""
    graph = Graph([Value(Spec((2,) if full else (), dtype)) for full, dtype in kinds])
    with trace_into(graph):
        results = OPS[name].fallback(*map(Tensor, graph.inputs), **dict(params))
    graph.outputs = [t.data for t in results]
    graph = simplify(graph)
    return Chain.of(graph.calls, graph.inputs, graph.outputs)
