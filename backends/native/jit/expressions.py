"""Elementwise ops in LLVM's language, in one table: what computes one element.

Results are those of NumPy's functions: infinities, NaNs, signs of zero and integers that wrap included. What LLVM leaves open (shifts by
more than the width, integers divided by 0, floats that no integer holds) is written out.
"""

import math

from mlkit.backends.native.jit import functions
from mlkit.backends.native.jit.library import ir
from mlkit.backends.native.jit.places import DTYPES
from mlkit.core import dtypes
from mlkit.primitives import elementwise as el


def emit(e, op, args, params, dtype):
    """The value of an op of values of `dtype` (of `where`: the last two)."""
    return _row(op, dtype)(e, args, dtype, params)


def knows(op, dtype, args=(), params=None):
    """Whether there is an expression for an op of arguments of a dtype; args: numbers as (number,)."""
    if dtype not in DTYPES or (params or {}).get("dtype", dtype) not in DTYPES:
        return False
    if op is el.pow_ and dtypes.is_int(dtype):
        return args[1:] == [(2,)]
    return _row(op, dtype) is not None


def _row(op, dtype):
    if dtype == "bool":
        return _OF_BOOLS.get(op)
    return _OF_ALL.get(op) or (_OF_FLOATS if dtypes.is_float(dtype) else _OF_INTS).get(op)


# ---- the kinds of rows -----------------------------------------------------------------------------------------------


def _instruction(name):
    return lambda e, args, dtype, params: getattr(e.b, name)(*args)


def _intrinsic(name):
    return lambda e, args, dtype, params: e.intrinsic(name, *args)


def _library(name):
    """A function of C's library, whose name ends in f for float32."""
    return lambda e, args, dtype, params: e.library(name + "f" * (dtype == "float32"), *args)


def _vectorized(name):
    """One of our own for float32."""
    wide = _library(name) if name != "sigmoid" else _sigmoid
    return lambda e, args, dtype, params: (
        functions.TABLE[name](e, *args) if dtype == "float32" else wide(e, args, dtype, params)
    )


def _sigmoid(e, args, dtype, params):
    one = e.number(1, dtype)
    return e.b.fdiv(one, e.b.fadd(e.library("exp", e.b.fneg(args[0])), one))


def _same(e, args, dtype, params):
    return args[0]


def _compare(sign):
    unequal = sign == "!="

    def row(e, args, dtype, params):
        if dtypes.is_float(dtype):
            return (e.b.fcmp_unordered if unequal else e.b.fcmp_ordered)(sign, *args)
        return (e.b.icmp_unsigned if dtype == "bool" else e.b.icmp_signed)(sign, *args)

    return row


def _is_nan(e, x):
    return e.b.fcmp_unordered("uno", x, x)


def _extreme(sign):
    """The first argument where it compares so or is NaN, else the second."""

    def row(e, args, dtype, params):
        x, y = args
        if dtypes.is_int(dtype):
            return e.b.select(e.b.icmp_signed(sign, x, y), x, y)
        return e.b.select(e.b.or_(e.b.fcmp_ordered(sign, x, y), _is_nan(e, x)), x, y)

    return row


# ---- floats ----------------------------------------------------------------------------------------------------------


def _rsqrt(e, args, dtype, params):
    return e.b.fdiv(e.number(1, dtype), e.intrinsic("sqrt", *args))


def _is_finite(e, args, dtype, params):
    return e.b.fcmp_ordered("<", e.intrinsic("fabs", *args), e.number(math.inf, dtype))


def _sign_of_float(e, args, dtype, params):
    (x,), zero = args, e.number(0, dtype)
    below = e.b.select(e.b.fcmp_ordered("<", x, zero), e.number(-1, dtype), e.b.select(_is_nan(e, x), x, zero))
    return e.b.select(e.b.fcmp_ordered(">", x, zero), e.number(1, dtype), below)


def _power(e, args, dtype, params):
    x, y = args
    exponent = y.constant if isinstance(y, ir.Constant) else None
    if exponent == 2:
        return e.b.fmul(x, x)
    if exponent == 0.5:
        return e.intrinsic("sqrt", x)
    return _library("pow")(e, args, dtype, params)


def _remainder(e, x, y, dtype):
    return _library("fmod")(e, (x, y), dtype, {})


