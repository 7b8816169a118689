"""Convolution and pooling over `xp`: the reference rows, and the fallback of faster libraries.

Convolution is im2col and one matrix product, a few images at a time so that the columns stay in the cache.
Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for Document Processing, 2006.
"""

import math

from mlkit.backends.native.elementwise import is_half
from mlkit.backends.native.geometry import BLOCK_BYTES, Geometry, writing
from mlkit.backends.native.matmul import as_matrix
from mlkit.backends.native.pool import make as make_pools
from mlkit.core import dtypes
from mlkit.core.spec import Spec


def make(xp):
    """Op name -> rows."""
    table = {}
    for name, rows in _convolutions(xp).items():
        rows = [(accepts, writing(method)) for accepts, method in rows]
        rows[-1][1].workspace = _WORKSPACE[name]
        table[name] = [_half_row(rows[-1][1]), *rows]
    return {**table, **make_pools(xp)}


def _convolutions(xp):
    general, depthwise, pointwise = _General(xp), _Depthwise(xp), _Pointwise(xp)
    return dict(
        conv=[
            (lambda x, w, **p: _is_pointwise(w.shape, p), pointwise.conv),
            (lambda x, w, **p: _is_depthwise(x.shape, p), depthwise.conv),
            (None, general.conv),
        ],
        conv_input=[
            (lambda g, w, shape, **p: _is_pointwise(w.shape, p), pointwise.conv_input),
            (lambda g, w, shape, **p: _is_depthwise(shape, p), depthwise.conv_input),
            (None, general.conv_input),
        ],
        conv_kernel=[
            (lambda x, g, shape, **p: _is_pointwise(shape, p), pointwise.conv_kernel),
            (lambda x, g, shape, **p: _is_depthwise(x.shape, p), depthwise.conv_kernel),
            (None, general.conv_kernel),
        ],
    )


def _is_pointwise(kernel, p):
    return all(k == 1 for k in kernel[:-2]) and p["groups"] == 1 and p["padding"] in ("valid", "same")


def _is_depthwise(shape, p):
    return p["groups"] == shape[-1] > 1


def _half_row(kernel):
    """A row for half floats: compute in float32, round once."""

    def accepts(a, b, **p):
        return is_half(a)

    def run(a, b, **p):
        return kernel(a.astype("float32"), b.astype("float32"), **p).astype(a.dtype)

    return accepts, run


