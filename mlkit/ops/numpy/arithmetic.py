"""Sums, products, quotients and their kin, element by element."""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, dtype_of, pair, promote, promote_tensors, require_real, to_bool, to_integer

__all__ = [
    "abs", "absolute", "add", "clip", "divide", "divide_no_nan", "fabs", "floor_divide", "fmax", "fmin", "fmod", "gcd",
    "heaviside", "lcm", "maximum", "minimum", "mod", "multiply", "negative", "power", "reciprocal", "sign", "square",
    "subtract", "true_divide",
]  # fmt: skip


def add(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 + x2.

    >>> add([1, 2], 0.5).numpy()
    array([1.5, 2.5], dtype=float32)
    """
    return el.add(*pair(x1, x2))


def subtract(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 - x2."""
    return el.sub(*pair(x1, x2))


def multiply(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 * x2."""
    return el.mul(*pair(x1, x2))


def divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 / x2, a float also for integers.

    >>> divide([1, 2], 2).numpy()
    array([0.5, 1. ], dtype=float32)
    """
    x1, x2 = pair(x1, x2)
    if dtype_of(x1, x2) not in el.FLOATING:
        x1, x2 = promote(x1, x2, floating=True)
    return el.div(x1, x2)


def true_divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 / x2, as `divide`."""
    return divide(x1, x2)


def divide_no_nan(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 / x2, and 0 where x2 is 0.

    >>> divide_no_nan([1.0, 2.0], [0.0, 4.0]).numpy()
    array([0. , 0.5], dtype=float32)
    """
    x1, x2 = promote_tensors(x1, x2, floating=True)
    zero = el.equal(x2, 0)
    return el.where(zero, 0, el.div(x1, el.where(zero, 1, x2)))


def floor_divide(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The largest integer not above x1 / x2, in the operands' dtype."""
    return el.floor_div(*_numbers(x1, x2))


def mod(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The remainder of `floor_divide`: it has the sign of x2, as in Python.

    >>> mod([-3, 3], 2).numpy()
    array([1, 1], dtype=int32)
    """
    return el.mod(*_numbers(x1, x2))


def fmod(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The remainder of division rounded towards zero: it has the sign of x1, as in C.

    >>> fmod([-3, 3], 2).numpy()
    array([-1,  1], dtype=int32)
    """
    x1, x2 = _numbers(*promote_tensors(x1, x2))
    require_real("fmod", x1)
    if x1.dtype in dtypes.UINTS:
        return el.mod(x1, x2)
    return el.mul(el.sign(x1), el.mod(el.abs_(x1), el.abs_(x2)))


def power(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 to the power x2. Of integers only 1 and -1 have integers as negative powers: tensors of such powers of others are 0."""
    base, exponent = _numbers(x1, x2)
    if type(exponent) is int and exponent < 0:
        raise ValueError(f"power: integers have no power {exponent}. Cast them to floats first, or take ops.reciprocal.")
    return el.pow_(base, exponent)


def _numbers(x1: TensorLike, x2: TensorLike) -> Sequence[Any]:
    """Operands of one dtype that is not bool: truth values count as int32."""
    x1, x2 = pair(x1, x2)
    if dtype_of(x1, x2) != "bool":
        return x1, x2
    return [x if type(x) is bool else el.cast(x, dtype="int32") for x in (x1, x2)]


def square(x: TensorLike) -> Tensor:
    """x * x; truth values count as int32."""
    x = as_tensor(x)
    if x.dtype == "bool":
        x = el.cast(x, dtype="int32")
    return el.mul(x, x)


def negative(x: TensorLike) -> Tensor:
    """-x."""
    return el.neg(as_tensor(x))


def absolute(x: TensorLike) -> Tensor:
    """The distance from zero; of complex numbers the (real) modulus.

    >>> absolute([-1.5, 2.0]).numpy()
    array([1.5, 2. ], dtype=float32)
    """
    x = as_tensor(x)
    return x if x.dtype == "bool" or x.dtype in dtypes.UINTS else el.abs_(x)


def abs(x: TensorLike) -> Tensor:
    """`absolute`."""
    return absolute(x)


def fabs(x: TensorLike) -> Tensor:
    """The distance from zero as a float, also of integers."""
    x = as_tensor(x)
    return el.abs_(x if x.dtype in dtypes.FLOATS else el.cast(x, dtype=dtypes.float_of(x.dtype)))


def sign(x: TensorLike) -> Tensor:
    """-1, 0 or 1 as x is negative, zero or positive; NaN stays NaN."""
    return el.sign(as_tensor(x))


def reciprocal(x: TensorLike) -> Tensor:
    """1 / x, a float also for integers."""
    return divide(1, x)


def _above(x1: TensorLike, x2: TensorLike) -> Sequence[Any]:
    """The operands, a number below all that the other's integer dtype holds as the least of that dtype: neither is the larger one."""
    return _moved(x1, x2, lambda number, low, high: max(number, low))


def _below(x1: TensorLike, x2: TensorLike) -> Sequence[Any]:
    """The same of a number above them."""
    return _moved(x1, x2, lambda number, low, high: min(number, high))


def _moved(x1: TensorLike, x2: TensorLike, move: Callable[[Any], Any]) -> Sequence[Any]:
    if type(x1) is int and type(x2) is not int:
        return _moved(x2, x1, move)[::-1]
    if type(x2) is int and type(x1) is not int:
        x1 = as_tensor(x1)
        if dtypes.is_int(x1.dtype):
            x2 = move(x2, *dtypes.limits(x1.dtype))
    return x1, x2


def maximum(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The larger of x1 and x2, NaN if either is NaN."""
    return el.maximum(*pair(*_above(x1, x2)))


def minimum(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The smaller of x1 and x2, NaN if either is NaN."""
    return el.minimum(*pair(*_below(x1, x2)))


def fmax(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The larger of x1 and x2, ignoring NaN where only one is NaN."""
    x1, x2 = promote_tensors(x1, x2)
    return _ignoring_nan(el.maximum, x1, x2)


def fmin(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The smaller of x1 and x2, ignoring NaN where only one is NaN."""
    x1, x2 = promote_tensors(x1, x2)
    return _ignoring_nan(el.minimum, x1, x2)


def _ignoring_nan(choose: Op, x1: TensorLike, x2: TensorLike) -> Tensor:
    if x1.dtype not in dtypes.FLOATS:
        return choose(x1, x2)
    return choose(el.where(el.isnan(x1), x2, x1), el.where(el.isnan(x2), x1, x2))


def clip(x: TensorLike, x_min: TensorLike, x_max: TensorLike) -> Tensor:
    """x where it lies between x_min and x_max, else the nearer of the two. Truth values count as int32.

    Args:
        x_min, x_max: bounds, numbers or tensors that broadcast.

    >>> clip([-2.0, 0.5, 7.0], 0.0, 1.0).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    x = as_tensor(x)
    if x.dtype == "bool":
        x = el.cast(x, dtype="int32")
    if x_min is not None:
        x = maximum(*_below(x, x_min))  # a bound beyond an integer dtype is as good as its last number
    return x if x_max is None else minimum(*_above(x, x_max))


def heaviside(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The step function: 0 where x1 < 0, x2 where x1 is 0, 1 where x1 > 0.

    >>> heaviside([-1.0, 0.0, 3.0], 0.5).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    x1, x2 = promote_tensors(x1, x2, floating=True)
    require_real("heaviside", x1)
    step = el.cast(el.less(0, x1), dtype=x1.dtype)
    out = el.where(el.equal(x1, 0), x2, step)
    return el.where(el.isnan(x1), x1, out)


def gcd(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The greatest common divisor of integers, not negative."""
    return el.gcd(*promote_tensors(to_integer("gcd", x1), to_integer("gcd", x2)))


def lcm(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The least common multiple of integers, not negative; 0 where an operand is 0."""
    x1, x2 = promote_tensors(to_integer("lcm", x1), to_integer("lcm", x2))
    divisor = el.gcd(x1, x2)
    some = to_bool(divisor)
    return absolute(el.mul(el.floor_div(x1, el.where(some, divisor, 1)), x2))
