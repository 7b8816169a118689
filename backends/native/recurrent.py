"""Recurrent nets over `xp`. Inside, time is the first axis, so that a step is one block of memory.

Half floats are computed in float32, and what is kept for gradients stays so: a gate near 1 would be rounded to 1, where its
derivative vanishes.
"""

from mlkit.backends.native.device import device_of
from mlkit.backends.native.elementwise import is_half
from mlkit.backends.native.fused import in_single
from mlkit.backends.native.matmul import as_matrix
from mlkit.core.dtypes import name_of
from mlkit.core.spec import Spec


def make(xp):
    """Op name -> kernel."""
    cells = device_of(xp).cells(Cells(xp))
    table = {**_lstm(xp, cells), **_gru(xp, cells), **_rnn(xp, cells)}
    results = {"lstm": 3, "gru": 2, "rnn": 2}  # what is kept comes behind
    kernels = {name: in_single(xp, kernel, results.get(name)) for name, kernel in table.items()}
    kernels["lstm"].keeps = lambda x, h, *_, **__: _kept(x, 7, h.shape[1], x.shape[0])
    kernels["gru"].keeps = lambda x, h, *_, **__: _kept(x, x.shape[0], 5 * h.shape[1])
    kernels["rnn"].keeps = lambda x, h, *_, **__: _kept(x, *h.shape)
    return kernels


def _kept(x, *step):
    """The Spec of what is kept for the gradient."""
    return Spec((x.shape[1], *step), "float32" if is_half(x) else name_of(x.dtype))


def _time_first(x):
    return x.transpose(1, 0, 2)


def _times(time, reverse):
    """The times in the order of the steps."""
    return range(time)[::-1] if reverse else range(time)


def _states(xp, first, hs, reverse):
    """The state before each step, (time * batch, units). hs: after each, (time, batch, units)."""
    return as_matrix(xp.concatenate([hs[1:], first[None]] if reverse else [first[None], hs[:-1]]))


def _sigmoid(xp, z):
    """In place."""
    xp.negative(z, out=z)
    xp.exp(z, out=z)
    z += 1
    xp.reciprocal(z, out=z)


