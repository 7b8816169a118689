"""What calls cost, from their specs alone: floating-point operations, and bytes read and written at least.

An op says how many operations it takes (the trait `flops`), or costs what its fallback costs; one that has none works element by
element, one FLOP for each of its results (an exponential too).
"""

import functools
from collections.abc import Collection
from typing import Any

from mlkit.compiler.passes.keep_for_gradients import forward_of, without_kept
from mlkit.core import dtypes, layout
from mlkit.core.call import CallContext
from mlkit.core.graph import Call, Graph, spec_of
from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import Trace
from mlkit.primitives.counts import elements


def call_flops(call: Call) -> int:
    """Floating-point operations of a Call; a multiplication and the addition that follows count as two."""
    traits = call.op.traits
    if traits.flops is not None:
        return traits.flops([spec_of(a) for a in call.args], [v.spec for v in call.outs], call.params)
    if traits.body_flops is not None:
        return traits.body_flops(call.params, graph_flops)
    if call.op.fallback is not None:
        return _fallback_flops(call)
    return sum(map(elements, call.outs))


def _fallback_flops(call: Call, only: Collection[Op] | None = None) -> int:
    """Those of a fused op; of a gradient without what the forward call keeps for it."""
    flops = graph_flops(fallback_graph(without_kept(call)), only)
    kept, forward = call.op.traits.kept, forward_of(call)
    if kept is None or forward is None or not kept.again:
        return flops
    return flops - graph_flops(fallback_graph(forward), only)


def graph_flops(graph: Graph, only: Collection[Op] | None = None) -> int:
    """FLOPs of all calls of a graph, or of those in it, in its fused ops and in their bodies whose op is one of `only`."""
    total = 0
    for call in graph.calls:
        traits = call.op.traits
        if only is None or call.op in only:
            total += call_flops(call)
        elif traits.body_flops is not None:
            total += traits.body_flops(call.params, functools.partial(graph_flops, only=only))
        elif traits.flops is None and call.op.fallback is not None:
            total += _fallback_flops(call, only)
    return total


def call_bytes(call: Call) -> int:
    """Bytes a Call reads and writes at least: all its arguments and outputs once."""
    read = [_nbytes(spec_of(a)) for a in call.args]
    written = sum(_nbytes(v.spec) for v in call.outs)
    if call.op.traits.selects:
        read[0] = min(read[0], written)
    return sum(read) + written


def _nbytes(spec: Any) -> int:
    return layout.nbytes(spec.shape, dtypes.as_numpy(spec.dtype).itemsize) if type(spec) is Spec else 0


def fallback_graph(call: Call) -> Graph:
    """The calls that a fused op stands for, as a graph."""
    args = [Tensor(Value(spec_of(a))) if hasattr(a, "shape") else a for a in call.args]
    trace = Trace(Graph())
    with swapped(top=trace, call=CallContext(call.place)):
        call.op.fallback(*args, **call.params)
    return trace.graph
