"""Convolution and pooling as nodes of ONNX, which has channels first: transposes stand around them, which runtimes cancel."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.graph import Call
from mlkit.core.spec import Dim, window_padding
from mlkit.core.tensor import Value
from mlkit.export.onnx_writer import Writer
from mlkit.export.tracing import op


def _first(w: Writer, x: str, rank: int) -> str:
    """Channels last -> channels first."""
    return w.node("Transpose", [x], perm=[0, rank + 1, *range(1, rank + 1)])


def _last(w: Writer, x: str, rank: int) -> str:
    return w.node("Transpose", [x], perm=[0, *range(2, rank + 2), 1])


def _padding(x: Any, window: Sequence[int], p: dict[str, Any]) -> dict[str, Any]:
    """ONNX's attributes of the margins."""
    rank, dilation = len(window), p.get("dilation") or (1,) * len(window)
    sizes = x.shape[1 : rank + 1]
    if p["padding"] == "same" and any(type(n) is Dim for n in sizes):
        return {"auto_pad": "SAME_UPPER"}
    pairs = [window_padding(p["padding"], i, sizes[i], window[i], p["strides"][i], dilation[i]) for i in range(rank)]
    return {"pads": [a for a, _ in pairs] + [b for _, b in pairs]}


def _conv(w: Writer, call: Call) -> str:
    x, kernel = call.args
    p, rank = call.params, len(kernel.shape) - 2
    order = (rank + 1, rank, *range(rank))
    weights = (
        w.node("Transpose", [w.name(kernel)], perm=list(order))
        if type(kernel) is Value
        else w.constant(np.transpose(kernel, order))
    )
    steps = dict(strides=list(p["strides"]), dilations=list(p["dilation"]), group=p["groups"])
    y = w.node("Conv", [_first(w, w.name(x), rank), weights], **steps, **_padding(x, kernel.shape[:rank], p))
    return _last(w, y, rank)


def _conv_input(w: Writer, call: Call) -> str:
    """The gradient of a convolution by its input, which transposed convolutions are."""
    g, kernel = call.args
    p, rank = call.params, len(kernel.shape) - 2
    shape = p["shape"]
    pairs = [
        window_padding(p["padding"], i, shape[i + 1], kernel.shape[i], p["strides"][i], p["dilation"][i]) for i in range(rank)
    ]
    # what is left over at the end, where windows do not reach
    rest = [
        shape[i + 1] - ((g.shape[i + 1] - 1) * p["strides"][i] + (kernel.shape[i] - 1) * p["dilation"][i] + 1 - a - b)
        for i, (a, b) in enumerate(pairs)
    ]
    order = (rank + 1, rank, *range(rank))
    weights = w.constant(np.transpose(kernel, order))
    steps = dict(strides=list(p["strides"]), dilations=list(p["dilation"]), group=p["groups"])
    pads = [a for a, _ in pairs] + [b for _, b in pairs]
    y = w.node("ConvTranspose", [_first(w, w.name(g), rank), weights], pads=pads, output_padding=rest, **steps)
    return _last(w, y, rank)


def _pool(kind: str, **attributes: Any) -> Any:
    def row(w: Writer, call: Call) -> str:
        (x,), p = call.args, call.params
        rank = len(p["window"])
        window = dict(kernel_shape=list(p["window"]), strides=list(p["strides"]))
        y = w.node(kind, [_first(w, w.name(x), rank)], **window, **attributes, **_padding(x, p["window"], p))
        return _last(w, y, rank)

    return row


ROWS = {
    op("conv"): _conv,
    op("conv_input"): _conv_input,
    op("max_pool"): _pool("MaxPool"),
    op("avg_pool"): _pool("AveragePool", count_include_pad=0),
}
