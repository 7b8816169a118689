"""Kernels of batch and layer normalization over `xp`."""

import math

from mlkit.backends.native.fused import in_single
from mlkit.core.machine import threshold

_WIDE = threshold("column_sums")


def make(xp):
    """Op name -> rows."""
    table = {**_batch_norm(xp), **_layer_norm(xp)}
    return {name: in_single(xp, kernel, rounded=1) for name, kernel in table.items()}


def column_sums(xp, x):
    """Sums of the columns of a matrix; narrow ones are folded into wide rows first, which is many times faster and more
    exact.
    """
    rows, columns = x.shape
    fold = max(1, min(rows, _WIDE // max(columns, 1)))
    body = rows // fold * fold
    out = x[:body].reshape(rows // fold, fold * columns).sum(0).reshape(fold, columns).sum(0)
    return out + x[body:].sum(0) if body < rows else out


def pack(xp, bits):
    """Masks as the op `batch_norm_relu` keeps them: eight in a byte, the first as its lowest bit."""
    return xp.packbits(bits.reshape(-1), bitorder="little")


def unpack(xp, mask, shape):
    """The first bits of a mask, in this shape."""
    return xp.unpackbits(mask, bitorder="little")[: math.prod(shape)].reshape(shape)


def _batch_norm(xp):
    def as_matrix(x, axes):
        """Rows of what is averaged over, columns of what is kept."""
        kept = tuple(i for i in range(x.ndim) if i not in axes)
        moved = x.transpose(*axes, *kept)
        return moved.reshape(math.prod(x.shape[a] for a in axes), math.prod(x.shape[a] for a in kept))

    def like(matrix, x, axes):
        """`as_matrix` undone."""
        kept = tuple(i for i in range(x.ndim) if i not in axes)
        order = (*axes, *kept)
        back = sorted(range(x.ndim), key=order.__getitem__)
        return matrix.reshape([x.shape[i] for i in order]).transpose(back)

    def shape_of(x, axes):
        return tuple(n for i, n in enumerate(x.shape) if i not in axes)

    def batch_norm(x, scale, offset, axes, epsilon):
        m = as_matrix(x, axes)
        mean = column_sums(xp, m) / m.dtype.type(len(m))
        y = m - mean
        variance = column_sums(xp, y * y) / m.dtype.type(len(m))
        inverse = 1 / xp.sqrt(variance + x.dtype.type(epsilon))
        y *= inverse if scale is None else inverse * scale.reshape(-1)
        if offset is not None:
            y += offset.reshape(-1)
        small = shape_of(x, axes)
        return like(y, x, axes), mean.reshape(small), variance.reshape(small)

    def batch_norm_grad(g, x, scale, mean, variance, axes, epsilon):
        gm = as_matrix(g, axes)
        inverse = 1 / xp.sqrt(variance.reshape(-1) + x.dtype.type(epsilon))
        normal = as_matrix(x, axes) - mean.reshape(-1)
        d_offset = column_sums(xp, gm)
        d_scale = column_sums(xp, normal * gm) * inverse
        n = x.dtype.type(len(gm))
        normal *= d_scale * inverse / -n
        normal += gm
        normal -= d_offset / n
        normal *= inverse if scale is None else inverse * scale.reshape(-1)
        return like(normal, x, axes), d_scale.reshape(mean.shape), d_offset.reshape(mean.shape)

    def batch_norm_relu(x, scale, offset, axes, epsilon):
        y, mean, variance = batch_norm(x, scale, offset, axes, epsilon)
        return xp.maximum(y, 0), mean, variance, pack(xp, y > 0)

    def batch_norm_relu_grad(g, x, scale, mean, variance, mask, axes, epsilon):
        passed = g * unpack(xp, mask, g.shape)
        return batch_norm_grad(passed, x, scale, mean, variance, axes, epsilon)

    return dict(
        batch_norm=batch_norm,
        batch_norm_grad=batch_norm_grad,
        batch_norm_relu=batch_norm_relu,
        batch_norm_relu_grad=batch_norm_relu_grad,
    )


def _layer_norm(xp):
    def mean_of(x, last):
        return x.mean(last, keepdims=True)

    def layer_norm(x, scale, offset, rank, epsilon):
        last = tuple(range(-rank, 0))
        mean = mean_of(x, last)
        y = x - mean
        variance = mean_of(y * y, last)
        y *= 1 / xp.sqrt(variance + x.dtype.type(epsilon))
        if scale is not None:
            y *= scale
        if offset is not None:
            y += offset
        return y, mean, variance

    def layer_norm_grad(g, x, scale, mean, variance, rank, epsilon):
        last = tuple(range(-rank, 0))
        inverse = 1 / xp.sqrt(variance + x.dtype.type(epsilon))
        vector = x.shape[x.ndim - rank :]
        size = math.prod(vector)
        normal = x - mean
        normal *= inverse
        product = g * normal
        rows = math.prod(x.shape[: x.ndim - rank])
        d_offset = column_sums(xp, g.reshape(rows, size)).reshape(vector)
        d_scale = column_sums(xp, product.reshape(rows, size)).reshape(vector)
        h = g
        if scale is not None:
            h = g * scale
            product *= scale
        normal *= mean_of(product, last)
        dx = h - mean_of(h, last)
        dx -= normal
        dx *= inverse
        return dx, d_scale, d_offset

    return dict(layer_norm=layer_norm, layer_norm_grad=layer_norm_grad)
