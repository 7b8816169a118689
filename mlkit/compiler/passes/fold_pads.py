"""Folding: margins of zeros around a convolution's input are the convolution's own padding; nothing needs to be copied."""

from collections.abc import Sequence
from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern, rewritten
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.fused.epilogue import conv_bias_act
from mlkit.primitives.movement import pad, slice_
from mlkit.primitives.window import conv, conv_input, conv_kernel

_CONVOLUTIONS = (conv, conv_bias_act, conv_kernel)
_OF_PADDED = Pattern(_CONVOLUTIONS, Pattern(pad, "x", call="padded"))
_PART_OF_GRADIENT = Pattern(slice_, Pattern(conv_input, call="gradient", alone=True))


def fold_pads(graph: Graph, target: Target | None = None) -> Graph:
    """The graph with pad + convolution, and with the gradient of such a pair, as one call."""
    return rewritten(graph, (_OF_PADDED, _padding_itself), (_PART_OF_GRADIENT, _without_margins))


def _padding_itself(rewriter: Rewriter, call: Call, x: Value, padded: Call) -> Value | None:
    margins, padding = _margins(padded.params), call.params["padding"]
    if margins and padding != "same":
        return rewriter.add(call.op, (x, *call.args[1:]), dict(call.params, padding=_joined(padding, margins)))


def _without_margins(rewriter: Rewriter, call: Call, gradient: Call) -> Value | None:
    margins, padding = _cut(call, gradient.outs[0].shape), gradient.params["padding"]
    if margins and padding != "same":
        params = dict(gradient.params, shape=call.outs[0].shape, padding=_joined(padding, margins))
        return rewriter.add(conv_input, gradient.args, params)


def _margins(params: dict[str, Any]) -> tuple[tuple[int, int], ...] | None:
    """(before, after) of each spatial axis, if these are zeros and nothing else is padded; or None."""
    low, high = params["low"], params["high"]
    plain = params["value"] == 0 and not any(params["interior"]) and min(*low, *high) >= 0
    return tuple(zip(low, high))[1:-1] if plain and not any((low[0], high[0], low[-1], high[-1])) else None


def _cut(call: Call, shape: Sequence[Any]) -> tuple[tuple[int, int], ...] | None:
    """What a slice takes away of each spatial axis, as margins; None if it does anything else."""
    starts, stops = call.params["starts"], call.params["stops"]
    if any(s != 1 for s in call.params["strides"]) or any(starts[i] or stops[i] != shape[i] for i in (0, -1)):
        return None
    return tuple((a, n - b) for a, b, n in zip(starts, stops, shape))[1:-1]


def _joined(padding: Any, margins: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    pairs = ((0, 0),) * len(margins) if padding == "valid" else padding
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(pairs, margins))


PASS = Pass("fold_pads", fold_pads, needs=(*_CONVOLUTIONS, conv_input))
