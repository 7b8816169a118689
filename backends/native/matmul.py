"""Matrix products over `xp`: BLAS where the dtype has one, half floats through float32, integers as they are."""

import math

from mlkit.backends.native.elementwise import is_half, quietly


def make(xp):
    """Op name -> rows."""
    return {"matmul": [(_is_half, _half(xp)), (_many_rows, _flat(xp)), (None, _plain(xp))]}


def as_matrix(x):
    """x as the matrix of its last axis. (NumPy cannot tell what a size of -1 stands for where another one is 0.)"""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _plain(xp):
    def product(a, b):
        return xp.matmul(a, b)

    kernel = quietly(xp, product)
    kernel.into = xp.matmul
    return kernel


def _is_half(a, b):
    return is_half(a)


def _half(xp):
    """BLAS knows no half floats: multiply and sum in float32, round once."""

    def kernel(a, b):
        return xp.matmul(a.astype("float32"), b.astype("float32")).astype(a.dtype)

    return quietly(xp, kernel)


def _many_rows(a, b):
    return len(b.shape) == 2 < len(a.shape)


def _flat(xp):
    """One matrix for all of a batch: one large product instead of many small ones."""

    def product(a, b):
        return xp.matmul(as_matrix(a), b).reshape(*a.shape[:-1], b.shape[-1])

    def into(a, b, out):
        xp.matmul(as_matrix(a), b, out=as_matrix(out))

    kernel = quietly(xp, product)
    kernel.into = into
    return kernel
