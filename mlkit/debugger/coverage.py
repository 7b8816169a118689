"""Which values of a step have to be looked at to know that what all layers give is finite, and all gradients.

Looking at a value costs reading it, and it may not stay within a fused kernel then. So of what is large only that is looked at which
nothing else tells of. Two rules tell: an op that hands on every NaN and infinity (a product: 0 times infinity is NaN) has a finite
result only for finite arguments; and some ops give finite numbers for finite arguments always.
"""

from mlkit.core.tensor import Value
from mlkit.debugger.step_graph import FORWARD, StepGraph
from mlkit.primitives import elementwise, movement, reduction, shape, window
from mlkit.primitives.fused import activation, mask, normalization
from mlkit.primitives.fused.attention import attention
from mlkit.primitives.fused.group_norm import group_norm
from mlkit.primitives.fused.softmax import softmax
from mlkit.primitives.linear import matmul

SMALL = 1 << 14  # elements of a gradient that are always looked at
# Those of whose arguments a NaN or an infinity reaches the result, wherever it stands.
HANDS_ON = {
    matmul: (0, 1), window.conv: (0, 1), window.conv_input: (0, 1), window.conv_kernel: (0, 1), elementwise.add: (0, 1),
    elementwise.sub: (0, 1), elementwise.mul: (0, 1), elementwise.div: (0,), elementwise.neg: (0,), elementwise.cast: (0,),
    elementwise.stop_gradient: (0,), shape.sum_: (0,), shape.reshape: (0,), shape.transpose: (0,), shape.broadcast_to: (0,),
    normalization.batch_norm: (0,),
}  # fmt: skip
# Normalized numbers are no larger than the root of how many there were, so they are finite with their mean and deviation.
KEEPS_FINITE = {
    activation.relu, activation.gelu, activation.silu, activation.softplus, attention, elementwise.abs_, elementwise.maximum,
    elementwise.minimum, elementwise.neg, elementwise.sigmoid, elementwise.stop_gradient, elementwise.tanh, elementwise.where,
    mask.masked_scale, movement.concat, movement.flip, movement.pad, movement.slice_, movement.take, normalization.batch_norm,
    normalization.layer_norm, normalization.rms_norm, group_norm, reduction.max_, reduction.min_, shape.broadcast_to, shape.reshape,
    shape.transpose, softmax, window.avg_pool, window.max_pool,
}  # fmt: skip


def looked_at(graph: StepGraph) -> dict[str, Value]:
    """Name -> value, of a training step's gradients and of what its layers give."""
    found = {f"gradient of {name}": g for name, g in _gradients(graph).items()}
    found |= {"loss": graph.values["loss"]} if "loss" in graph.values else {}
    state = [v for v in graph.written.values() if type(v) is Value and _size(v) <= SMALL]
    told = _told_of(graph, [*found.values(), *state])
    finite = {id(v) for v in [*graph.inputs, *graph.variables.values()]}
    outputs = {id(v): name for name, v in graph.values.items() if name in set(graph.layers)}
    for call, phase in zip(graph.calls, graph.phases):
        if phase != FORWARD:
            continue
        if all(id(v) in finite or id(v) in told or not _is_float(v) for v in call.inputs) and call.op in KEEPS_FINITE:
            finite.update(map(id, call.outs))
        for v in call.outs:
            if id(v) in outputs and id(v) not in told and id(v) not in finite and _is_float(v):
                found[outputs[id(v)]] = v
                finite.add(id(v))
    return found


def _gradients(graph: StepGraph) -> dict[str, Value]:
    """Of all variables, but of a layer's large ones only where it has no small ones: these have the gradient of what it gives in them."""
    all_of: dict[str, dict[str, Value]] = {}
    for variable, value in graph.variables.items():
        g = graph.gradients.get(id(value))
        if variable.trainable and type(g) is Value and _is_float(g):
            all_of.setdefault(variable.path.rpartition("/")[0], {})[variable.path] = g
    found = {}
    for own in all_of.values():
        small = {name: g for name, g in own.items() if _size(g) <= SMALL}
        found |= small or own
    return found


def _told_of(graph: StepGraph, values: list[Value]) -> set[int]:
    """ids of the values that cannot hold what is not finite while these are finite."""
    told = set(map(id, values))
    for call in reversed(graph.calls):
        if call.op in HANDS_ON and any(id(v) in told for v in call.outs):
            told.update(id(call.args[k]) for k in HANDS_ON[call.op] if type(call.args[k]) is Value)
    return told


def _is_float(v: Value) -> bool:
    return v.dtype.startswith(("float", "bfloat"))


def _size(v: Value) -> int:
    size = 1
    for n in v.shape:
        size *= n
    return size