def _mod_of_floats(e, args, dtype, params):
    """With the sign of the divisor, as in Python."""
    (x, y), b, zero = args, e.b, e.number(0, dtype)
    r = _remainder(e, x, y, dtype)
    differs = b.xor(b.fcmp_ordered("<", r, zero), b.fcmp_ordered("<", y, zero))
    found = b.select(differs, b.fadd(r, y), r)
    found = b.select(b.fcmp_ordered("==", r, zero), e.intrinsic("copysign", zero, y), found)
    return b.select(b.fcmp_ordered("==", y, zero), r, found)


def _floor_div_of_floats(e, args, dtype, params):
    (x, y), b, zero = args, e.b, e.number(0, dtype)
    one = e.number(1, dtype)
    r = _remainder(e, x, y, dtype)
    q = b.fdiv(b.fsub(x, r), y)
    differs = b.and_(b.fcmp_unordered("!=", r, zero), b.xor(b.fcmp_ordered("<", r, zero), b.fcmp_ordered("<", y, zero)))
    q = b.select(differs, b.fsub(q, one), q)
    down = e.intrinsic("floor", q)
    down = b.select(b.fcmp_ordered(">", b.fsub(q, down), e.number(0.5, dtype)), b.fadd(down, one), down)
    quotient = b.fdiv(x, y)
    found = b.select(b.fcmp_ordered("==", q, zero), e.intrinsic("copysign", zero, quotient), down)
    return b.select(b.fcmp_ordered("==", y, zero), quotient, found)


# ---- integers --------------------------------------------------------------------------------------------------------


def _negated(e, args, dtype, params):
    return e.b.sub(e.number(0, dtype), args[0])


def _size_of_int(e, args, dtype, params):
    (x,) = args
    return e.b.select(e.b.icmp_signed("<", x, e.number(0, dtype)), e.b.sub(e.number(0, dtype), x), x)


def _sign_of_int(e, args, dtype, params):
    (x,), zero = args, e.number(0, dtype)
    return e.b.sub(e.b.zext(e.b.icmp_signed(">", x, zero), zero.type), e.b.zext(e.b.icmp_signed("<", x, zero), zero.type))


def _divided(e, x, y, dtype):
    """(quotient, remainder, whether there is none): division by 0 gives 0, and by -1 the negated number."""
    zero, one, minus = (e.number(n, dtype) for n in (0, 1, -1))
    none = e.b.icmp_signed("==", y, zero)
    negates = e.b.icmp_signed("==", y, minus)
    safe = e.b.select(e.b.or_(none, negates), one, y)
    quotient = e.b.select(negates, e.b.sub(zero, x), e.b.sdiv(x, safe))
    return quotient, e.b.srem(x, safe), none


def _rounds_up(e, r, y, dtype):
    """Whether a quotient that was cut is one more than its floor."""
    zero = e.number(0, dtype)
    differs = e.b.xor(e.b.icmp_signed("<", r, zero), e.b.icmp_signed("<", y, zero))
    return e.b.and_(e.b.icmp_signed("!=", r, zero), differs)


def _floor_div_of_ints(e, args, dtype, params):
    q, r, none = _divided(e, *args, dtype)
    found = e.b.select(_rounds_up(e, r, args[1], dtype), e.b.sub(q, e.number(1, dtype)), q)
    return e.b.select(none, e.number(0, dtype), found)


def _mod_of_ints(e, args, dtype, params):
    _, r, none = _divided(e, *args, dtype)
    found = e.b.select(_rounds_up(e, r, args[1], dtype), e.b.add(r, args[1]), r)
    return e.b.select(none, e.number(0, dtype), found)


def _shifted(name):
    """By as many bits as there are, or by a negative number, nothing of it is left but its sign."""

    def row(e, args, dtype, params):
        x, n = args
        zero, bits = e.number(0, dtype), dtypes.itemsize(dtype) * 8
        fits = e.b.icmp_unsigned("<", n, e.number(bits, dtype))
        moved = getattr(e.b, name)(x, e.b.select(fits, n, zero))
        rest = zero if name == "shl" else e.b.ashr(x, e.number(bits - 1, dtype))
        return e.b.select(fits, moved, rest)

    return row


# ---- bools and casts -------------------------------------------------------------------------------------------------


def _less_of_bools(e, args, dtype, params):
    return e.b.and_(e.b.not_(args[0]), args[1])


def _less_equal_of_bools(e, args, dtype, params):
    return e.b.or_(e.b.not_(args[0]), args[1])


