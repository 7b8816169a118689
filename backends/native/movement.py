"""Kernels that make arrays and move their elements, written once over an array module `xp`, numpy today."""

import numpy as np

from mlkit.backends.native import memory_pages
from mlkit.core import dtypes


def make(xp):
    """Op name -> kernel."""

    def pad(x, value, low, high, interior):
        shape = [n + a + b + max(n - 1, 0) * i for n, a, b, i in zip(x.shape, low, high, interior)]
        out = xp.full(shape, value, x.dtype)
        out[tuple(slice(a, a + (n - 1) * (i + 1) + 1 if n else a, i + 1) for n, a, i in zip(x.shape, low, interior))] = x
        return out

    def full(shape, value, dtype):
        # Zeros too are written: reading memory that the system gives blank, then writing it, takes two page faults a page.
        dtype = dtypes.as_numpy(dtype)
        if xp is not np:
            return xp.full(shape, value, dtype)
        out = memory_pages.empty(shape, dtype)
        memory_pages.fill(out, value)
        memory_pages.join(out)
        return out

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
