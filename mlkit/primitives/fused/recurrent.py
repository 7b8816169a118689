"""Recurrent nets over whole sequences, and their gradients: LSTM, GRU and the simple one, which has a single "gate".

Sequences are (batch, time, features), states (batch, units). Gates stand in Keras's order: i, f, c, o for the LSTM, z, r, h for
the GRU. With one state s or two of them:

    x, *s, kernel (features, gates * units), recurrent kernel (units, gates * units), bias or None -> h at all times, *last s
    gradients of these results (or None), these arguments -> gradients of the arguments

With `reverse` the steps go from the last time to the first; h stands where its x does, and the last s are those of the first
time.

A gradient needs the gates. By its mathematics it computes them again; but in a program that holds both calls the first may keep
them: as a further result with the Spec `keep`, which is whatever the kernel likes. The gradient takes all results of that
call but the first as further arguments then.
See `compiler/passes/keep_for_gradients.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Spec, require, same_size, show
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import relu
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import concat, element, slice_along
from mlkit.primitives.shape import reshape, sum_


def _check(
    name: str,
    x: Spec,
    states: tuple[Spec, ...],
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    gates: int,
    bias_rows: tuple[int, ...] = (),
) -> None:
    """bias_rows: sizes of the bias before its last axis."""
    batch: Any = x.shape[0] if x.shape else None
    units: Any = recurrent.shape[0] if recurrent.shape else None
    for state in states:
        if len(state.shape) != 2:
            raise ValueError(f"{name}: a state must have the axes (batch, units), but has shape {show(state.shape)}.")
    fits = (
        len(x.shape) == 3
        and len(kernel.shape) == len(recurrent.shape) == 2
        and same_size(x.shape[2], kernel.shape[0])
        and kernel.shape[1] == recurrent.shape[1] == gates * units
        and same_size(states[0].shape[1], units)
    )
    if not fits:
        raise ValueError(
            f"{name}: inputs of shape {show(x.shape)} and a state of shape {show(states[0].shape)} need a kernel of shape "
            f"(features, {gates} * units) and a recurrent kernel of shape (units, {gates} * units), but these have shapes "
            f"{show(kernel.shape)} and {show(recurrent.shape)}."
        )
    el.require_dtype(name, x.dtype, dtypes.FLOATS)
    if x.shape[1] == 0:
        raise ValueError(f"{name}: the inputs of shape {show(x.shape)} have no steps (axis 1).")
    for state in states:
        require(name, f"beside inputs of shape {show(x.shape)} each state", state, (batch, units), x.dtype)
    for what, weight in (("the kernel", kernel), ("the recurrent kernel", recurrent)):
        require(name, what, weight, weight.shape, x.dtype)
    require(name, "the bias", bias, (*bias_rows, gates * units), x.dtype)


def _check_gradient(
    name: str, g_outputs: Spec | None, g_states: Sequence[Spec | None], x: Spec, states: tuple[Spec, ...], kept: Any
) -> None:
    """kept: results of the forward call, the last one as its kernel likes it."""
    require(name, "the gradient of the outputs", g_outputs, (*x.shape[:2], states[0].shape[1]), x.dtype)
    for g in g_states:
        require(name, "the gradient of a state", g, states[0].shape, x.dtype)
    for last in kept[:-1]:
        require(name, "a last state", last, states[0].shape, x.dtype)


def _split(x: Tensor, n: int) -> list[Tensor]:
    """n equal parts of the last axis."""
    last, size = x.ndim - 1, x.shape[-1] // n
    return [slice_along(x, last, i * size, (i + 1) * size) for i in range(n)]


def _times(x: Tensor, reverse: bool) -> range:
    """The times in the order of the steps."""
    times = range(x.shape[1])
    return times[::-1] if reverse else times


def _join(steps: Sequence[Tensor], reverse: bool) -> Tensor:
    """A list over the steps of (batch, features) -> (batch, time, features)."""
    return concat(*(reshape(s, shape=(s.shape[0], 1, *s.shape[1:])) for s in (steps[::-1] if reverse else steps)), axis=1)


def _last_axis(*parts: Tensor) -> Tensor:
    return concat(*parts, axis=parts[0].ndim - 1)


def _project(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """All time steps at once: one large product."""
    z = matmul(x, kernel)
    return z if bias is None else z + bias


def _flat(x: Tensor) -> Tensor:
    return reshape(x, shape=(x.shape[0] * x.shape[1], x.shape[2]))


def _weight_grad(inputs: Tensor, dz: Tensor) -> Tensor:
    """Summed over batch and time."""
    return matmul(swap(_flat(inputs)), _flat(dz))


def _total(*terms: Tensor | None) -> Tensor:
    """The sum of those that are not None."""
    found = [t for t in terms if t is not None]
    out = found[0]
    for t in found[1:]:
        out = out + t
    return out


def _results(x: Spec, states: tuple[Spec, ...], keep: Spec | None) -> tuple[Spec, ...]:
    h = states[0]
    results = Spec((x.shape[0], x.shape[1], h.shape[-1]), x.dtype), *states
    return results if keep is None else (*results, keep)


def _vjp(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """That of an op, by what gives its gradient op."""

    def vjp(g: Sequence[Tensor | None], out: tuple[Tensor, ...], *args: Any, **params: Any) -> tuple[Tensor | None, ...]:
        *found, d_bias = gradient()(*g, *args, **params)
        return *found, None if args[-1] is None else d_bias

    return vjp


# ---- LSTM ------------------------------------------------------------------------------------------------------------


def _lstm_spec(
    x: Spec, h: Spec, c: Spec, kernel: Spec, recurrent: Spec, bias: Spec | None, reverse: bool = False, keep: Spec | None = None
) -> tuple[Spec, ...]:
    _check("lstm", x, (h, c), kernel, recurrent, bias, 4)
    return _results(x, (h, c), keep)


def _lstm_steps(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, reverse: bool
) -> Iterator[tuple[Any, ...]]:
    """For each step h and c after it, and i, f, candidate, o, tanh(c) and the h and c before."""
    z = _project(x, kernel, bias)
    for t in _times(x, reverse):
        zi, zf, zc, zo = _split(element(z, t, axis=1) + matmul(h, recurrent), 4)
        i, f, candidate, o = el.sigmoid(zi), el.sigmoid(zf), el.tanh(zc), el.sigmoid(zo)
        before = h, c
        c = f * c + i * candidate
        th = el.tanh(c)
        h = o * th
        yield h, c, (i, f, candidate, o, th, *before)


def _lstm(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, reverse: bool = False
) -> tuple[Tensor, ...]:
    steps = list(_lstm_steps(x, h, c, kernel, recurrent, bias, reverse))
    return _join([step[0] for step in steps], reverse), *steps[-1][:2]


def _lstm_grad_spec(
    ghs: Spec | None,
    gh: Spec | None,
    gc: Spec | None,
    x: Spec,
    h: Spec,
    c: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    *kept,
    reverse: bool = False,
) -> tuple[Spec, ...]:
    _check("lstm_grad", x, (h, c), kernel, recurrent, bias, 4)
    _check_gradient("lstm_grad", ghs, (gh, gc), x, (h, c), kept)
    return x, h, c, kernel, recurrent, Spec((kernel.shape[1],), x.dtype)


def _lstm_grad(
    ghs: Tensor | None,
    gh: Tensor | None,
    gc: Tensor | None,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    reverse: bool = False,
) -> tuple[Tensor | None, ...]:
    """The steps the other way round."""
    steps = list(_lstm_steps(x, h, c, kernel, recurrent, bias, reverse))
    dh, dc = gh, gc
    dzs = []
    for t, step in zip(_times(x, not reverse), reversed(steps)):
        i, f, candidate, o, th, _, before = step[2]
        dh = _total(dh, None if ghs is None else element(ghs, t, axis=1), th * 0)
        dc = _total(dc, dh * o * (1 - th * th))
        di, df = dc * candidate * i * (1 - i), dc * before * f * (1 - f)
        dg, do = dc * i * (1 - candidate * candidate), dh * th * o * (1 - o)
        dzs.append(_last_axis(di, df, dg, do))
        dh, dc = matmul(dzs[-1], swap(recurrent)), dc * f
    dz, hs = _join(dzs, not reverse), _join([step[2][5] for step in steps], reverse)
    d_recurrent, d_bias = _weight_grad(hs, dz), sum_(dz, axes=(0, 1), keepdims=False)
    return matmul(dz, swap(kernel)), dh, dc, _weight_grad(x, dz), d_recurrent, d_bias


# States h and c; bias (4 units). Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the
# forget gate of Gers et al. (2000).
lstm = Op("lstm", _lstm_spec, _vjp(lambda: lstm_grad), "x", _lstm)
lstm_grad = lstm.variant("grad", _lstm_grad_spec, fallback=_lstm_grad, traits=Traits(kept=3))


# ---- GRU -------------------------------------------------------------------------------------------------------------


def _gru_spec(
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    reset_after: bool = True,
    reverse: bool = False,
    keep: Spec | None = None,
) -> tuple[Spec, ...]:
    _check("gru", x, (h,), kernel, recurrent, bias, 3, _bias_rows(reset_after))
    return _results(x, (h,), keep)


def _bias_rows(reset_after: bool) -> tuple[int, ...]:
    return (2,) if reset_after else ()


def _biases(bias: Tensor | None, reset_after: bool) -> tuple[Tensor | None, Tensor | None]:
    """The biases for the inputs and for the state."""
    if bias is None or not reset_after:
        return bias, None
    return element(bias, 0), element(bias, 1)


def _for_gates(recurrent: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrent kernel's parts for both gates and for the candidate."""
    units = recurrent.shape[0]
    return slice_along(recurrent, 1, 0, 2 * units), slice_along(recurrent, 1, 2 * units, 3 * units)