class Cells:
    """What a step does element by element, besides its product. All write into arrays that they are given; `ghs`, the gradient of a
    step's result, may be None."""

    def __init__(self, xp):
        self.xp = xp

    def lstm(self, z, step, c, hs):
        """
        Args:
            z: The inputs' part of the sums in the gates.
            step: What is kept (7, units, batch), of which the first four are the product with the state, without `z`.
            c: Before and after (units, batch).
            hs: The result (batch, units).
        """
        xp, gates, (i, f, candidate, o, th, before, h) = self.xp, step[:4], step
        gates += z
        xp.tanh(candidate, out=th)
        _sigmoid(xp, gates)
        candidate[...] = th
        before[...] = c
        c *= f
        c += i * candidate
        xp.tanh(c, out=th)
        xp.multiply(o, th, out=h)
        hs[...] = h.T

    def lstm_grad(self, step, ghs, dh, dc, now, dz):
        """dh: what later steps give, of no use afterwards; dc: after and before; now, dz: where the gradients of the sums in the gates go,
        both of them."""
        xp, (i, f, candidate, o, th, before, _) = self.xp, step
        if ghs is not None:
            dh += ghs.T
        xp.multiply(dh, th, out=now[3])
        now[3] *= o - o * o
        dh *= o
        dh *= 1 - th * th
        dc += dh
        xp.multiply(dc, candidate, out=now[0])
        now[0] *= i - i * i
        xp.multiply(dc, before, out=now[1])
        now[1] *= f - f * f
        xp.multiply(dc, i, out=now[2])
        now[2] *= 1 - candidate * candidate
        dc *= f
        dz[...] = now

    def gru(self, z, product, bias, h, step, hs):
        """Of nets that reset after the product. z, product: the parts of the inputs and of the state, to which `bias` is added unless it
        is None; h: before; step: what is kept; hs: after."""
        xp, u = self.xp, h.shape[1]
        update_reset, candidate, inner = step[:, : 2 * u], step[:, 2 * u : 3 * u], step[:, 3 * u : 4 * u]
        if bias is not None:
            product += bias
        xp.add(z[:, : 2 * u], product[:, : 2 * u], out=update_reset)
        _sigmoid(xp, update_reset)
        inner[...] = product[:, 2 * u :]
        xp.multiply(update_reset[:, u:], inner, out=candidate)
        candidate += z[:, 2 * u :]
        xp.tanh(candidate, out=candidate)
        _mixed(xp, h, update_reset[:, :u], candidate, hs)
        step[:, 4 * u :] = hs

    def gru_grad(self, step, before, ghs, product, dh, dx, ds):
        """dh: what later steps give besides `product`, and what this one gives, without its product; dx, ds: the gradients of the sums in
        the gates, and of the state's part of them."""
        xp, u = self.xp, dh.shape[1]
        update, reset, candidate, inner = (step[:, k * u : (k + 1) * u] for k in range(4))
        du, dr, dc = (dx[:, k * u : (k + 1) * u] for k in range(3))
        dh += product
        if ghs is not None:
            dh += ghs
        _gate_gradients(xp, dh, before, update, candidate, du, dc)
        xp.multiply(dc, inner, out=dr)
        dr *= reset - reset * reset
        ds[:, : 2 * u] = dx[:, : 2 * u]
        xp.multiply(dc, reset, out=ds[:, 2 * u :])
        dh *= update

    def gru_gates(self, z, product, h, step, chosen):
        """Of nets that reset before the product: the gates, and what of the state goes into the candidate's product. Arguments as for
        `gru`; `product` is that of the gates."""
        xp, u = self.xp, h.shape[1]
        update_reset = step[:, : 2 * u]
        xp.add(z[:, : 2 * u], product, out=update_reset)
        _sigmoid(xp, update_reset)
        step[:, 3 * u : 4 * u] = h
        xp.multiply(update_reset[:, u:], h, out=chosen)

    def gru_candidate(self, z, product, h, step, hs):
        """What follows `gru_gates`: the state after. product: that of the candidate."""
        xp, u = self.xp, h.shape[1]
        candidate = step[:, 2 * u : 3 * u]
        xp.add(z[:, 2 * u :], product, out=candidate)
        xp.tanh(candidate, out=candidate)
        _mixed(xp, h, step[:, :u], candidate, hs)
        step[:, 4 * u :] = hs

    def gru_candidate_grad(self, step, before, ghs, product, dh, dx, dc):
        """The gradient of `gru_candidate`. Arguments as for `gru_grad`; dc: a dense copy of the candidate's part of `dx`."""
        xp, u = self.xp, dh.shape[1]
        update, candidate = step[:, :u], step[:, 2 * u : 3 * u]
        dh += product
        if ghs is not None:
            dh += ghs
        _gate_gradients(xp, dh, before, update, candidate, dx[:, :u], dc)
        dx[:, 2 * u :] = dc

    def gru_gates_grad(self, step, d_chosen, dh, dx, ds):
        """The gradient of `gru_gates`. d_chosen: of its result; ds: a dense copy of the gates' part of `dx`."""
        xp, u = self.xp, dh.shape[1]
        update, reset, inner, dr = step[:, :u], step[:, u : 2 * u], step[:, 3 * u : 4 * u], dx[:, u : 2 * u]
        xp.multiply(d_chosen, inner, out=dr)
        dr *= reset - reset * reset
        ds[...] = dx[:, : 2 * u]
        dh *= update
        dh += d_chosen * reset

    def rnn(self, product, hs, activation):
        """product: the state's part of the sums; hs: the inputs' part before, the state after."""
        hs += product
        _activate(self.xp, hs, activation)

    def rnn_grad(self, hs, ghs, dh, dz, activation):
        """hs: the state after; dh: what later steps give; dz: where the gradients of the sums go."""
        xp = self.xp
        if ghs is None:
            dz[...] = dh
        else:
            xp.add(dh, ghs, out=dz)
        if activation == "relu":
            xp.copyto(dz, 0, where=xp.logical_not(hs > 0))
        else:
            dz *= 1 - hs * hs if activation == "tanh" else hs - hs * hs


def _activate(xp, z, activation):
    """In place."""
    if activation == "sigmoid":
        _sigmoid(xp, z)
    elif activation == "tanh":
        xp.tanh(z, out=z)
    else:
        xp.maximum(z, 0, out=z)


def _mixed(xp, h, update, candidate, out):
    """A GRU's state after a step."""
    xp.subtract(h, candidate, out=out)
    out *= update
    out += candidate