def _columns_bytes(x, kernel, p):
    """Memory of the columns that are made at a time for an input x (or the spec of one)."""
    geo = Geometry(x.shape, kernel[:-2], *(p[k] for k in ("strides", "padding", "dilation")))
    image = dtypes.as_numpy(str(x.dtype)).itemsize * math.prod(geo.out) * math.prod(kernel[:-1])
    return image * min(x.shape[0], max(1, BLOCK_BYTES // max(image, 1)))


_WORKSPACE = dict(
    conv=lambda x, w, **p: _columns_bytes(x, w.shape, p),
    conv_kernel=lambda x, g, shape, **p: _columns_bytes(x, shape, p),
    conv_input=lambda g, w, shape, **p: _columns_bytes(Spec(shape, str(g.dtype)), w.shape, p) // math.prod(w.shape[:-2]),
)


class _General:
    """Any convolution."""

    def __init__(self, xp):
        self.xp = xp

    def _columns(self, x, geo, group):
        """A block of images as the matrix (positions, window cells * channels of the group).

        With few channels it is copied transposed, so that the inner loop of the copy runs over positions.
        """
        rows, cells = x.shape[0] * math.prod(geo.out), math.prod(geo.window) * (group.stop - group.start)
        if geo.window[-1] * (group.stop - group.start) < min(geo.out[-1], 32):
            return geo.windows(self.xp, x[..., group], "window").reshape(cells, rows).T
        return geo.windows(self.xp, x[..., group]).reshape(rows, cells)

    def conv(self, x, w, strides, padding, dilation, groups, out=None):
        xp, geo = self.xp, Geometry(x.shape, w.shape[:-2], strides, padding, dilation)
        y = xp.empty((x.shape[0], *geo.out, w.shape[-1]), x.dtype) if out is None else out
        for block in _blocks(geo, x, w.shape):
            xb, yb = geo.pad(xp, x[block]), as_matrix(y[block])
            for gx, gy in _groups(w.shape, groups):
                columns = self._columns(xb, geo, gx)
                xp.matmul(columns, as_matrix(w[..., gy]), out=yb[:, gy])
        return y

    def conv_kernel(self, x, g, shape, strides, padding, dilation, groups, out=None):
        xp, geo = self.xp, Geometry(x.shape, shape[:-2], strides, padding, dilation)
        dw = _zeros(xp, shape, x.dtype, out)
        flat = as_matrix(dw)
        for block in _blocks(geo, x, shape):
            xb, gb = geo.pad(xp, x[block]), as_matrix(g[block])
            for gx, gy in _groups(shape, groups):
                flat[:, gy] += self._columns(xb, geo, gx).T @ gb[:, gy]
        return dw

    def conv_input(self, g, w, shape, strides, padding, dilation, groups, out=None):
        """For each cell of the window one product, added where the cell lay in the input (col2im)."""
        xp, geo = self.xp, Geometry(shape, w.shape[:-2], strides, padding, dilation)
        dx = xp.empty(shape, g.dtype) if out is None else out
        transposed = xp.ascontiguousarray(xp.swapaxes(w, -1, -2))
        for block in _blocks(geo, dx, w.shape):
            gb, db = as_matrix(g[block]), geo.zeros(xp, dx[block])
            for gx, gy in _groups(w.shape, groups):
                for tap, index in geo.taps():
                    part = db[..., gx][index]
                    part += (gb[:, gy] @ transposed[tap][gy]).reshape(part.shape)
            geo.crop_into(dx[block], db)
        return dx


def _blocks(geo, x, kernel):
    """Slices of the batch that are computed at a time."""
    return geo.blocks(x.shape[0], x.itemsize * math.prod(geo.out) * math.prod(kernel[:-1]))


def _groups(kernel, groups):
    """(input channels, output channels) of each group."""
    channels, filters = kernel[-2], kernel[-1] // groups
    return [(slice(i * channels, (i + 1) * channels), slice(i * filters, (i + 1) * filters)) for i in range(groups)]


def _zeros(xp, shape, dtype, out):
    if out is None:
        return xp.zeros(shape, dtype)
    out.fill(0)
    return out


class _Depthwise:
    """Each channel has filters of its own: shifted products, summed; there is no matrix to multiply.

    With one filter a channel all arrays have the channels last; with more, (channels, filters) are their last two axes.
    """

    def __init__(self, xp):
        self.xp = xp

    def _lines(self, w, geo, last):
        """The kernel repeated along the last spatial axis: twice as fast as broadcasting, whose inner loop is over channels."""
        w = w.reshape(*geo.window, 1, *last)
        return self.xp.ascontiguousarray(self.xp.broadcast_to(w, (*geo.window, geo.out[-1], *last)))

    def conv(self, x, w, strides, padding, dilation, groups, out=None):
        xp, geo = self.xp, Geometry(x.shape, w.shape[:-2], strides, padding, dilation)
        last = _filters(w.shape, groups)
        w = self._lines(w, geo, last)
        y = xp.empty((x.shape[0], *geo.out, math.prod(last)), x.dtype) if out is None else out
        whole = y.reshape(*y.shape[:-1], *last)
        for block in geo.blocks(x.shape[0], 2 * y[:1].nbytes):
            xb, yb, product = geo.pad(xp, x[block]), whole[block], None
            for tap, index in geo.taps():
                cells = xb[index] if len(last) == 1 else xb[index][..., None]
                if product is None:
                    xp.multiply(cells, w[tap], out=yb)
                    product = xp.empty_like(yb)
                else:
                    yb += xp.multiply(cells, w[tap], out=product)
        return y

    def conv_input(self, g, w, shape, strides, padding, dilation, groups, out=None):
        xp, geo = self.xp, Geometry(shape, w.shape[:-2], strides, padding, dilation)
        last = _filters(w.shape, groups)
        w, g = self._lines(w, geo, last), g.reshape(*g.shape[:-1], *last)
        dx = xp.empty(shape, g.dtype) if out is None else out
        for block in geo.blocks(shape[0], 2 * g[:1].nbytes):
            gb, db, product = g[block], geo.zeros(xp, dx[block]), xp.empty_like(g[block])
            for tap, index in geo.taps():
                part = xp.multiply(gb, w[tap], out=product)
                db[index] += part if len(last) == 1 else part.sum(-1)
            geo.crop_into(dx[block], db)
        return dx

    def conv_kernel(self, x, g, shape, strides, padding, dilation, groups, out=None):
        xp, geo = self.xp, Geometry(x.shape, shape[:-2], strides, padding, dilation)
        last = _filters(shape, groups)
        dw, g = _zeros(xp, shape, x.dtype, out), g.reshape(*g.shape[:-1], *last)
        by_tap = dw.reshape(*geo.window, *last)
        for block in geo.blocks(x.shape[0], 2 * g[:1].nbytes):
            xb, gb, product = geo.pad(xp, x[block]), g[block], xp.empty_like(g[block])
            for tap, index in geo.taps():
                cells = xb[index] if len(last) == 1 else xb[index][..., None]
                part = xp.multiply(cells, gb, out=product)
                lines = part.reshape(part.shape[0] * math.prod(geo.out[:-1]), geo.out[-1], *last)
                by_tap[tap] += lines.sum(axis=0).sum(axis=0)  # long inner loops first
        return dw


def _filters(shape, groups):
    """The last axes of arrays in a depthwise convolution with a kernel of this shape."""
    each = shape[-1] // groups
    return (groups,) if each == 1 else (groups, each)


class _Pointwise:
    """A window of one cell: a matrix product over the channels."""

    def __init__(self, xp):
        self.xp = xp

    def conv(self, x, w, strides, out=None, **_):
        x = x[_every(strides)]
        y = self.xp.matmul(as_matrix(x), w.reshape(w.shape[-2:]), out=None if out is None else as_matrix(out))
        return y.reshape(*x.shape[:-1], w.shape[-1])

    def conv_input(self, g, w, shape, strides, out=None, **_):
        xp, w = self.xp, w.reshape(w.shape[-2:])
        if all(s == 1 for s in strides):
            dx = xp.matmul(as_matrix(g), w.T, out=None if out is None else as_matrix(out))
            return dx.reshape(shape)
        dx = _zeros(xp, shape, g.dtype, out)
        dx[_every(strides)] = (as_matrix(g) @ w.T).reshape(*g.shape[:-1], shape[-1])
        return dx

    def conv_kernel(self, x, g, shape, strides, out=None, **_):
        out = None if out is None else out.reshape(shape[-2:])
        return self.xp.matmul(as_matrix(x[_every(strides)]).T, as_matrix(g), out=out).reshape(shape)


def _every(strides):
    return (slice(None), *(slice(None, None, s) for s in strides)) if any(s > 1 for s in strides) else slice(None)