def _gru_steps(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, reset_after: bool, reverse: bool
) -> Iterator[tuple[Any, ...]]:
    """For each step h after it, and both gates, the candidate, what the reset gate multiplies and the h before."""
    input_bias, state_bias = _biases(bias, reset_after)
    for_gates, for_candidate = _for_gates(recurrent)
    z = _project(x, kernel, input_bias)
    for t in _times(x, reverse):
        xz, xr, xh = _split(element(z, t, axis=1), 3)
        if reset_after:
            sz, sr, inner = _split(_project(h, recurrent, state_bias), 3)
        else:
            (sz, sr), inner = _split(matmul(h, for_gates), 2), h
        update, reset = el.sigmoid(xz + sz), el.sigmoid(xr + sr)
        chosen = reset * inner
        candidate = el.tanh(xh + (chosen if reset_after else matmul(chosen, for_candidate)))
        before, h = h, update * h + (1 - update) * candidate
        yield h, (update, reset, candidate, inner, before)


def _gru(
    x: Tensor,
    h: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    reset_after: bool = True,
    reverse: bool = False,
) -> tuple[Tensor, ...]:
    hs = [h for h, _ in _gru_steps(x, h, kernel, recurrent, bias, reset_after, reverse)]
    return _join(hs, reverse), hs[-1]


