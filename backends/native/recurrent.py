"""LSTM and GRU over `xp`. Inside, time is the first axis, so that a step is one block of memory."""

from mlkit.backends.native.fused import in_single
from mlkit.core.dtypes import name_of
from mlkit.core.spec import Spec


def make(xp):
    """Op name -> kernel."""
    table = {**_lstm(xp), **_gru(xp)}
    kernels = {name: in_single(xp, kernel) for name, kernel in table.items()}
    kernels["lstm"].keeps = lambda x, h, *_: _kept(x, 6, h.shape[1], x.shape[0])
    kernels["gru"].keeps = lambda x, h, *_: _kept(x, x.shape[0], 4 * h.shape[1])
    return kernels


def _kept(x, *step):
    """The Spec of what is kept for the gradient."""
    return Spec((x.shape[1], *step), name_of(x.dtype))


def _time_first(x):
    return x.transpose(1, 0, 2)


def _rows(x):
    """(time, batch, width) -> (time * batch, width)"""
    return x.reshape(-1, x.shape[2])


def _states(xp, first, hs):
    """The state before each step, (time * batch, units)."""
    return _rows(xp.concatenate([first[None], _time_first(hs)[:-1]]))


def _sigmoid(xp, z):
    """In place."""
    xp.negative(z, out=z)
    xp.exp(z, out=z)
    z += 1
    xp.reciprocal(z, out=z)


def _lstm(xp):
    """Inside, all is transposed: (units, batch), so that gates are dense and one matrix product gives all of them."""

    def lstm(x, h, c, kernel, recurrent, bias, keep=None):
        """Kept are, for each step, the gates i, f, candidate and o, tanh(c), and the c before."""
        batch, time, _ = x.shape
        u = h.shape[1]
        z = xp.matmul(kernel.T, x.transpose(1, 2, 0))
        if bias is not None:
            z += bias[:, None]
        z = z.reshape(time, 4, u, batch)
        kept = xp.empty((time if keep else 1, 6, u, batch), x.dtype)
        hs = xp.empty((batch, time, u), x.dtype)
        back, h, c = xp.ascontiguousarray(recurrent.T), xp.ascontiguousarray(h.T), xp.ascontiguousarray(c.T)
        for t in range(time):
            step = kept[t if keep else 0]
            gates, (i, f, candidate, o, th, before) = step[:4], step
            xp.matmul(back, h, out=gates.reshape(4 * u, batch))
            gates += z[t]
            xp.tanh(candidate, out=th)
            _sigmoid(xp, gates)
            candidate[...] = th
            before[...] = c
            c = f * c
            c += i * candidate
            xp.tanh(c, out=th)
            h = o * th
            hs[:, t] = h.T
        results = hs, xp.ascontiguousarray(h.T), xp.ascontiguousarray(c.T)
        return (*results, kept) if keep else results

    def lstm_grad(ghs, gh, gc, x, h, c, kernel, recurrent, bias, *results):
        hs, *_, kept = results or lstm(x, h, c, kernel, recurrent, bias, keep=True)
        time, _, u, batch = kept.shape
        dz = xp.empty((4, u, time, batch), kept.dtype)
        dh, dc = (xp.zeros((u, batch), kept.dtype) if g is None else g.T.copy() for g in (gh, gc))
        for t in range(time - 1, -1, -1):
            i, f, candidate, o, th, before = kept[t]
            now = xp.empty((4, u, batch), kept.dtype)
            if ghs is not None:
                dh += ghs[:, t].T
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
            dh = xp.matmul(recurrent, now.reshape(4 * u, batch))
            dc *= f
            dz[:, :, t] = now
        dz = dz.reshape(4 * u, time * batch)
        dx = xp.matmul(kernel, dz).reshape(-1, time, batch).transpose(2, 1, 0)
        d_kernel, d_recurrent = (xp.matmul(dz, a).T for a in (_rows(_time_first(x)), _states(xp, h, hs)))
        return dx, dh.T, dc.T, d_kernel, d_recurrent, dz.sum(1)

    return dict(lstm=lstm, lstm_grad=lstm_grad)


def _gru(xp):
    def gru(x, h, kernel, recurrent, bias, keep=None):
        """Kept are, for each step, both gates, the candidate, and what the reset gate multiplies."""
        batch, time, _ = x.shape
        u = h.shape[1]
        z = xp.matmul(_rows(_time_first(x)), kernel)
        if bias is not None:
            z += bias[0]
        z = z.reshape(time, batch, 3 * u)
        hs, kept = xp.empty((time, batch, u), x.dtype), xp.empty((time if keep else 1, batch, 4 * u), x.dtype)
        product = xp.empty((batch, 3 * u), x.dtype)
        for t in range(time):
            xp.matmul(h, recurrent, out=product)
            if bias is not None:
                product += bias[1]
            step = kept[t if keep else 0]
            update_reset, candidate, inner = step[:, : 2 * u], step[:, 2 * u : 3 * u], step[:, 3 * u :]
            xp.add(z[t][:, : 2 * u], product[:, : 2 * u], out=update_reset)
            _sigmoid(xp, update_reset)
            inner[...] = product[:, 2 * u :]
            xp.multiply(update_reset[:, u:], inner, out=candidate)
            candidate += z[t][:, 2 * u :]
            xp.tanh(candidate, out=candidate)
            new = xp.subtract(h, candidate, out=hs[t])
            new *= update_reset[:, :u]
            new += candidate
            h = new
        results = _time_first(hs), h.copy()
        return (*results, kept) if keep else results

    def gru_grad(ghs, gh, x, h, kernel, recurrent, bias, *results):
        hs, _, kept = results or gru(x, h, kernel, recurrent, bias, keep=True)
        time, batch, u = kept.shape[0], *h.shape
        dxs, dss = xp.empty((2, time, batch, 3 * u), hs.dtype)
        back = xp.ascontiguousarray(recurrent.T)
        dh = xp.zeros_like(h) if gh is None else gh.copy()
        product = xp.empty_like(h)
        for t in range(time - 1, -1, -1):
            update, reset, candidate, inner = (kept[t][:, k * u : (k + 1) * u] for k in range(4))
            du, dr, dc = (dxs[t][:, k * u : (k + 1) * u] for k in range(3))
            if ghs is not None:
                dh += ghs[:, t]
            xp.subtract(hs[:, t - 1] if t else h, candidate, out=du)
            du *= dh
            du *= update - update * update
            xp.subtract(1, update, out=dc)
            dc *= dh
            dc *= 1 - candidate * candidate
            xp.multiply(dc, inner, out=dr)
            dr *= reset - reset * reset
            dss[t] = dxs[t]
            dss[t][:, 2 * u :] *= reset
            dh *= update
            dh += xp.matmul(dss[t], back, out=product)
        dxs, dss = _rows(dxs), _rows(dss)
        dx = _time_first(xp.matmul(dxs, kernel.T).reshape(time, batch, -1))
        d_kernel, d_recurrent = xp.matmul(_rows(_time_first(x)).T, dxs), xp.matmul(_states(xp, h, hs).T, dss)
        return dx, dh, d_kernel, d_recurrent, xp.stack([dxs.sum(0), dss.sum(0)])

    return dict(gru=gru, gru_grad=gru_grad)