def _gate_gradients(xp, dh, before, update, candidate, du, dc):
    """The gradients of the sums in a GRU's update gate and in its candidate."""
    xp.subtract(before, candidate, out=du)
    du *= dh
    du *= update - update * update
    xp.subtract(1, update, out=dc)
    dc *= dh
    dc *= 1 - candidate * candidate


def _lstm(xp, cells):
    """Inside, all is transposed: (units, batch), so that gates are dense and one matrix product gives all of them."""

    def lstm(x, h, c, kernel, recurrent, bias, reverse=False, keep=None):
        """Kept are, for each step, the gates i, f, candidate and o, tanh(c), the c before, and h."""
        batch, time, _ = x.shape
        u = h.shape[1]
        z = xp.matmul(kernel.T, x.transpose(1, 2, 0))
        if bias is not None:
            z += bias[:, None]
        z = z.reshape(time, 4, u, batch)
        kept = xp.empty((time if keep else 1, 7, u, batch), x.dtype)
        hs = xp.empty((batch, time, u), x.dtype)
        back, h, c = xp.ascontiguousarray(recurrent.T), xp.ascontiguousarray(h.T), xp.array(c.T, order="C")
        for t in _times(time, reverse):
            step = kept[t if keep else 0]
            xp.matmul(back, h, out=step[:4].reshape(4 * u, batch))
            cells.lstm(z[t], step, c, hs[:, t])
            h = step[6]
        results = hs, xp.ascontiguousarray(h.T), xp.ascontiguousarray(c.T)
        return (*results, kept) if keep else results

    def lstm_grad(ghs, gh, gc, x, h, c, kernel, recurrent, bias, *kept, reverse=False):
        kept = (kept or lstm(x, h, c, kernel, recurrent, bias, reverse, keep=True))[-1]
        time, _, u, batch = kept.shape
        dz = xp.empty((4, u, time, batch), kept.dtype)
        dh, dc = (xp.zeros((u, batch), kept.dtype) if g is None else xp.array(g.T, order="C") for g in (gh, gc))
        now = xp.empty((4, u, batch), kept.dtype)
        ghs = ghs if ghs is None else xp.ascontiguousarray(ghs)
        for t in _times(time, not reverse):
            cells.lstm_grad(kept[t], None if ghs is None else ghs[:, t], dh, dc, now, dz[:, :, t])
            dh = xp.matmul(recurrent, now.reshape(4 * u, batch))
        dz = dz.reshape(4 * u, time * batch)
        dx = xp.matmul(kernel, dz).reshape(len(kernel), time, batch).transpose(2, 1, 0)
        before = _states(xp, h, kept[:, 6].transpose(0, 2, 1), reverse)
        d_kernel, d_recurrent = (xp.matmul(dz, a).T for a in (as_matrix(_time_first(x)), before))
        return dx, dh.T, dc.T, d_kernel, d_recurrent, dz.sum(1)

    return dict(lstm=lstm, lstm_grad=lstm_grad)