def _gru_grad_spec(
    ghs: Spec | None,
    gh: Spec | None,
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    *kept,
    reset_after: bool = True,
    reverse: bool = False,
) -> tuple[Spec, ...]:
    _check("gru_grad", x, (h,), kernel, recurrent, bias, 3, _bias_rows(reset_after))
    _check_gradient("gru_grad", ghs, (gh,), x, (h,), kept)
    return x, h, kernel, recurrent, Spec((*_bias_rows(reset_after), kernel.shape[1]), x.dtype)


def _gru_grad(
    ghs: Tensor | None,
    gh: Tensor | None,
    x: Tensor,
    h: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    reset_after: bool = True,
    reverse: bool = False,
) -> tuple[Tensor | None, ...]:
    """The steps the other way round."""
    steps = list(_gru_steps(x, h, kernel, recurrent, bias, reset_after, reverse))
    for_gates, for_candidate = _for_gates(recurrent)
    dh = gh
    dxs, dss = [], []  # gradients of what the kernel gives, and of what the recurrent kernel gives
    for t, step in zip(_times(x, not reverse), reversed(steps)):
        update, reset, candidate, inner, before = step[1]
        dh = _total(dh, None if ghs is None else element(ghs, t, axis=1), inner * 0)
        du = dh * (before - candidate) * update * (1 - update)
        dc = dh * (1 - update) * (1 - candidate * candidate)
        d_chosen = dc if reset_after else matmul(dc, swap(for_candidate))
        dr, d_inner = d_chosen * inner * reset * (1 - reset), d_chosen * reset
        dxs.append(_last_axis(du, dr, dc))
        dss.append(_last_axis(du, dr, d_inner) if reset_after else _last_axis(du, dr))
        dh = dh * update + matmul(dss[-1], swap(recurrent if reset_after else for_gates))
        dh = dh if reset_after else dh + d_inner
    dx, ds = _join(dxs, not reverse), _join(dss, not reverse)
    hs = _join([before for _, (*_, before) in steps], reverse)
    d_recurrent, d_bias = _weight_grad(hs, ds), sum_(dx, axes=(0, 1), keepdims=False)
    if reset_after:
        d_bias = concat(*(reshape(b, shape=(1, b.shape[0])) for b in (d_bias, sum_(ds, axes=(0, 1), keepdims=False))), axis=0)
    else:
        chosen = _join([reset * before for _, (_, reset, *_, before) in steps], reverse)
        d_recurrent = _last_axis(d_recurrent, _weight_grad(chosen, _split(dx, 3)[2]))
    return matmul(dx, swap(kernel)), dh, _weight_grad(x, dx), d_recurrent, d_bias


