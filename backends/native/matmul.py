"""Matrix products over `xp`: BLAS where the dtype has one, half floats through float32, integers as they are."""

import math

from mlkit.backends.native.elementwise import is_half


def make(xp):
    """Op name -> rows."""
    return {"matmul": [(_is_half, _half(xp)), (_many_rows, _flat(xp)), (None, _plain(xp))]}


def _plain(xp):
    def kernel(a, b):
        return xp.matmul(a, b)

    kernel.into = xp.matmul
    return kernel


def _is_half(a, b):
    return is_half(a)


def _half(xp):
    """BLAS knows no half floats: multiply and sum in float32, round once."""

    def kernel(a, b):
        return xp.matmul(a.astype("float32"), b.astype("float32")).astype(a.dtype)

    return kernel


def _many_rows(a, b):
    return len(b.shape) == 2 < len(a.shape)


def _flat(xp):
    """One matrix for all of a batch: one large product instead of many small ones."""

    def kernel(a, b):
        *lead, k = a.shape
        return xp.matmul(a.reshape(math.prod(lead), k), b).reshape(*lead, b.shape[-1])

    def into(a, b, out):
        xp.matmul(a.reshape(-1, a.shape[-1]), b, out=out.reshape(-1, out.shape[-1]))

    kernel.into = into
    return kernel
