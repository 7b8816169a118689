"""LSTM and GRU over `xp`. Inside, time is the first axis, so that a step is one block of memory; results are views with batch
first.
"""

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
    def lstm(x, h, c, kernel, recurrent, bias):
        gates = _project(xp, x, kernel, bias)
        time, batch, _ = gates.shape
        u = h.shape[1]
        hs, cs = xp.empty((2, time, batch, u), x.dtype)
        product, kept = xp.empty((batch, 4 * u), x.dtype), xp.empty((batch, u), x.dtype)
        for t in range(time):
            z = gates[t]
            z += xp.matmul(h, recurrent, out=product)
            _sigmoid(xp, z[:, : 2 * u])
            xp.tanh(z[:, 2 * u : 3 * u], out=z[:, 2 * u : 3 * u])
            _sigmoid(xp, z[:, 3 * u :])
            xp.multiply(z[:, u : 2 * u], c, out=kept)
            c = xp.multiply(z[:, :u], z[:, 2 * u : 3 * u], out=cs[t])
            c += kept
            h = xp.tanh(c, out=hs[t])
            h *= z[:, 3 * u :]
        return _time_first(hs), _time_first(cs), _time_first(gates)

    def lstm_grad(gh, gc, h, c, recurrent, hs, cs, gates):
        cs, gates = _time_first(cs), _time_first(gates)
        time, batch, u = cs.shape
        dzs = xp.empty(gates.shape, gates.dtype)
        back = xp.ascontiguousarray(recurrent.T)
        dh, dc = xp.zeros_like(c), xp.zeros_like(c)
        for t in range(time - 1, -1, -1):
            i, f, candidate, o = (gates[t][:, k * u : (k + 1) * u] for k in range(4))
            di, df, dg, do = (dzs[t][:, k * u : (k + 1) * u] for k in range(4))
            if gh is not None:
                dh += gh[:, t]
            if gc is not None:
                dc += gc[:, t]
            th = xp.tanh(cs[t])
            xp.multiply(dh, th, out=do)
            do *= o - o * o
            th *= th
            xp.subtract(1, th, out=th)
            th *= dh
            th *= o
            dc += th
            xp.multiply(dc, candidate, out=di)
            di *= i - i * i
            xp.multiply(dc, cs[t - 1] if t else c, out=df)
            df *= f - f * f
            xp.multiply(dc, i, out=dg)
            dg *= 1 - candidate * candidate
            xp.matmul(dzs[t], back, out=dh)
            dc *= f
        return _time_first(dzs), dh, dc

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