# State h. Cho et al., EMNLP 2014, whose reset gate multiplies the state; bias (3 units). With `reset_after` it multiplies the
# state's product with the recurrent kernel instead, as in cuDNN; bias (2, 3 units), for the inputs and for the state.
gru = Op("gru", _gru_spec, _vjp(lambda: gru_grad), "x", _gru)
gru_grad = gru.variant("grad", _gru_grad_spec, fallback=_gru_grad, traits=Traits(kept=2))


# ---- the simple one --------------------------------------------------------------------------------------------------

_ACTIVATIONS = {op.name: op for op in (el.tanh, el.sigmoid, relu)}  # whose gradients are functions of their results


def _rnn_spec(
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    activation: str,
    reverse: bool = False,
    keep: Spec | None = None,
) -> tuple[Spec, ...]:
    _check("rnn", x, (h,), kernel, recurrent, bias, 1)
    if activation not in _ACTIVATIONS:
        raise ValueError(f"rnn: unknown activation {activation!r}; known are {', '.join(_ACTIVATIONS)}.")
    return _results(x, (h,), keep)


def _rnn_steps(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, activation: str, reverse: bool
) -> Iterator[Tensor]:
    """h after each step."""
    z = _project(x, kernel, bias)
    for t in _times(x, reverse):
        h = _ACTIVATIONS[activation](element(z, t, axis=1) + matmul(h, recurrent))
        yield h


def _rnn(
    x: Tensor, h: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor | None, activation: str, reverse: bool = False
) -> tuple[Tensor, ...]:
    hs = list(_rnn_steps(x, h, kernel, recurrent, bias, activation, reverse))
    return _join(hs, reverse), hs[-1]


def _rnn_grad_spec(
    ghs: Spec | None,
    gh: Spec | None,
    x: Spec,
    h: Spec,
    kernel: Spec,
    recurrent: Spec,
    bias: Spec | None,
    *kept,
    activation: str,
    reverse: bool = False,
) -> tuple[Spec, ...]:
    _check("rnn_grad", x, (h,), kernel, recurrent, bias, 1)
    _check_gradient("rnn_grad", ghs, (gh,), x, (h,), kept)
    return x, h, kernel, recurrent, Spec((kernel.shape[1],), x.dtype)


def _rnn_grad(
    ghs: Tensor | None,
    gh: Tensor | None,
    x: Tensor,
    h: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor | None,
    activation: str,
    reverse: bool = False,
) -> tuple[Tensor | None, ...]:
    """The steps the other way round."""
    hs = list(_rnn_steps(x, h, kernel, recurrent, bias, activation, reverse))
    dh, dzs = gh, []
    for t, y in zip(_times(x, not reverse), reversed(hs)):
        dh = _total(dh, None if ghs is None else element(ghs, t, axis=1), y * 0)
        dzs += _ACTIVATIONS[activation].vjp(dh, y, y)
        dh = matmul(dzs[-1], swap(recurrent))
    dz, before = _join(dzs, not reverse), _join([h, *hs[:-1]], reverse)
    d_bias = sum_(dz, axes=(0, 1), keepdims=False)
    return matmul(dz, swap(kernel)), dh, _weight_grad(x, dz), _weight_grad(before, dz), d_bias


# State h; bias (units). Elman, "Finding structure in time", Cognitive Science 14 (1990).
rnn = Op("rnn", _rnn_spec, _vjp(lambda: rnn_grad), "x", _rnn)
rnn_grad = rnn.variant("grad", _rnn_grad_spec, fallback=_rnn_grad, traits=Traits(kept=2))
