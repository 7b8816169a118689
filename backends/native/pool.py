"""Pooling over `xp`: for each cell of the window one pass over the outputs."""

import math

from mlkit.core import dtypes


def make(xp):
    """Op name -> kernel."""
    from mlkit.backends.native.window import Geometry

    def geometry(shape, window, strides, padding):
        return Geometry(shape, window, strides, padding, (1,) * len(window))

    def lowest(dtype):
        return -math.inf if dtypes.is_float(dtypes.name_of(dtype)) else dtypes.limits(dtypes.name_of(dtype))[0]

    def max_pool(x, **p):
        geo = geometry(x.shape, **p)
        x = geo.pad(xp, x, lowest(x.dtype))
        out = None
        for _, index in geo.taps():
            out = xp.array(x[index]) if out is None else xp.maximum(out, x[index], out=out)
        return out

    def maxima(geo, x, y):
        """For each cell of the window: its index, and where it holds the maximum and no cell before it does."""
        taken = xp.zeros(y.shape, bool)
        x = geo.pad(xp, x, lowest(x.dtype))
        for _, index in geo.taps():
            here = (x[index] == y) & ~taken
            taken |= here
            yield index, here

    def max_pool_grad(x, y, g, **p):
        geo = geometry(x.shape, **p)
        dx = xp.zeros((x.shape[0], *geo.padded, x.shape[-1]), g.dtype)
        for index, here in maxima(geo, x, y):
            dx[index] += g * here
        return dx[geo.inner] if geo.is_padded else dx

    def max_pool_pick(x, y, h, **p):
        geo = geometry(x.shape, **p)
        out = xp.zeros(y.shape, h.dtype)
        h = geo.pad(xp, h)
        for index, here in maxima(geo, x, y):
            out += h[index] * here
        return out

    def counts(geo, dtype):
        """Number of real cells in each window; broadcasts over batch and channels."""
        out = 1
        for i, (n, (a, _), k, s, m) in enumerate(zip(geo.shape[1:-1], geo.pads, geo.window, geo.strides, geo.out)):
            start = xp.arange(m) * s - a
            line = xp.minimum(start + k, n) - xp.maximum(start, 0)
            out = out * line.reshape([m if j == i + 1 else 1 for j in range(len(geo.shape))])
        return xp.maximum(out, 1).astype(dtype)

    def avg_pool(x, **p):
        geo = geometry(x.shape, **p)
        wide = _wide(x.dtype)
        padded = geo.pad(xp, x)
        out = xp.zeros((x.shape[0], *geo.out, x.shape[-1]), wide)
        for _, index in geo.taps():
            out += padded[index]
        return _divide(xp, out, counts(geo, wide)).astype(x.dtype, copy=False)

    def avg_pool_grad(g, shape, **p):
        geo = geometry(shape, **p)
        wide = _wide(g.dtype)
        part = _divide(xp, g.astype(wide), counts(geo, wide))
        dx = xp.zeros((shape[0], *geo.padded, shape[-1]), wide)
        for _, index in geo.taps():
            dx[index] += part
        return (dx[geo.inner] if geo.is_padded else dx).astype(g.dtype, copy=False)

    return dict(
        max_pool=max_pool, max_pool_grad=max_pool_grad, max_pool_pick=max_pool_pick, avg_pool=avg_pool, avg_pool_grad=avg_pool_grad
    )


def _wide(dtype):
    """Half floats are summed in float32."""
    return "float32" if str(dtype) in ("float16", "bfloat16") else dtype


def _divide(xp, total, count):
    return total // count if total.dtype.kind in "iu" else total / count
