"""Pooling over `xp`: for each cell of the window one pass over the outputs."""

import math

from mlkit.backends.native.geometry import Geometry, writing
from mlkit.core import dtypes


def make(xp):
    """Op name -> kernel."""

    def geometry(shape, window, strides, padding):
        return Geometry(shape, window, strides, padding, (1,) * len(window))

    def lowest(dtype):
        return -math.inf if dtypes.is_float(dtypes.name_of(dtype)) else dtypes.limits(dtypes.name_of(dtype))[0]

    def max_pool(x, out=None, **p):
        geo = geometry(x.shape, **p)
        y = xp.empty((x.shape[0], *geo.out, x.shape[-1]), x.dtype) if out is None else out
        for block in geo.blocks(x.shape[0], 2 * x[:1].nbytes):
            xb, yb = geo.pad(xp, x[block], lowest(x.dtype)), y[block]
            for i, (_, index) in enumerate(geo.taps()):
                if i:
                    xp.maximum(yb, xb[index], out=yb)
                else:
                    xp.copyto(yb, xb[index])
        return y

    def maxima(geo, x, y):
        """For each cell of the window: its index, and where it holds the maximum and no cell before it does."""
        x = geo.pad(xp, x, lowest(x.dtype))
        taps = [index for _, index in geo.taps()]
        free = None  # windows whose maximum has not been met
        for index in taps[:-1]:
            here = x[index] == y
            if free is None:
                free = ~here
            else:
                here &= free
                free ^= here
            yield index, here
        yield taps[-1], xp.ones(y.shape, bool) if free is None else free

    def max_pool_grad(x, y, g, out=None, **p):
        geo = geometry(x.shape, **p)
        dx = xp.empty(x.shape, g.dtype) if out is None else out
        for block in geo.blocks(x.shape[0], 4 * x[:1].nbytes):
            gb, db = g[block], geo.zeros(xp, dx[block])
            for index, here in maxima(geo, x[block], y[block]):
                if geo.is_disjoint:
                    xp.multiply(gb, here, out=db[index])
                else:
                    db[index] += gb * here
            geo.crop_into(dx[block], db)
        return dx

    def max_pool_pick(x, y, h, **p):
        geo = geometry(x.shape, **p)
        out = xp.zeros(y.shape, h.dtype)
        h = geo.pad(xp, h)
        for index, here in maxima(geo, x, y):
            out += h[index] * here
        return out

    def counts(geo, dtype):
        """Number of real cells in each window; broadcasts over batch and channels."""
        if not geo.is_padded:
            return xp.asarray(math.prod(geo.window), dtype)
        out = 1
        for i, (n, (a, _), k, s, m) in enumerate(zip(geo.shape[1:-1], geo.pads, geo.window, geo.strides, geo.out)):
            start = xp.arange(m) * s - a
            line = xp.minimum(start + k, n) - xp.maximum(start, 0)
            out = out * line.reshape([m if j == i + 1 else 1 for j in range(len(geo.shape))])
        return xp.maximum(out, 1).astype(dtype)

    def avg_pool(x, **p):
        geo = geometry(x.shape, **p)
        wide = _wide(x.dtype)
        out = xp.zeros((x.shape[0], *geo.out, x.shape[-1]), wide)
        count = counts(geo, wide)
        for block in geo.blocks(x.shape[0], 2 * x[:1].nbytes):
            xb, part = geo.pad(xp, x[block]), out[block]
            for _, index in geo.taps():
                part += xb[index]
            _divide(xp, part, count)
        return out.astype(x.dtype, copy=False)

    def avg_pool_grad(g, shape, **p):
        geo = geometry(shape, **p)
        wide = _wide(g.dtype)
        count = counts(geo, wide)
        dx = xp.zeros((shape[0], *geo.padded, shape[-1]), wide)
        for block in geo.blocks(shape[0], 2 * dx[:1].nbytes):
            part, db = xp.array(g[block], wide), dx[block]
            _divide(xp, part, count)
            for _, index in geo.taps():
                if geo.is_disjoint:
                    db[index] = part
                else:
                    db[index] += part
        return (dx[geo.inner] if geo.is_padded else dx).astype(g.dtype, copy=False)

    return dict(
        max_pool=writing(max_pool), max_pool_grad=writing(max_pool_grad), max_pool_pick=max_pool_pick,
        avg_pool=avg_pool, avg_pool_grad=avg_pool_grad,
    )  # fmt: skip


def _wide(dtype):
    """Half floats are summed in float32."""
    return "float32" if str(dtype) in ("float16", "bfloat16") else dtype


def _divide(xp, total, count):
    """In place."""
    (xp.floor_divide if total.dtype.kind in "iu" else xp.divide)(total, count, out=total)
