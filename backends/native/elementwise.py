"""Kernels that work element by element, over `xp`. Infinities and NaNs are results here, never warnings."""

import math

import numpy as np

from mlkit.core import dtypes
from mlkit.core.machine import threshold

_SCALARS = (bool, int, float, complex)


def make(xp):
    """Op name -> kernel."""
    return {**_unary(xp), **_rounding(xp), **_binary(xp), "cast": _cast(xp), "bitcast": _bitcast, "where": _where(xp)}


def quietly(xp, function):
    """The function without floating-point warnings, where the array module gives any."""
    return xp.errstate(all="ignore")(function) if hasattr(xp, "errstate") else function


def is_half(x):
    """Whether an array (or a symbol, whose dtype is a name) has a dtype of 16-bit floats."""
    d = x.dtype
    return d in ("float16", "bfloat16") if type(d) is str else d.itemsize == 2 and d.kind not in "iu"


def single(x):
    """Half floats as float32, which holds all of them and has fast comparisons in NumPy; others as they are."""
    return x.astype("float32") if is_half(x) else x


def _unary(xp):
    def sigmoid(x):
        wide = single(x)  # exp(12) is beyond float16
        return xp.reciprocal(xp.exp(-wide) + wide.dtype.type(1)).astype(x.dtype, copy=False)

    def rsqrt(x):
        return xp.reciprocal(xp.sqrt(single(x))).astype(x.dtype, copy=False)

    quiet = dict(
        exp=xp.exp, expm1=xp.expm1, log=xp.log, log1p=xp.log1p, sqrt=xp.sqrt, rsqrt=rsqrt, sin=xp.sin, cos=xp.cos, tan=xp.tan,
        arcsin=xp.arcsin, arccos=xp.arccos, arctan=xp.arctan, sinh=xp.sinh, cosh=xp.cosh, tanh=xp.tanh, arcsinh=xp.arcsinh,
        arccosh=xp.arccosh, arctanh=xp.arctanh, sigmoid=sigmoid, abs=xp.abs, sign=xp.sign,
    )  # fmt: skip
    plain = dict(
        neg=xp.negative, isfinite=xp.isfinite, isnan=xp.isnan, real=xp.real, imag=xp.imag,
        conj=lambda x: xp.conj(x) if x.dtype.kind == "c" else x,  # NumPy's makes int8 of truth values
        stop_gradient=lambda x: x,
        relayout=lambda x, layout: x,  # there is one device
    )  # fmt: skip
    return {**plain, "not": xp.invert, **{name: quietly(xp, function) for name, function in quiet.items()}}


def _rounding(xp):
    """Integers are round already."""
    table = dict(floor=xp.floor, ceil=xp.ceil, round=xp.rint)
    return {n: (lambda x, f=f: f(x) if x.dtype.kind not in "biu" else x) for n, f in table.items()}


def _binary(xp):
    def power(x, y):
        if type(y) in _SCALARS:  # common exponents without the general function
            if y == 2:
                return x * x
            if y == 0.5 and x.dtype.kind not in "biu":
                return xp.sqrt(x)
            y = x.dtype.type(y)
        return general_power(x, y)

    general_power = _typed(lambda x, y: power_into(xp, x, y))
    quiet = dict(
        add=xp.add, sub=xp.subtract, mul=xp.multiply, div=xp.divide, floor_div=xp.floor_divide, mod=xp.mod,
        maximum=xp.maximum, minimum=xp.minimum, atan2=xp.arctan2, nextafter=xp.nextafter, complex=lambda x, y: x + 1j * y,
    )  # fmt: skip
    plain = dict(
        gcd=xp.gcd, xor=xp.bitwise_xor, left_shift=xp.left_shift, right_shift=xp.right_shift,
    )  # fmt: skip
    compared = dict(equal=xp.equal, not_equal=xp.not_equal, less=xp.less, less_equal=xp.less_equal)
    plain |= {name: lambda x, y, f=f: f(single(x), single(y)) for name, f in compared.items()}
    plain["and"], plain["or"] = xp.bitwise_and, xp.bitwise_or
    table = {name: quietly(xp, _typed(function)) for name, function in quiet.items()}
    table.update({name: _typed(function) for name, function in plain.items()})
    return {**table, "pow": quietly(xp, power)}


def power_into(xp, x, y, out=None):
    """x to the power y, of one dtype. NumPy refuses negative powers of signed integers: they are 0, but for those of 1 and -1."""
    if y.dtype.kind != "i" or (xp is np and (not y.size or y.min() >= 0)):  # another device is not waited for
        return xp.power(x, y, out=out)
    found = xp.where((y >= 0) | (abs(x) == 1), xp.power(x, xp.where(y >= 0, y, y & 1)), x.dtype.type(0))
    if out is None:
        return found
    xp.copyto(out, found)
    return out


def _typed(function):
    """A Python scalar takes the dtype of the array beside it; NumPy by itself would widen float16 and bfloat16."""

    def kernel(x, y):
        if type(y) in _SCALARS:
            y = x.dtype.type(y)
        elif type(x) in _SCALARS:
            x = y.dtype.type(x)
        return function(x, y)

    return kernel


def _where(xp):
    choose = _typed(lambda x, y: (x, y))

    def where(condition, x, y):
        if type(x) in _SCALARS and type(y) in _SCALARS:
            x = dtypes.as_numpy(dtypes.result_type(type(x), type(y))).type(x)
        x, y = choose(x, y)
        if max(condition.size, x.size, y.size) >= SMALL and hasattr(xp, "errstate"):
            shape = np.broadcast_shapes(condition.shape, x.shape, y.shape)
            if picks_parts(condition, shape):
                out = xp.empty(shape, x.dtype)
                pick_parts(xp, condition, x, y, out)
                return out
            if x.dtype.itemsize <= 8:
                bits = f"i{x.dtype.itemsize}"
                return select_bits(xp, condition, x.view(bits), y.view(bits)).view(x.dtype)
        return xp.where(condition, x, y)

    return where


SMALL = threshold("where_by_bits")
PART = threshold("where_by_parts")


def select_bits(xp, condition, x, y, out=None):
    """x where the condition holds, else y, by arithmetic on integers: ten times faster than `numpy.where` or masked copies."""
    mask = xp.negative(condition.view("i1")).astype(x.dtype)  # all bits, or none
    return xp.bitwise_xor(mask & (x ^ y), y, out=out)


def picks_parts(condition, shape):
    """Whether a condition decides over large parts along the first axis of a result of this shape, as one for each image does."""
    return len(shape) > 1 and condition.shape == (shape[0], *(1 for _ in shape[1:])) and math.prod(shape[1:]) >= PART


def pick_parts(xp, condition, x, y, out):
    """x where such a condition holds, else y: only what is taken is read."""
    x, y = (xp.broadcast_to(a, out.shape) for a in (x, y))
    for part, holds, of_x, of_y in zip(out, condition.ravel().tolist(), x, y):
        xp.copyto(part, of_x if holds else of_y)


def _cast(xp):
    def cast(x, dtype):
        if x.dtype.kind == "c" and dtype not in dtypes.COMPLEX:
            x = x.real if dtype != "bool" else x != 0
        return x.astype(dtypes.as_numpy(dtype))

    return quietly(xp, cast)


def _bitcast(x, dtype):
    """The same bytes read as another dtype, along the last axis where the widths differ."""
    return x.view(dtypes.as_numpy(dtype))
