"""LSTM and GRU over whole sequences, and their gradients.

Sequences are (batch, time, features). Gates stand in Keras's order: i, f, c, o for the LSTM, z, r, h for the GRU.
"""

from mlkit.core.op import Op
from mlkit.core.spec import Spec, same_size, show
from mlkit.ops import elementwise as el
from mlkit.ops.fused.second_order import through_fallback
from mlkit.ops.linear import matmul, swap
from mlkit.ops.movement import concat, reshape, slice_along
from mlkit.ops.reduction import sum_


def _check(name, x, h, kernel, recurrent, gates):
    units = h.shape[-1]
    fits = (
        len(x.shape) == 3
        and same_size(x.shape[2], kernel.shape[0])
        and kernel.shape[1] == recurrent.shape[1] == gates * units
        and recurrent.shape[0] == units
    )
    if not fits:
        raise ValueError(
            f"{name}: inputs of shape {show(x.shape)} and a state of shape {show(h.shape)} need a kernel of shape (features, "
            f"{gates} * units) and a recurrent kernel of shape (units, {gates} * units), but these have shapes "
            f"{show(kernel.shape)} and {show(recurrent.shape)}."
        )


def _step(x, t):
    """x[:, t]"""
    return reshape(slice_along(x, 1, t, t + 1), shape=(x.shape[0], *x.shape[2:]))


def _split(x, n):
    """n equal parts of the last axis."""
    last, size = x.ndim - 1, x.shape[-1] // n
    return [slice_along(x, last, i * size, (i + 1) * size) for i in range(n)]


def _join(steps):
    """A list over time of (batch, features) -> (batch, time, features)."""
    return concat(*(reshape(s, shape=(s.shape[0], 1, *s.shape[1:])) for s in steps), axis=1)


def _last_axis(*parts):
    return concat(*parts, axis=parts[0].ndim - 1)


def _project(x, kernel, bias):
    """All time steps at once: one large product."""
    z = matmul(x, kernel)
    return z if bias is None else z + bias


def _flat(x):
    return reshape(x, shape=(x.shape[0] * x.shape[1], x.shape[2]))


def _weight_grad(inputs, dz):
    """Summed over batch and time."""
    return matmul(swap(_flat(inputs)), _flat(dz))


def _shifted(first, states):
    """The state before each step: `first`, then all but the last of `states`."""
    first = reshape(first, shape=(first.shape[0], 1, first.shape[1]))
    return concat(first, slice_along(states, 1, 0, states.shape[1] - 1), axis=1)


def _total(*terms):
    """The sum of those that are not None."""
    found = [t for t in terms if t is not None]
    out = found[0]
    for t in found[1:]:
        out = out + t
    return out


# ---- LSTM ------------------------------------------------------------------------------------------------------------


def _lstm_spec(x, h, c, kernel, recurrent, bias):
    _check("lstm", x, h, kernel, recurrent, 4)
    batch, time, units = x.shape[0], x.shape[1], h.shape[-1]
    return Spec((batch, time, units), x.dtype), c, Spec((time, 6, units, batch), x.dtype)


def _lstm(x, h, c, kernel, recurrent, bias):
    z = _project(x, kernel, bias)
    hs, kept = [], []
    for t in range(x.shape[1]):
        zi, zf, zc, zo = _split(_step(z, t) + matmul(h, recurrent), 4)
        i, f, candidate, o = el.sigmoid(zi), el.sigmoid(zf), el.tanh(zc), el.sigmoid(zo)
        before, c = c, f * c + i * candidate
        th = el.tanh(c)
        h = o * th
        hs.append(h)
        kept.append(concat(*(reshape(swap(a), shape=(1, 1, *a.shape[::-1])) for a in (i, f, candidate, o, th, before)), axis=1))
    return _join(hs), c, concat(*kept, axis=0)


def _lstm_vjp(g, out, x, h, c, kernel, recurrent, bias):
    hs, _, kept = out
    if g[2] is not None:
        return through_fallback(lstm, g, (x, h, c, kernel, recurrent, bias), {})
    *found, d_bias = lstm_grad(g[0], g[1], x, h, kernel, recurrent, hs, kept)
    return *found, None if bias is None else d_bias


# x (b, t, features), first states h and c (b, units), kernel (features, 4 units), recurrent kernel (units, 4 units), bias (4
# units) or None -> h at all times (b, t, units), the last c (b, units), and for the gradient (t, 6, units, b): the gates i, f,
# candidate and o, tanh(c), and the c before. There the batch comes last, so that what a step computes with is dense.
# Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the forget gate of Gers et al. (2000).
lstm = Op("lstm", _lstm_spec, _lstm_vjp, "xy", _lstm)


def _lstm_grad_spec(gh, gc, x, h, kernel, recurrent, hs, kept):
    return x, h, h, kernel, recurrent, Spec((kernel.shape[1],), x.dtype)


