"""Primitives that larger kernels are made of. They raise Declined where oneDNN has none, or none with generated code."""

import functools
import math
from ctypes import c_float, c_int

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.memory import dense, strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none, reorder


class Declined(Exception):
    """oneDNN has no good primitive for a part of a kernel."""


def _needed(make):
    cached = or_none(make)

    @functools.wraps(make)
    def made(*args, **params):
        primitive = cached(*args, **params)
        if primitive is None:
            raise Declined
        return primitive

    return made


@_needed
def product(a, b, y, scale=1.0):
    """A batch of matrix products, times a number. a, b, y: layouts."""
    post_ops = (("eltwise", c.LINEAR, scale, -0.0),) if scale != 1.0 else ()
    return Primitive("dnnl_matmul_primitive_desc_create", strided(*a), strided(*b), None, strided(*y), post_ops=post_ops)


@_needed
def binary(algorithm, x, y, then=(), dtype="float32"):
    """A binary primitive. x, y: shapes, x that of the result; then: post-ops (algorithm, alpha, beta), or an algorithm whose
    second operand has the shape of the result; dtype: of x and the result, the others are float32."""
    descs = dense(x, dtype), dense(y), dense(x, dtype)
    post_ops = [("binary", t, dense(x)) if isinstance(t, int) else ("eltwise", *t) for t in then]
    primitive = Primitive("dnnl_binary_primitive_desc_create", c_int(algorithm), *descs, post_ops=post_ops)
    return primitive if primitive.implementation.startswith("jit") else None


@_needed
def function(size, algorithm, alpha=0.0, beta=0.0):
    """A function of each element."""
    x = dense((size,))
    args = c_int(c.INFERENCE), c_int(algorithm), x, x, c_float(alpha), c_float(beta)
    return Primitive("dnnl_eltwise_forward_primitive_desc_create", *args)


@_needed
def copied(source, target):
    """A copy between layouts, each (shape, strides) or (shape, strides, dtype)."""
    return reorder(strided(*source), strided(*target))


def rows_dense(shape, *dtype):
    """The layout of a dense tensor, (shape, strides) or (shape, strides, dtype)."""
    return tuple(shape), tuple(math.prod(shape[i + 1 :]) for i in range(len(shape))), *dtype


def transposed(matrices):
    """A layout with the last two axes exchanged."""
    shape, strides, *dtype = matrices
    return *((*x[:-2], x[-1], x[-2]) for x in (shape, strides)), *dtype
