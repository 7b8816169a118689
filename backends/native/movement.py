"""Kernels that make arrays and move their elements, written once over an array module `xp`, numpy today."""

from mlkit.backends.native.device import device_of
from mlkit.core import dtypes


def make(xp):
    """Op name -> kernel."""
    device = device_of(xp)

    def pad(x, value, low, high, interior):
        shape = [n + a + b + max(n - 1, 0) * i for n, a, b, i in zip(x.shape, low, high, interior)]
        out = xp.full(shape, value, x.dtype)
        out[tuple(slice(a, a + (n - 1) * (i + 1) + 1 if n else a, i + 1) for n, a, i in zip(x.shape, low, interior))] = x
        return out

    def full(shape, value, dtype):
        return device.full(shape, value, dtypes.as_numpy(dtype))

    return dict(
        full=full,
        iota=lambda size, dtype: xp.arange(size).astype(dtypes.as_numpy(dtype)),
        reshape=lambda x, shape: x.reshape(shape),
        transpose=lambda x, perm: x.transpose(perm),
        broadcast_to=lambda x, shape: xp.broadcast_to(x, shape),
        slice=lambda x, starts, stops, strides: x[tuple(map(slice, starts, stops, strides))],
        pad=pad,
        concat=lambda *xs, axis: xp.concatenate(xs, axis),
        flip=lambda x, axes: xp.flip(x, axes),
        after=lambda x, g: x,
    )