def _lstm_grad(gh, gc, x, h, kernel, recurrent, hs, kept):
    """Backward in time. gh, gc: gradients of all h and of the last c, or None."""
    time, _, units, batch = kept.shape
    dh, dc = None, gc
    dzs = []
    for t in range(time - 1, -1, -1):
        step = reshape(slice_along(kept, 0, t, t + 1), shape=(6, units, batch))
        parts = [swap(reshape(slice_along(step, 0, k, k + 1), shape=(units, batch))) for k in range(6)]
        i, f, candidate, o, th, before = parts
        dh = _total(dh, None if gh is None else _step(gh, t), None if gh is not None or dh is not None else th * 0)
        dc = _total(dc, dh * o * (1 - th * th))
        di, df = dc * candidate * i * (1 - i), dc * before * f * (1 - f)
        dg, do = dc * i * (1 - candidate * candidate), dh * th * o * (1 - o)
        dzs.append(_last_axis(di, df, dg, do))
        dh, dc = matmul(dzs[-1], swap(recurrent)), dc * f
    dz = _join(dzs[::-1])
    d_recurrent, d_bias = _weight_grad(_shifted(h, hs), dz), sum_(dz, axes=(0, 1), keepdims=False)
    return matmul(dz, swap(kernel)), dh, dc, _weight_grad(x, dz), d_recurrent, d_bias


# -> gradients of x, of the first h and c, of both kernels and of the bias
lstm_grad = Op("lstm_grad", _lstm_grad_spec, fallback=_lstm_grad)


# ---- GRU -------------------------------------------------------------------------------------------------------------


def _gru_spec(x, h, kernel, recurrent, bias):
    _check("gru", x, h, kernel, recurrent, 3)
    batch, time, units = x.shape[0], x.shape[1], h.shape[-1]
    return Spec((batch, time, units), x.dtype), Spec((batch, time, 4 * units), x.dtype)


def _biases(bias):
    """The two rows of the bias: for the inputs and for the state."""
    if bias is None:
        return None, None
    return (reshape(slice_along(bias, 0, i, i + 1), shape=(bias.shape[1],)) for i in range(2))


def _gru(x, h, kernel, recurrent, bias):
    input_bias, state_bias = _biases(bias)
    z = _project(x, kernel, input_bias)
    hs, gates = [], []
    for t in range(x.shape[1]):
        xz, xr, xh = _split(_step(z, t), 3)
        sz, sr, sh = _split(_project(h, recurrent, state_bias), 3)
        update, reset = el.sigmoid(xz + sz), el.sigmoid(xr + sr)
        candidate = el.tanh(xh + reset * sh)
        h = update * h + (1 - update) * candidate
        hs.append(h)
        gates.append(_last_axis(update, reset, candidate, sh))
    return _join(hs), _join(gates)


def _gru_vjp(g, out, x, h, kernel, recurrent, bias):
    hs, gates = out
    if g[0] is None or g[1] is not None:
        return through_fallback(gru, g, (x, h, kernel, recurrent, bias), {})
    dx, ds, dh = gru_grad(g[0], h, recurrent, hs, gates)
    d_bias = None
    if bias is not None:
        rows = [reshape(sum_(d, axes=(0, 1), keepdims=False), shape=(1, bias.shape[1])) for d in (dx, ds)]
        d_bias = concat(*rows, axis=0)
    return matmul(dx, swap(kernel)), dh, _weight_grad(x, dx), _weight_grad(_shifted(h, hs), ds), d_bias


# x (b, t, features), first state h (b, units), kernel (features, 3 units), recurrent kernel (units, 3 units), bias (2, 3 units)
# or None -> h at all times (b, t, units); for the gradient both gates, the candidate, and what the reset gate multiplies (b, t,
# 4 units). Cho et al., EMNLP 2014, with the reset gate applied after the matrix product, as cuDNN and Keras's reset_after=True
# do.
gru = Op("gru", _gru_spec, _gru_vjp, "xy", _gru)


def _gru_grad_spec(g, h, recurrent, hs, gates):
    wide = Spec((*hs.shape[:2], 3 * h.shape[-1]), h.dtype)
    return wide, wide, h


def _gru_grad(g, h, recurrent, hs, gates):
    """Backward in time."""
    before = _shifted(h, hs)
    dh = None
    dxs, dss = [], []
    for t in range(hs.shape[1] - 1, -1, -1):
        update, reset, candidate, sh = _split(_step(gates, t), 4)
        dh = _total(dh, _step(g, t))
        du = dh * (_step(before, t) - candidate) * update * (1 - update)
        dc = dh * (1 - update) * (1 - candidate * candidate)
        dr = dc * sh * reset * (1 - reset)
        dxs.append(_last_axis(du, dr, dc))
        dss.append(_last_axis(du, dr, dc * reset))
        dh = dh * update + matmul(dss[-1], swap(recurrent))
    return _join(dxs[::-1]), _join(dss[::-1]), dh


# -> gradients of the products of inputs and of state before they meet (b, t, 3 units each), and of the first state
gru_grad = Op("gru_grad", _gru_grad_spec, fallback=_gru_grad)