def _cast(e, args, dtype, params):
    (x,), b = args, e.b
    to, target = params["dtype"], e.type(params["dtype"])
    if to == dtype:
        return x
    if to == "bool":
        return _compare("!=")(e, (x, e.number(0, dtype)), dtype, params)
    if dtypes.is_float(dtype):
        if dtypes.is_float(to):
            return (b.fpext if to == "float64" else b.fptrunc)(x, target)
        return _to_int(e, x, dtype, to)
    if dtypes.is_float(to):
        return (b.uitofp if dtype == "bool" else b.sitofp)(x, target)
    if dtype == "bool":
        return b.zext(x, target)
    return (b.sext if to == "int64" else b.trunc)(x, target)


def _to_int(e, x, dtype, to):
    """What no integer holds becomes the smallest one, as x86 has it."""
    edge = 2.0 ** (dtypes.itemsize(to) * 8 - 1)
    low = e.number(-edge, dtype)
    fits = e.b.and_(e.b.fcmp_ordered(">=", x, low), e.b.fcmp_ordered("<", x, e.number(edge, dtype)))
    return e.b.fptosi(e.b.select(fits, x, low), e.type(to))


def _where(e, args, dtype, params):
    return e.b.select(*args)


_COMPARISONS = {el.equal: _compare("=="), el.not_equal: _compare("!="), el.less: _compare("<"), el.less_equal: _compare("<=")}
_BITS = {el.and_: _instruction("and_"), el.or_: _instruction("or_"), el.xor: _instruction("xor"), el.not_: _instruction("not_")}
_ANY = {el.where: _where, el.cast: _cast, el.stop_gradient: _same}
_OF_ALL = {**_ANY, el.conj: _same, **_COMPARISONS, el.maximum: _extreme(">="), el.minimum: _extreme("<=")}
_OF_FLOATS = {
    el.neg: _instruction("fneg"), el.abs_: _intrinsic("fabs"), el.sign: _sign_of_float, el.floor: _intrinsic("floor"),
    el.ceil: _intrinsic("ceil"), el.round_: _intrinsic("rint"), el.exp: _vectorized("exp"), el.expm1: _library("expm1"),
    el.log: _vectorized("log"), el.log1p: _library("log1p"), el.sqrt: _intrinsic("sqrt"), el.rsqrt: _rsqrt, el.sin: _library("sin"),
    el.cos: _library("cos"), el.tan: _library("tan"), el.arcsin: _library("asin"), el.arccos: _library("acos"),
    el.arctan: _library("atan"), el.sinh: _library("sinh"), el.cosh: _library("cosh"), el.arcsinh: _library("asinh"),
    el.arccosh: _library("acosh"), el.arctanh: _library("atanh"), el.tanh: _vectorized("tanh"), el.sigmoid: _vectorized("sigmoid"),
    el.erf: _library("erf"), el.erfc: _library("erfc"), el.isfinite: _is_finite, el.isnan: lambda e, args, *_: _is_nan(e, *args),
    el.add: _instruction("fadd"), el.sub: _instruction("fsub"), el.mul: _instruction("fmul"), el.div: _instruction("fdiv"),
    el.floor_div: _floor_div_of_floats, el.mod: _mod_of_floats, el.pow_: _power, el.atan2: _library("atan2"),
    el.nextafter: _library("nextafter"),
}  # fmt: skip
_OF_INTS = {
    **_BITS, el.neg: _negated, el.abs_: _size_of_int, el.sign: _sign_of_int, el.floor: _same, el.ceil: _same, el.round_: _same,
    el.add: _instruction("add"), el.sub: _instruction("sub"), el.mul: _instruction("mul"), el.floor_div: _floor_div_of_ints,
    el.mod: _mod_of_ints, el.pow_: lambda e, args, *_: e.b.mul(args[0], args[0]), el.left_shift: _shifted("shl"),
    el.right_shift: _shifted("ashr"), el.isfinite: lambda e, *_: e.number(1, "bool"), el.isnan: lambda e, *_: e.number(0, "bool"),
}  # fmt: skip
_OF_BOOLS = {
    **_ANY, **_BITS, el.equal: _compare("=="), el.not_equal: _compare("!="), el.less: _less_of_bools,
    el.less_equal: _less_equal_of_bools, el.add: _instruction("or_"), el.mul: _instruction("and_"), el.maximum: _instruction("or_"),
    el.minimum: _instruction("and_"),
}  # fmt: skip
