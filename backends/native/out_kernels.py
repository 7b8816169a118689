"""Kernels that write their result into given memory, besides the elementwise ones: (*args, out=array, **params).

An op without one here, or whose kernel here does not accept a dtype, returns an array of its own.
"""

import numpy as np

from mlkit.backends.native.device import device_of


def make(xp):
    """Op name -> (accepts(dtype), kernel)."""
    unchecked = dict(mode="wrap") if xp is np else {}  # NumPy copies the whole result where it checks indices itself

    def checked(index, size):
        if index.size and not (-size <= index.min() and index.max() < size):
            raise IndexError(f"take: an index is out of range for size {size}.")
        return index

    fill = device_of(xp).fill

    def full(shape, value, dtype, out):
        fill(out, value)

    def reshape(x, shape, out):
        """Reached only where the elements must be moved."""
        xp.copyto(out.reshape(x.shape), x)

    def concat(*xs, axis, out):
        xp.concatenate(xs, axis, out=out)

    def reduction(ufunc):
        def kernel(x, axes, keepdims, out):
            ufunc.reduce(x, axes, out=out, keepdims=keepdims)

        return kernel

    def pad(x, value, low, high, interior, out):
        out.fill(value)
        places = zip(x.shape, low, interior)
        out[tuple(slice(a, a + (n - 1) * (i + 1) + 1 if n else a, i + 1) for n, a, i in places)] = x

    def take(x, index, axis, out):
        xp.take(x, checked(index, x.shape[axis]), axis, out=out, **unchecked)

    return dict(
        full=(_any, full),
        reshape=(_any, reshape),
        concat=(_any, concat),
        pad=(_any, pad),
        take=(_any, take),
        sum=(_is_wide, reduction(xp.add)),
        prod=(_is_wide, reduction(xp.multiply)),
        max=(_is_not_half, reduction(xp.maximum)),
        min=(_is_not_half, reduction(xp.minimum)),
    )


def _any(dtype):
    return True


def _is_not_half(dtype):
    return dtype not in ("float16", "bfloat16")


def _is_wide(dtype):
    """Not half floats, which are summed in single precision, and not narrow integers, which NumPy adds in wide ones."""
    return dtype in ("float32", "float64", "int32", "int64", "complex64", "complex128")
