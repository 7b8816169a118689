"""Recurrent ops as ONNX's LSTM, GRU and RNN: other orders of gates, time before the batch, a first axis of directions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.graph import Call
from mlkit.core.tensor import Value
from mlkit.export.onnx_writer import Writer
from mlkit.export.tracing import op

LSTM_ORDER = (0, 3, 1, 2)  # i f c o -> i o f c


def _gates(array: Any, order: Sequence[int]) -> np.ndarray:
    """Gates along the last axis -> in another order along the first."""
    parts = np.split(np.asarray(array), len(order), axis=-1)
    return np.concatenate([np.moveaxis(parts[k], -1, 0) for k in order])


def _run(w: Writer, call: Call, kind: str, order: Sequence[int], bias: np.ndarray | None, **attributes: Any) -> list[str]:
    states = STATES[call.op]
    x, (kernel, recurrent) = call.args[0], call.args[1 + states : 3 + states]
    units = recurrent.shape[0]
    inputs = [
        w.node("Transpose", [w.name(x)], perm=[1, 0, 2]),
        w.constant(_gates(kernel, order)[None]),
        w.constant(_gates(recurrent, order)[None]),
        w.constant(bias[None]) if bias is not None else "",
        "",
        *(w.node("Unsqueeze", [w.name(s), w.ints([0])]) for s in call.args[1 : 1 + states]),
    ]
    direction = "reverse" if call.params.get("reverse") else "forward"
    outputs = w.node(kind, inputs, outputs=1 + states, hidden_size=units, direction=direction, **attributes)
    steps = w.node("Transpose", [w.node("Squeeze", [outputs[0], w.ints([1])])], perm=[1, 0, 2])
    return [steps, *(w.node("Squeeze", [s, w.ints([0])]) for s in outputs[1:])]


def _lstm(w: Writer, call: Call) -> list[str]:
    bias = call.args[5]
    if bias is not None:
        bias = _gates(bias, LSTM_ORDER)
        bias = np.concatenate([bias, np.zeros_like(bias)])
    return _run(w, call, "LSTM", LSTM_ORDER, bias)


def _gru(w: Writer, call: Call) -> list[str]:
    bias, reset_after = call.args[4], call.params.get("reset_after", True)
    if bias is not None:
        bias = np.asarray(bias).reshape(-1)
        bias = bias if reset_after else np.concatenate([bias, np.zeros_like(bias)])
    return _run(w, call, "GRU", (0, 1, 2), bias, linear_before_reset=int(reset_after))


def _rnn(w: Writer, call: Call) -> list[str]:
    bias = call.args[4]
    if bias is not None:
        bias = np.concatenate([np.asarray(bias), np.zeros_like(bias)])
    activation = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}[call.params["activation"]]
    return _run(w, call, "RNN", (0,), bias, activations=[activation])


def has_constant_weights(call: Call) -> bool:
    """Whether weights are known: they are laid out anew while the file is written."""
    return not any(type(a) is Value for a in call.args[1 + STATES[call.op] :])


ROWS = {op("lstm"): _lstm, op("gru"): _gru, op("rnn"): _rnn}
STATES = {op("lstm"): 2, op("gru"): 1, op("rnn"): 1}  # how many arguments between the inputs and the weights are states