def _gru(xp, cells):
    def gru(x, h, kernel, recurrent, bias, reset_after=True, reverse=False, keep=None):
        """Kept are, for each step, both gates, the candidate, what the reset gate multiplies, and h."""
        batch, time, _ = x.shape
        u, h = h.shape[1], xp.ascontiguousarray(h)
        z = xp.matmul(as_matrix(_time_first(x)), kernel)
        if bias is not None:
            z += bias[0] if reset_after else bias
        z = z.reshape(time, batch, 3 * u)
        hs, kept = xp.empty((time, batch, u), x.dtype), xp.empty((time if keep else 1, batch, 5 * u), x.dtype)
        of_state = xp.ascontiguousarray(bias[1]) if bias is not None and reset_after else None
        at_once, for_candidate = (recurrent, None) if reset_after else _halves(xp, recurrent, 2 * u)
        product = xp.empty((batch, at_once.shape[1]), x.dtype)
        chosen = None if reset_after else xp.empty((batch, u), x.dtype)
        for t in _times(time, reverse):
            step = kept[t if keep else 0]
            xp.matmul(h, at_once, out=product)
            if reset_after:
                cells.gru(z[t], product, of_state, h, step, hs[t])
            else:
                cells.gru_gates(z[t], product, h, step, chosen)
                cells.gru_candidate(z[t], xp.matmul(chosen, for_candidate), h, step, hs[t])
            h = hs[t]
        results = _time_first(hs), h.copy()
        return (*results, kept) if keep else results

    def gru_grad(ghs, gh, x, h, kernel, recurrent, bias, *kept, reset_after=True, reverse=False):
        kept = (kept or gru(x, h, kernel, recurrent, bias, reset_after, reverse, keep=True))[-1]
        time, batch, u = kept.shape[0], *h.shape
        before = _states(xp, h, kept[:, :, 4 * u :], reverse)
        dxs = xp.empty((time, batch, 3 * u), kept.dtype)  # gradients of the sums in the gates
        dss = xp.empty(
            (time, batch, 3 * u) if reset_after else (1, batch, 2 * u), kept.dtype
        )  # and of the state's product in them
        back = xp.ascontiguousarray(recurrent.T)
        at_once, for_candidate = (back, None) if reset_after else (back[: 2 * u], back[2 * u :])
        dh = xp.zeros(h.shape, h.dtype) if gh is None else xp.array(gh, order="C")
        product, dc = xp.zeros((2, *h.shape), h.dtype)
        ghs = ghs if ghs is None else xp.ascontiguousarray(ghs)
        for t in _times(time, not reverse):
            now, of_result = before[t * batch : (t + 1) * batch], None if ghs is None else ghs[:, t]
            if reset_after:
                cells.gru_grad(kept[t], now, of_result, product, dh, dxs[t], dss[t])
            else:
                cells.gru_candidate_grad(kept[t], now, of_result, product, dh, dxs[t], dc)
                cells.gru_gates_grad(kept[t], xp.matmul(dc, for_candidate), dh, dxs[t], dss[0])
            xp.matmul(dss[t if reset_after else 0], at_once, out=product)
        dh += product
        dxs = as_matrix(dxs)
        dx = _time_first(xp.matmul(dxs, kernel.T).reshape(time, batch, len(kernel)))
        d_kernel = xp.matmul(as_matrix(_time_first(x)).T, dxs)
        if reset_after:
            return dx, dh, d_kernel, xp.matmul(before.T, as_matrix(dss)), xp.stack([dxs.sum(0), as_matrix(dss).sum(0)])
        chosen = as_matrix(kept[:, :, u : 2 * u] * kept[:, :, 3 * u : 4 * u])
        parts = xp.matmul(before.T, dxs[:, : 2 * u]), xp.matmul(chosen.T, dxs[:, 2 * u :])
        return dx, dh, d_kernel, xp.concatenate(parts, axis=1), dxs.sum(0)

    return dict(gru=gru, gru_grad=gru_grad)


def _halves(xp, matrix, split):
    """Its columns before and from one on, dense."""
    return xp.ascontiguousarray(matrix[:, :split]), xp.ascontiguousarray(matrix[:, split:])


def _rnn(xp, cells):
    def rnn(x, h, kernel, recurrent, bias, activation, reverse=False, keep=None):
        """Kept is h at all times."""
        batch, time, _ = x.shape
        hs = xp.matmul(as_matrix(_time_first(x)), kernel)
        if bias is not None:
            hs += bias
        hs = hs.reshape(time, batch, h.shape[1])
        for t in _times(time, reverse):
            cells.rnn(xp.matmul(h, recurrent), hs[t], activation)
            h = hs[t]
        results = _time_first(hs), h.copy()
        return (*results, hs.copy()) if keep else results

    def rnn_grad(ghs, gh, x, h, kernel, recurrent, bias, *kept, activation, reverse=False):
        hs = (kept or rnn(x, h, kernel, recurrent, bias, activation, reverse, keep=True))[-1]
        time, back = hs.shape[0], xp.ascontiguousarray(recurrent.T)
        dh, dz = xp.zeros(h.shape, h.dtype) if gh is None else xp.ascontiguousarray(gh), xp.empty(hs.shape, hs.dtype)
        ghs = ghs if ghs is None else xp.ascontiguousarray(ghs)
        for t in _times(time, not reverse):
            cells.rnn_grad(hs[t], None if ghs is None else ghs[:, t], dh, dz[t], activation)
            dh = xp.matmul(dz[t], back)
        dz = as_matrix(dz)
        dx = _time_first(xp.matmul(dz, kernel.T).reshape(time, len(h), len(kernel)))
        d_kernel, d_recurrent = (xp.matmul(a.T, dz) for a in (as_matrix(_time_first(x)), _states(xp, h, hs, reverse)))
        return dx, dh, d_kernel, d_recurrent, dz.sum(0)

    return dict(rnn=rnn, rnn_grad=rnn_grad)
