"""Convolution and pooling over `xp`: the reference rows, and the fallback of faster libraries.

Convolution is im2col and one matrix product, a few images at a time so that the columns stay in the cache.
Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for Document Processing, 2006.
"""

import itertools
import math

from mlkit.backends.native.pool import make as make_pools
from mlkit.core.spec import window_padding

BLOCK_BYTES = 2 << 20  # of columns at a time; measured best between 1 and 4 MB


def make(xp):
    """Op name -> rows."""
    by = {name: [_half_row(xp, kernels[-1][1]), *kernels] for name, kernels in _convolutions(xp).items()}
    return {**by, **make_pools(xp)}


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


def _half_row(xp, kernel):
    """A row for half floats: compute in float32, round once."""

    def accepts(a, b, **p):
        return str(a.dtype) in ("float16", "bfloat16")

    def run(a, b, **p):
        return kernel(a.astype("float32"), b.astype("float32"), **p).astype(a.dtype)

    return accepts, run


class Geometry:
    """Where the windows of a convolution lie: padding and sizes for one input shape."""

    def __init__(self, shape, window, strides, padding, dilation):
        self.shape, self.window, self.strides, self.dilation = shape, window, strides, dilation
        axes = list(enumerate(zip(shape[1:-1], window, strides, dilation)))
        self.pads = [window_padding(padding, i, n, k, s, d) for i, (n, k, s, d) in axes]
        self.padded = tuple(n + a + b for n, (a, b) in zip(shape[1:-1], self.pads))
        self.out = tuple((m - (k - 1) * d - 1) // s + 1 for m, k, s, d in zip(self.padded, window, strides, dilation))
        if any(n < 1 for n in self.out) and 0 not in shape:
            raise ValueError(f"the window {tuple(window)} does not fit into the input of shape {tuple(shape)}")

    @property
    def is_padded(self):
        return any(a or b for a, b in self.pads)

    def pad(self, xp, x, value=0):
        """x with its margins."""
        if not self.is_padded:
            return x
        out = xp.full((x.shape[0], *self.padded, x.shape[-1]), value, x.dtype)
        out[self.inner] = x
        return out

    @property
    def inner(self):
        """Index of the unpadded part."""
        return (slice(None), *(slice(a, a + n) for n, (a, _) in zip(self.shape[1:-1], self.pads)))

    def taps(self):
        """For each cell of the window: its position, and the index of the padded elements that it meets."""
        for tap in itertools.product(*map(range, self.window)):
            places = zip(tap, self.out, self.strides, self.dilation)
            yield tap, (slice(None), *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in places))

    def blocks(self, images, bytes_per_image):
        """Slices of the batch whose columns fit in the cache."""
        step = max(1, BLOCK_BYTES // max(bytes_per_image, 1))
        return [slice(i, min(i + step, images)) for i in range(0, images, step)]


class _General:
    """Any convolution."""

    def __init__(self, xp):
        self.xp = xp

    def _columns(self, x, geo, group):
        """A block of images as the matrix (positions, window cells * channels of the group)."""
        view = self.xp.lib.stride_tricks.as_strided(
            x,
            (x.shape[0], *geo.out, *geo.window, x.shape[-1]),
            (x.strides[0], *(a * s for a, s in zip(x.strides[1:-1], geo.strides)),
             *(a * d for a, d in zip(x.strides[1:-1], geo.dilation)), x.strides[-1]),
        )[..., group]  # fmt: skip
        return view.reshape(x.shape[0] * math.prod(geo.out), math.prod(geo.window) * view.shape[-1])

    def conv(self, x, w, strides, padding, dilation, groups):
        xp, geo = self.xp, Geometry(x.shape, w.shape[:-2], strides, padding, dilation)
        y = xp.empty((x.shape[0], *geo.out, w.shape[-1]), x.dtype)
        for block, gx, gy in _pieces(geo, x, w.shape, groups):
            columns = self._columns(geo.pad(xp, x[block]), geo, gx)
            xp.matmul(columns, w[..., gy].reshape(columns.shape[1], -1), out=y[block].reshape(-1, y.shape[-1])[:, gy])
        return y

    def conv_kernel(self, x, g, shape, strides, padding, dilation, groups):
        xp, geo = self.xp, Geometry(x.shape, shape[:-2], strides, padding, dilation)
        dw = xp.zeros(shape, x.dtype)
        flat = dw.reshape(-1, shape[-1])
        for block, gx, gy in _pieces(geo, x, shape, groups):
            columns = self._columns(geo.pad(xp, x[block]), geo, gx)
            flat[:, gy] += columns.T @ g[block].reshape(-1, shape[-1])[:, gy]
        return dw

    def conv_input(self, g, w, shape, strides, padding, dilation, groups):
        """For each cell of the window one product, added where the cell lay in the input (col2im)."""
        xp, geo = self.xp, Geometry(shape, w.shape[:-2], strides, padding, dilation)
        dx = xp.zeros((shape[0], *geo.padded, shape[-1]), g.dtype)
        w = xp.ascontiguousarray(xp.swapaxes(w, -1, -2))
        for block, gx, gy in _pieces(geo, dx, (*w.shape[:-2], w.shape[-1], w.shape[-2]), groups):
            gb = g[block].reshape(-1, g.shape[-1])[:, gy]
            for tap, index in geo.taps():
                part = dx[block][..., gx][index]
                part += (gb @ w[tap][gy]).reshape(part.shape)
        return dx[geo.inner] if geo.is_padded else dx


def _pieces(geo, x, kernel, groups):
    """(block of images, input channels, output channels) that are computed at a time."""
    channels, filters = kernel[-2], kernel[-1] // groups
    step = x.itemsize * math.prod(geo.out) * math.prod(geo.window) * channels
    for block in geo.blocks(x.shape[0], step):
        for i in range(groups):
            yield block, slice(i * channels, (i + 1) * channels), slice(i * filters, (i + 1) * filters)


class _Depthwise:
    """Each channel has filters of its own: shifted products, summed; there is no matrix to multiply."""

    def __init__(self, xp):
        self.xp = xp

    def conv(self, x, w, strides, padding, dilation, groups):
        xp, geo = self.xp, Geometry(x.shape, w.shape[:-2], strides, padding, dilation)
        w = w.reshape(*geo.window, groups, -1)
        y = xp.zeros((x.shape[0], *geo.out, *w.shape[-2:]), x.dtype)
        for block in geo.blocks(x.shape[0], y[:1].nbytes):
            xb, yb = geo.pad(xp, x[block]), y[block]
            for tap, index in geo.taps():
                yb += xb[index][..., None] * w[tap]
        return y.reshape(*y.shape[:-2], -1)

    def conv_input(self, g, w, shape, strides, padding, dilation, groups):
        xp, geo = self.xp, Geometry(shape, w.shape[:-2], strides, padding, dilation)
        w = w.reshape(*geo.window, groups, -1)
        g = g.reshape(*g.shape[:-1], *w.shape[-2:])
        dx = xp.zeros((shape[0], *geo.padded, shape[-1]), g.dtype)
        for block in geo.blocks(shape[0], g[:1].nbytes):
            gb, db = g[block], dx[block]
            for tap, index in geo.taps():
                part = gb * w[tap]
                db[index] += part[..., 0] if w.shape[-1] == 1 else part.sum(-1)
        return dx[geo.inner] if geo.is_padded else dx

    def conv_kernel(self, x, g, shape, strides, padding, dilation, groups):
        xp, geo = self.xp, Geometry(x.shape, shape[:-2], strides, padding, dilation)
        dw = xp.zeros((*geo.window, groups, shape[-1] // groups), x.dtype)
        g = g.reshape(*g.shape[:-1], *dw.shape[-2:])
        for block in geo.blocks(x.shape[0], g[:1].nbytes):
            xb, gb = geo.pad(xp, x[block]), g[block]
            for tap, index in geo.taps():
                dw[tap] += (xb[index][..., None] * gb).sum(axis=tuple(range(g.ndim - 2)))
        return dw.reshape(shape)


class _Pointwise:
    """A window of one cell: a matrix product over the channels."""

    def __init__(self, xp):
        self.xp = xp

    def conv(self, x, w, strides, **_):
        x = x[_every(strides)]
        return (x.reshape(math.prod(x.shape[:-1]), -1) @ w.reshape(w.shape[-2:])).reshape(*x.shape[:-1], w.shape[-1])

    def conv_input(self, g, w, shape, strides, **_):
        dx = (g.reshape(math.prod(g.shape[:-1]), -1) @ w.reshape(w.shape[-2:]).T).reshape(*g.shape[:-1], shape[-1])
        if all(s == 1 for s in strides):
            return dx
        out = self.xp.zeros(shape, g.dtype)
        out[_every(strides)] = dx
        return out

    def conv_kernel(self, x, g, shape, strides, **_):
        rows = math.prod(g.shape[:-1])
        return (x[_every(strides)].reshape(rows, -1).T @ g.reshape(rows, -1)).reshape(shape)


def _every(strides):
    return (slice(None), *(slice(None, None, s) for s in strides)) if any(s > 1 for s in strides) else slice(None)
