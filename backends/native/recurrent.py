"""LSTM and GRU over `xp`. Inside, time is the first axis, so that a step is one block of memory."""

from mlkit.backends.native.fused import in_single


def make(xp):
    """Op name -> kernel."""
    table = {**_lstm(xp), **_gru(xp)}
    return {name: in_single(xp, kernel) for name, kernel in table.items()}


def _time_first(x):
    return x.transpose(1, 0, 2)


def _project(xp, x, kernel, bias):
    """(batch, time, features) -> (time, batch, gates), with one matrix product."""
    time_first = _time_first(x)
    t, b, f = time_first.shape
    z = xp.matmul(time_first.reshape(t * b, f), kernel)
    if bias is not None:
        z += bias
    return z.reshape(t, b, kernel.shape[1])


def _sigmoid(xp, z):
    """In place."""
    xp.negative(z, out=z)
    xp.exp(z, out=z)
    z += 1
    xp.reciprocal(z, out=z)


def _lstm(xp):
    """Inside, all is transposed: (units, batch), so that gates are dense and one matrix product gives all of them."""

    def lstm(x, h, c, kernel, recurrent, bias):
        batch, time, _ = x.shape
        u = h.shape[1]
        z = xp.matmul(kernel.T, x.transpose(1, 2, 0))
        if bias is not None:
            z += bias[:, None]
        z = z.reshape(time, 4, u, batch)
        kept, hs = xp.empty((time, 6, u, batch), x.dtype), xp.empty((batch, time, u), x.dtype)
        back, h, c = xp.ascontiguousarray(recurrent.T), xp.ascontiguousarray(h.T), xp.ascontiguousarray(c.T)
        for t in range(time):
            gates, (i, f, candidate, o, th, before) = kept[t, :4], kept[t]
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
        return hs, xp.ascontiguousarray(c.T), kept

    def lstm_grad(gh, gc, x, h, kernel, recurrent, hs, kept):
        time, _, u, batch = kept.shape
        dz = xp.empty((4, u, time, batch), kept.dtype)
        dh, dc = xp.zeros((2, u, batch), kept.dtype)
        if gc is not None:
            dc += gc.T
        for t in range(time - 1, -1, -1):
            i, f, candidate, o, th, before = kept[t]
            now = xp.empty((4, u, batch), kept.dtype)
            if gh is not None:
                dh += gh[:, t].T
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
            xp.matmul(recurrent, now.reshape(4 * u, batch), out=dh)
            dc *= f
            dz[:, :, t] = now
        dz = dz.reshape(4 * u, time * batch)
        inputs = _time_first(x).reshape(time * batch, -1)
        states = xp.concatenate([h[None], _time_first(hs)[:-1]]).reshape(time * batch, u)
        dx = xp.matmul(kernel, dz).reshape(-1, time, batch).transpose(2, 1, 0)
        return dx, dh.T, dc.T, xp.matmul(dz, inputs).T, xp.matmul(dz, states).T, dz.sum(1)

    return dict(lstm=lstm, lstm_grad=lstm_grad)


def _gru(xp):
    def gru(x, h, kernel, recurrent, bias):
        z = _project(xp, x, kernel, None if bias is None else bias[0])
        time, batch, _ = z.shape
        u = h.shape[1]
        hs, gates = xp.empty((time, batch, u), x.dtype), xp.empty((time, batch, 4 * u), x.dtype)
        product = xp.empty((batch, 3 * u), x.dtype)
        for t in range(time):
            xp.matmul(h, recurrent, out=product)
            if bias is not None:
                product += bias[1]
            update_reset, candidate, inner = gates[t][:, : 2 * u], gates[t][:, 2 * u : 3 * u], gates[t][:, 3 * u :]
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
        return _time_first(hs), _time_first(gates)

    def gru_grad(g, h, recurrent, hs, gates):
        hs, gates = _time_first(hs), _time_first(gates)
        time, batch, u = hs.shape
        dxs, dss = xp.empty((2, time, batch, 3 * u), hs.dtype)
        back = xp.ascontiguousarray(recurrent.T)
        dh, product = xp.zeros_like(h), xp.empty_like(h)
        for t in range(time - 1, -1, -1):
            update, reset, candidate, inner = (gates[t][:, k * u : (k + 1) * u] for k in range(4))
            du, dr, dc = (dxs[t][:, k * u : (k + 1) * u] for k in range(3))
            dh += g[:, t]
            xp.subtract(hs[t - 1] if t else h, candidate, out=du)
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
        return _time_first(dxs), _time_first(dss), dh

    return dict(gru=gru, gru_grad=gru_grad)
