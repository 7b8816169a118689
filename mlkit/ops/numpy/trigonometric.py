"""Circular and hyperbolic functions and their inverses, angles in radians. Integers are computed in the default float dtype."""

import math

from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import promote_tensors, to_float

__all__ = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cos", "cosh", "deg2rad", "rad2deg", "sin",
    "sinc", "sinh", "tan", "tanh",
]  # fmt: skip


def sin(x: TensorLike) -> Tensor:
    """The sine."""
    return el.sin(to_float(x))


def cos(x: TensorLike) -> Tensor:
    """The cosine."""
    return el.cos(to_float(x))


def tan(x: TensorLike) -> Tensor:
    """The tangent."""
    return el.tan(to_float(x))


def arcsin(x: TensorLike) -> Tensor:
    """The angle in [-pi/2, pi/2] whose sine is x."""
    return el.arcsin(to_float(x))


def arccos(x: TensorLike) -> Tensor:
    """The angle in [0, pi] whose cosine is x."""
    return el.arccos(to_float(x))


def arctan(x: TensorLike) -> Tensor:
    """The angle in (-pi/2, pi/2) whose tangent is x."""
    return el.arctan(to_float(x))


def arctan2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The angle in [-pi, pi] of the point with ordinate x1 and abscissa x2.

    >>> arctan2([1.0, -1.0], [-1.0, -1.0]).numpy()
    array([ 2.3561945, -2.3561945], dtype=float32)
    """
    return el.atan2(*promote_tensors(x1, x2, floating=True))


def sinh(x: TensorLike) -> Tensor:
    """The hyperbolic sine."""
    return el.sinh(to_float(x))


def cosh(x: TensorLike) -> Tensor:
    """The hyperbolic cosine."""
    return el.cosh(to_float(x))


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent."""
    return el.tanh(to_float(x))


def arcsinh(x: TensorLike) -> Tensor:
    """The number whose hyperbolic sine is x."""
    return el.arcsinh(to_float(x))


def arccosh(x: TensorLike) -> Tensor:
    """The non-negative number whose hyperbolic cosine is x >= 1."""
    return el.arccosh(to_float(x))


def arctanh(x: TensorLike) -> Tensor:
    """The number whose hyperbolic tangent is x, -1 < x < 1."""
    return el.arctanh(to_float(x))


def deg2rad(x: TensorLike) -> Tensor:
    """Degrees to radians."""
    return el.mul(to_float(x), math.pi / 180)


def rad2deg(x: TensorLike) -> Tensor:
    """Radians to degrees."""
    return el.mul(to_float(x), 180 / math.pi)


def sinc(x: TensorLike) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0."""
    x = to_float(x)
    zero = el.equal(x, 0)
    angle = el.mul(el.where(zero, 1, x), math.pi)
    near = el.sub(1, el.mul(el.mul(x, x), math.pi**2 / 6))  # the start of the series carries the derivatives at 0
    return el.where(zero, near, el.div(el.sin(angle), angle))
