"""Elementwise primitives. Operands of binary ops have one dtype already, or are Python scalars, which are weak."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Spec, broadcast, is_known
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.axes import on_last_axes
from mlkit.primitives.batching import aligned
from mlkit.primitives.counts import free
from mlkit.primitives.shape import sum_to


def _operand_dtype(name: str, operands: Sequence[Any]) -> str:
    found = {x.dtype for x in operands if type(x) is Spec}
    if len(found) > 1:
        raise TypeError(f"{name}: operands have dtypes {' and '.join(sorted(found))}. Convert them with ops.cast first.")
    dtype = found.pop() if found else dtypes.result_type(*map(type, operands))
    for number in operands:
        if type(number) in (int, float, complex):
            _require_number(name, number, dtype)
    return dtype


def _require_number(name: str, number: complex, dtype: str) -> None:
    """Raise unless a number can stand beside tensors of a dtype: kernels take it into that dtype without asking."""
    if dtypes.result_type(dtype, type(number)) not in (dtype, "int32" if dtype == "bool" else dtype):
        raise TypeError(f"{name}: a tensor of {dtype} stands beside the {type(number).__name__} {number}. Cast it first.")
    dtypes.as_number(number, dtype, name)


FLOATING = dtypes.FLOATS + dtypes.COMPLEX
_INTEGERS = dtypes.INTS + dtypes.UINTS
_BITS = ("bool", *_INTEGERS)
ORDERED = (*_BITS, *dtypes.FLOATS)
_REAL = (*_INTEGERS, *dtypes.FLOATS)
_NUMBERS = (*_INTEGERS, *FLOATING)
_WORDS = {  # dtypes that an op takes -> what its message calls them
    FLOATING: "a float tensor", dtypes.FLOATS: "real floats", _INTEGERS: "integers", _BITS: "integers or truth values",
    ORDERED: "real numbers", _REAL: "real numbers, not truth values", _NUMBERS: "numbers, not truth values",
}  # fmt: skip


def require_dtype(name: str, dtype: str, takes: tuple[str, ...]) -> None:
    """Raise unless the dtype is one of those that an op takes."""
    if dtype not in takes:
        raise TypeError(f"{name}: expected {_WORDS[takes]}, but got {dtype}. Convert it with ops.cast first.")


def elementwise_spec(name: str, dtype: str | None = None, takes: tuple[str, ...] = dtypes.ALL) -> Callable[..., Any]:
    """The spec rule of an op that works element by element with broadcasting; `dtype` if the result has another one."""

    def spec(*operands: Any) -> Spec:
        shape = broadcast(name, *(x.shape if type(x) is Spec else () for x in operands))
        own = _operand_dtype(name, operands)
        require_dtype(name, own, takes)
        return Spec(shape, dtype or own)

    return spec


def float_spec(name: str, takes: tuple[str, ...] = FLOATING) -> Callable[..., Any]:
    """The spec rule of an op of one tensor of floats (or of those dtypes) that keeps its shape and dtype."""

    def spec(x: Spec, **params: Any) -> Spec:
        require_dtype(name, x.dtype, takes)
        return x

    return spec


def unary(
    name: str,
    vjp: Callable[..., Any] | None = None,
    keep: str = "x",
    dtype: str | None = None,
    floating: bool = False,
    takes: tuple[str, ...] | None = None,
    **traits: Any,
) -> Op:
    """An op of one tensor, of floats or the dtypes that it takes. `vjp(g, y, x)` returns the one gradient."""
    rule = None if vjp is None else lambda g, y, x: (vjp(g, y, x),)
    spec = float_spec(name, takes or FLOATING) if floating else elementwise_spec(name, dtype, takes or dtypes.ALL)
    return Op(name, spec, rule, keep, traits=Traits(True, broadcasts=not floating, **traits))


def binary(
    name: str,
    vjp: Callable[..., Any] | None = None,
    keep: str = "x",
    dtype: str | None = None,
    takes: tuple[str, ...] = dtypes.ALL,
    **traits: Any,
) -> Op:
    """An op of two broadcast operands. `vjp(g, z, x, y)` returns both gradients, still in the broadcast shape."""

    def rule(g: Tensor, z: Tensor, x: Any, y: Any) -> tuple[Tensor | None, ...]:
        gx, gy = vjp(g, z, x, y)  # type: ignore[misc]  # without one there is no rule either
        return _fit(gx, x), _fit(gy, y)

    return Op(name, elementwise_spec(name, dtype, takes), vjp and rule, keep, traits=Traits(True, broadcasts=True, **traits))


def _fit(g: Tensor, x: Tensor | float) -> Tensor | None:
    return sum_to(g, x.shape) if g is not None and type(x) is Tensor else None


# ---- unary -----------------------------------------------------------------------------------------------------------

neg = unary("neg", lambda g, y, x: -g, "", takes=_NUMBERS, involution=True)
sign = unary("sign", keep="", takes=_NUMBERS)
floor = unary("floor", keep="", takes=ORDERED)
ceil = unary("ceil", keep="", takes=ORDERED)
round_ = unary("round", keep="", takes=ORDERED)  # half to even
exp = unary("exp", lambda g, y, x: g * y, "y", floating=True)
expm1 = unary("expm1", lambda g, y, x: g * (y + 1), "y", floating=True)
log = unary("log", lambda g, y, x: g / x, floating=True)
log1p = unary("log1p", lambda g, y, x: g / (x + 1), floating=True)
sqrt = unary("sqrt", lambda g, y, x: g / (y * 2), "y", floating=True)
rsqrt = unary("rsqrt", lambda g, y, x: g * y * y * y * -0.5, "y", floating=True)
sin = unary("sin", lambda g, y, x: g * cos(x), floating=True)
cos = unary("cos", lambda g, y, x: -g * sin(x), floating=True)
tan = unary("tan", lambda g, y, x: g * (1 + y * y), "y", floating=True)
arcsin = unary("arcsin", lambda g, y, x: g * rsqrt(1 - x * x), floating=True)
arccos = unary("arccos", lambda g, y, x: -g * rsqrt(1 - x * x), floating=True)
arctan = unary("arctan", lambda g, y, x: g / (1 + x * x), floating=True)
sinh = unary("sinh", lambda g, y, x: g * cosh(x), floating=True)
cosh = unary("cosh", lambda g, y, x: g * sinh(x), floating=True)
arcsinh = unary("arcsinh", lambda g, y, x: g * rsqrt(x * x + 1), floating=True)
arccosh = unary("arccosh", lambda g, y, x: g * rsqrt(x * x - 1), floating=True)
arctanh = unary("arctanh", lambda g, y, x: g / (1 - x * x), floating=True)
tanh = unary("tanh", lambda g, y, x: g * (1 - y * y), "y", floating=True, epilogues={"tanh": {}})
sigmoid = unary("sigmoid", lambda g, y, x: g * (y * (1 - y)), "y", floating=True, epilogues={"sigmoid": {}})
erf = unary("erf", lambda g, y, x: g * exp(-x * x) * (2 / math.sqrt(math.pi)), floating=True, takes=dtypes.FLOATS)
erfc = unary("erfc", lambda g, y, x: g * exp(-x * x) * (-2 / math.sqrt(math.pi)), floating=True, takes=dtypes.FLOATS)
erfinv = unary("erfinv", lambda g, y, x: g * exp(y * y) * (math.sqrt(math.pi) / 2), "y", floating=True, takes=dtypes.FLOATS)
lgamma = unary("lgamma", lambda g, y, x: g * digamma(x), floating=True, takes=dtypes.FLOATS)
digamma = unary("digamma", lambda g, y, x: g * _trigamma(x), floating=True, takes=dtypes.FLOATS)
isfinite = unary("isfinite", keep="", dtype="bool")
isnan = unary("isnan", keep="", dtype="bool")
not_ = unary("not", keep="", takes=_BITS, involution=True)  # logical for bool, bitwise for integers
stop_gradient = unary("stop_gradient", keep="", view=lambda x, offset, strides: (offset, strides), flops=free)


def _cast_vjp(g: Tensor, y: Tensor, x: Tensor, dtype: str) -> tuple[Tensor | None, ...]:
    return (cast(g, dtype=x.dtype) if x.dtype in FLOATING and dtype in FLOATING else None,)


cast = Op("cast", lambda x, dtype: Spec(x.shape, dtype), _cast_vjp, keep="", traits=Traits(elementwise=True, flops=free))


def _bitcast_spec(x: Spec, dtype: str) -> Spec:
    old, new = dtypes.as_numpy(x.dtype).itemsize, dtypes.as_numpy(dtype).itemsize
    if old == new:
        return Spec(x.shape, dtype)
    if not x.shape or (is_known(x.shape[-1]) and x.shape[-1] * old % new):
        raise ValueError(f"view: the last axis of {x} cannot be divided into whole elements of {dtype}.")
    return Spec((*x.shape[:-1], x.shape[-1] * old // new), dtype)


bitcast = Op(
    "bitcast", _bitcast_spec, keep="", traits=Traits(flops=free, batch=on_last_axes)
)  # the bytes read as another dtype


def _trigamma(x: Tensor) -> Tensor:
    """The derivative of digamma: eight steps of its recurrence, then the asymptotic series (Abramowitz and Stegun, 6.4.12)."""
    small = less(x, 0.5)
    z = where(small, 1 - x, x)
    value = 0.0
    for k in range(8):
        value = value + 1 / ((z + k) * (z + k))
    z = z + 8
    s = 1 / (z * z)
    value = (
        value
        + (
            1
            + 0.5 / z
            + s * (1 / 6 - s * (1 / 30 - s * (1 / 42 - s * (1 / 30 - s * (5 / 66 - s * (691 / 2730 - s * (7 / 6)))))))
        )
        / z
    )
    reflected = (math.pi / sin(where(small, x, 0.5) * math.pi)) ** 2 - value
    return where(small, reflected, value)


# ---- complex numbers: gradients are transposes of linear maps, without conjugation, as in JAX ----------------------------


def _part_spec(x: Spec) -> Spec:
    """Spec of a real-valued part of a number."""
    return Spec(x.shape, {"complex64": "float32", "complex128": "float64"}.get(x.dtype, x.dtype))


def _abs_vjp(g: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    return (g * sign(x) if x.dtype not in dtypes.COMPLEX else cast(g, dtype=x.dtype) * conj(sign(x)),)


_part = Traits(elementwise=True, flops=free)
abs_ = Op("abs", _part_spec, _abs_vjp, keep="x", traits=Traits(elementwise=True))
conj = unary("conj", lambda g, y, x: conj(g), "")
real = Op("real", _part_spec, lambda g, y, x: (cast(g, dtype=x.dtype),), keep="", traits=_part)
imag = Op(
    "imag",
    _part_spec,
    lambda g, y, x: (cast(g, dtype=x.dtype) * -1j if x.dtype in dtypes.COMPLEX else None,),
    keep="",
    traits=_part,
)


def _complex_spec(x: Spec, y: Spec) -> Spec:
    s = elementwise_spec("complex")(x, y)
    if s.dtype not in ("float32", "float64"):
        raise TypeError(f"complex: the parts must be float32 or float64, but are {s.dtype}.")
    return Spec(s.shape, "complex64" if s.dtype == "float32" else "complex128")


complex_ = Op(
    "complex",
    _complex_spec,
    lambda g, z, x, y: (_fit(real(g), x), _fit(-imag(g), y)),
    keep="",
    traits=_part._replace(batch=aligned),
)


# ---- binary ----------------------------------------------------------------------------------------------------------


def _share(g: Tensor, z: Tensor, x: Tensor, y: Tensor | float) -> tuple[Tensor, ...]:
    """Gradient of maximum and minimum: to the operand that was chosen, half to each where they are equal, none where one is NaN."""
    wx, wy = (cast(equal(a, z), dtype=g.dtype) for a in (x, y))
    return g * wx * (1 - 0.5 * wy), g * wy * (1 - 0.5 * wx)


def _pow_vjp(g: Tensor, z: Tensor, x: Tensor | float, y: Tensor | float) -> tuple[Tensor | None, ...]:
    if type(y) is not Tensor:  # a constant exponent: no logarithm needed
        return g * y * (x ** (y - 1)) if y != 0 else g * 0, None
    gx = g * y * (x ** (y - 1))
    if type(x) is Tensor:
        log_x = log(where(x > 0, x, x * 0 + 1))
    else:
        log_x = math.log(x) if x > 0 else 0.0
    return gx if type(x) is Tensor else None, g * z * log_x


add = binary("add", lambda g, z, x, y: (g, g), "", neutral=0, commutes=True)
sub = binary("sub", lambda g, z, x, y: (g, -g), "", takes=_NUMBERS, neutral=0)
mul = binary("mul", lambda g, z, x, y: (g * y, g * x), neutral=1, commutes=True)
div = binary("div", lambda g, z, x, y: (g / y, -g * x / (y * y)), takes=FLOATING, neutral=1)
floor_div = binary("floor_div", keep="", takes=_REAL)
mod = binary("mod", lambda g, z, x, y: (g, -g * floor(x / y)), takes=_REAL)  # the result has the divisor's sign, as in Python
pow_ = binary("pow", _pow_vjp, "xy", takes=_NUMBERS, neutral=1)
maximum = binary("maximum", _share, "xy", commutes=True, idempotent=True)
minimum = binary("minimum", _share, "xy", commutes=True, idempotent=True)
atan2 = binary("atan2", lambda g, z, x, y: (g * y / (x * x + y * y), -g * x / (x * x + y * y)), takes=dtypes.FLOATS)
nextafter = binary("nextafter", keep="", takes=dtypes.FLOATS)
gcd = binary("gcd", keep="", takes=_INTEGERS, commutes=True)
equal = binary("equal", keep="", dtype="bool", commutes=True)
not_equal = binary("not_equal", keep="", dtype="bool", commutes=True)
less = binary("less", keep="", dtype="bool")
less_equal = binary("less_equal", keep="", dtype="bool")
# and, or, xor: logical for bool, bitwise for integers
and_ = binary("and", keep="", takes=_BITS, commutes=True, idempotent=True)
or_ = binary("or", keep="", takes=_BITS, commutes=True, idempotent=True)
xor = binary("xor", keep="", takes=_BITS, commutes=True)
left_shift = binary("left_shift", keep="", takes=_INTEGERS, neutral=0)
right_shift = binary("right_shift", keep="", takes=_INTEGERS, neutral=0)


# ---- choose ----------------------------------------------------------------------------------------------------------


def _where_spec(condition: Spec, x: Spec | complex, y: Spec | complex) -> Spec:
    if type(condition) is Spec and condition.dtype != "bool":
        raise TypeError(f"where: the condition must be bool, but is {condition.dtype}.")
    shape = broadcast("where", *(s.shape if type(s) is Spec else () for s in (condition, x, y)))
    return Spec(shape, _operand_dtype("where", (x, y)))


def _where_vjp(g: Tensor, z: Tensor, condition: Tensor, x: Tensor | float, y: Tensor | float) -> tuple[Tensor | None, ...]:
    return None, _fit(where(condition, g, 0.0), x), _fit(where(condition, 0.0, g), y)


where = Op("where", _where_spec, _where_vjp, keep="0", traits=Traits(elementwise=True, broadcasts=True))
