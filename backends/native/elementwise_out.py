"""Elementwise kernels that write into given memory, over `xp`.

All are called as (*args, out=array, **params), with Python scalars already made arrays of shape (). `out` may be one of the
arguments, and any part of the elements may be computed apart from the others, which is what chains of them rely on.
"""

import functools

import numpy as np

from mlkit.backends.native.elementwise import SMALL, is_half, pick_parts, picks_parts, power_into, select_bits, single
from mlkit.core import dtypes
from mlkit.primitives import elementwise as el


def make(xp):
    """Op name -> kernel."""
    return {**_direct(xp), **_composed(xp), **_by_bits(xp)}


def _direct(xp):
    table = dict(
        neg=xp.negative, abs=xp.abs, sign=xp.sign, exp=xp.exp, expm1=xp.expm1, log=xp.log, log1p=xp.log1p, sqrt=xp.sqrt,
        sin=xp.sin, cos=xp.cos, tan=xp.tan, arcsin=xp.arcsin, arccos=xp.arccos, arctan=xp.arctan, sinh=xp.sinh, cosh=xp.cosh,
        tanh=xp.tanh, arcsinh=xp.arcsinh, arccosh=xp.arccosh, arctanh=xp.arctanh, isfinite=xp.isfinite, isnan=xp.isnan,
        add=xp.add, sub=xp.subtract, mul=xp.multiply, div=xp.divide, floor_div=xp.floor_divide, mod=xp.mod,
        maximum=xp.maximum, minimum=xp.minimum, atan2=xp.arctan2, nextafter=xp.nextafter, equal=xp.equal,
        not_equal=xp.not_equal, less=xp.less, less_equal=xp.less_equal, xor=xp.bitwise_xor, left_shift=xp.left_shift,
        right_shift=xp.right_shift, floor=xp.floor, ceil=xp.ceil, round=xp.rint,
    )  # fmt: skip
    table["pow"] = functools.partial(power_into, xp)
    return {**table, "not": xp.invert, "and": xp.bitwise_and, "or": xp.bitwise_or}


def _composed(xp):
    def in_single(into):
        """Half floats are rounded at the end only, as where no memory is given."""

        def kernel(x, out):
            if not is_half(x):
                into(x, out)
                return
            wide = single(x)
            into(wide, wide)
            xp.copyto(out, wide, casting="unsafe")

        return kernel

    @in_single
    def sigmoid(x, out):
        xp.negative(x, out=out)
        xp.exp(out, out=out)
        xp.add(out, x.dtype.type(1), out=out)
        xp.reciprocal(out, out=out)

    @in_single
    def rsqrt(x, out):
        xp.sqrt(x, out=out)
        xp.reciprocal(out, out=out)

    def relu(x, out):
        xp.maximum(x, x.dtype.type(0), out=out)

    def relu6(x, out):
        relu(x, out)
        xp.minimum(out, x.dtype.type(6), out=out)

    def conj(x, out):
        if x.dtype.kind == "c":
            xp.conj(x, out=out)
        else:
            xp.copyto(out, x)

    def cast(x, dtype, out):
        if x.dtype.kind == "c" and out.dtype.kind != "c":
            x = x.real if dtype != "bool" else x != 0
        if x.size < out.size:
            x = x.astype(out.dtype)  # before it is repeated, not each time
        xp.copyto(out, x, casting="unsafe")

    return dict(sigmoid=sigmoid, rsqrt=rsqrt, relu=relu, relu6=relu6, conj=conj, cast=cast)


def _by_bits(xp):
    """Selections as arithmetic on bits; see `select_bits` and `pick_parts`."""

    def mask(condition, bits):
        """All bits where true, none where false."""
        return xp.negative(condition.view("i1")).astype(bits)

    def bits_of(x):
        return f"i{x.dtype.itemsize}"

    def where(condition, x, y, out):
        if picks_parts(condition, out.shape):
            pick_parts(xp, condition, x, y, out)
            return
        if out.dtype.itemsize > 8 or out.size < SMALL:
            out[...] = xp.where(condition, x, y)  # before out is written, which may be any of them
            return
        bits = bits_of(out)
        select_bits(xp, condition, x.view(bits), y.view(bits), out.view(bits))

    def relu_grad(g, y, out):
        keep(g, y > y.dtype.type(0), out)

    def relu6_grad(g, y, out):
        keep(g, (y > y.dtype.type(0)) & (y < y.dtype.type(6)), out)

    def keep(g, condition, out):
        bits = bits_of(out)
        if out.size < SMALL:  # one call instead of three
            xp.multiply(g.view(bits), condition, out=out.view(bits))
        else:
            xp.bitwise_and(g.view(bits), mask(condition, bits), out=out.view(bits))

    def masked_scale(x, keep, scale, out):
        bits = bits_of(out)
        keep = mask(keep, bits)  # before out is written, which may be x
        xp.multiply(x, x.dtype.type(scale), out=out)
        xp.bitwise_and(out.view(bits), keep, out=out.view(bits))

    return dict(where=where, relu_grad=relu_grad, relu6_grad=relu6_grad, masked_scale=masked_scale)


ROUNDING = (el.floor, el.ceil, el.round_)  # of integers these give floats in NumPy


def accepts(op, dtype):
    """Whether a kernel here does what the op's eager kernel does for arguments of a dtype."""
    return not (op in (*ROUNDING, el.div) and (dtypes.is_int(dtype) or dtype == "bool"))


def typed_scalars(op, args, dtype, scalar=np.asarray):
    """The arguments with Python scalars as `scalar(value, dtype)`: arrays of shape (), which NumPy takes faster than scalars.

    args: arrays, Values or Specs among the scalars, whose dtype is that of the others; dtype: the result's, if there are none.
    """
    like = args[1:] if op is el.where else args
    own = next((a.dtype for a in like if hasattr(a, "dtype")), dtype)
    own = dtypes.as_numpy(own) if type(own) is str else own

    def one(i, a):
        if hasattr(a, "dtype"):
            return a
        return scalar(a, np.dtype(bool) if op is el.where and i == 0 else np.dtype(own))

    return [one(i, a) for i, a in enumerate(args)]
