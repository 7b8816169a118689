"""Kernels that write their result into given memory, besides the elementwise ones: (*args, out=array, **params).

An op without one here, or whose kernel here does not accept a dtype, returns an array of its own.
"""

import numpy as np

from mlkit.backends.native.device import device_of


def make(xp):
    """Op name -> (accepts(dtype), kernel)."""
    unchecked = dict(mode="wrap") if xp is np else {}  # NumPy copies the whole result where it checks indices itself

    device = device_of(xp)

    def full(shape, value, dtype, out):
        device.fill(out, value)

    def reshape(x, shape, out):
        """Reached only where the elements must be moved."""
        xp.copyto(out.reshape(x.shape), x)

    def concat(*xs, axis, out):
        xp.concatenate(xs, axis, out=out)

    def reduction(ufunc):
        def kernel(x, axes, keepdims, out):
            ufunc.reduce(x, axes, out=out, keepdims=keepdims)

        return kernel

    def extreme(function):
        return lambda x, axes, keepdims, out: function(x, axes, out=out, keepdims=keepdims)

    def pad(x, value, low, high, interior, out):
        out.fill(value)
        places = zip(x.shape, low, interior)
        out[tuple(slice(a, a + (n - 1) * (i + 1) + 1 if n else a, i + 1) for n, a, i in places)] = x

    def take(x, index, axis, out):
        n = x.shape[axis]
        xp.take(x, device.indices(index, 0, n, f"take: an index is out of range for size {n}."), axis, out=out, **unchecked)

    return dict(
        full=(_any, full),
        reshape=(_any, reshape),
        concat=(_any, concat),
        pad=(_any, pad),
        take=(_any, take),
        sum=(_is_wide, reduction(xp.add)),
        prod=(_is_wide, reduction(xp.multiply)),
        max=(_is_not_half, extreme(xp.max)),
        min=(_is_not_half, extreme(xp.min)),
    )


def _any(dtype):
    return True


def _is_not_half(dtype):
    return dtype not in ("float16", "bfloat16")


def _is_wide(dtype):
    """Not half floats, which are summed in single precision, and not narrow integers, which NumPy adds in wide ones."""
    return dtype in ("float32", "float64", "int32", "int64", "complex64", "complex128")
