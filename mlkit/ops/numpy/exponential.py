"""Powers, roots, exponentials and logarithms. Integers are computed in the default float dtype."""

import math
from collections.abc import Sequence

from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, promote_tensors, require_real, to_float, to_integer, to_real

__all__ = [
    "cbrt", "exp", "exp2", "expm1", "hypot", "i0", "ldexp", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "sqrt",
]  # fmt: skip


def exp(x: TensorLike) -> Tensor:
    """e to the power x."""
    return el.exp(to_float(x))


def exp2(x: TensorLike) -> Tensor:
    """2 to the power x."""
    return el.pow_(2.0, to_float(x))


def expm1(x: TensorLike) -> Tensor:
    """exp(x) - 1, exact also near 0."""
    return el.expm1(to_float(x))


def log(x: TensorLike) -> Tensor:
    """The natural logarithm."""
    return el.log(to_float(x))


def log10(x: TensorLike) -> Tensor:
    """The logarithm to base 10."""
    return el.mul(el.log(to_float(x)), 1 / math.log(10))


def log2(x: TensorLike) -> Tensor:
    """The logarithm to base 2."""
    return el.mul(el.log(to_float(x)), 1 / math.log(2))


def log1p(x: TensorLike) -> Tensor:
    """log(1 + x), exact also near 0."""
    return el.log1p(to_float(x))


def logaddexp(x1: TensorLike, x2: TensorLike) -> Tensor:
    """log(exp(x1) + exp(x2)) without overflow.

    >>> round(float(logaddexp(1000.0, 1002.0)), 2)
    1002.13
    """
    x1, x2 = promote_tensors(x1, x2, floating=True)
    require_real("logaddexp", x1)
    larger, gap = el.maximum(x1, x2), el.sub(x1, x2)
    equal_infinities = el.equal(x1, x2)  # their gap would be NaN
    gap = el.where(equal_infinities, 0, el.abs_(gap))
    return el.add(larger, el.log1p(el.exp(el.neg(gap))))


def logaddexp2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """log2(2**x1 + 2**x2) without overflow."""
    x1, x2 = promote_tensors(x1, x2, floating=True)
    require_real("logaddexp2", x1)
    scale = math.log(2)
    return el.mul(logaddexp(el.mul(x1, scale), el.mul(x2, scale)), 1 / scale)


def sqrt(x: TensorLike) -> Tensor:
    """The square root."""
    return el.sqrt(to_float(x))


def cbrt(x: TensorLike) -> Tensor:
    """The cube root, of negative numbers too."""
    x = to_real("cbrt", x)
    itself = el.or_(el.equal(x, 0), el.not_(el.isfinite(x)))
    size = el.where(itself, 1, el.abs_(x))
    root = el.exp(el.mul(el.log(size), 1 / 3))
    step = el.mul(el.sub(el.div(size, el.mul(root, root)), root), 1 / 3)  # of Newton: makes it exact to rounding
    return el.where(itself, x, el.mul(el.sign(x), el.add(root, step)))


def hypot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The length of the hypotenuse, sqrt(x1**2 + x2**2), without overflow."""
    x1, x2 = (el.abs_(x) for x in promote_tensors(x1, x2, floating=True))
    longer, shorter = el.maximum(x1, x2), el.minimum(x1, x2)
    ratio = el.div(shorter, el.where(el.equal(longer, 0), 1, longer))
    out = el.mul(longer, el.sqrt(el.add(el.mul(ratio, ratio), 1)))
    return el.where(el.isfinite(longer), out, longer)


def ldexp(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 * 2**x2 for integers x2.

    >>> ldexp([0.75, 1.5], [2, 1]).numpy()
    array([3., 3.], dtype=float32)
    """
    x1, x2 = to_float(x1), to_integer("ldexp", x2)
    half = el.right_shift(x2, 1)  # in two halves, so that neither power overflows before the product does
    out = x1
    for part in (half, el.sub(x2, half)):
        out = el.mul(out, el.pow_(2.0, el.cast(part, dtype=x1.dtype)))
    return out


# Chebyshev series for exp(-x) I0(x) on [0, 8] and exp(-x) sqrt(x) I0(x) on [8, inf): Clenshaw, NPL Mathematical Tables 5 (1962)
_I0_NEAR = (
    -4.41534164647933937950e-18, 3.33079451882223809783e-17, -2.43127984654795469359e-16, 1.71539128555513303061e-15,
    -1.16853328779934516808e-14, 7.67618549860493561688e-14, -4.85644678311192946090e-13, 2.95505266312963983461e-12,
    -1.72682629144155570723e-11, 9.67580903537323691224e-11, -5.18979560163526290666e-10, 2.65982372468238665035e-9,
    -1.30002500998624804212e-8, 6.04699502254191894932e-8, -2.67079385394061173391e-7, 1.11738753912010371815e-6,
    -4.41673835845875056359e-6, 1.64484480707288970893e-5, -5.75419501008210370398e-5, 1.88502885095841655729e-4,
    -5.76375574538582365885e-4, 1.63947561694133579842e-3, -4.32430999505057594430e-3, 1.05464603945949983183e-2,
    -2.37374148058994688156e-2, 4.93052842396707084878e-2, -9.49010970480476444210e-2, 1.71620901522208775349e-1,
    -3.04682672343198398683e-1, 6.76795274409476084995e-1,
)  # fmt: skip
_I0_FAR = (
    -7.23318048787475395456e-18, -4.83050448594418207126e-18, 4.46562142029675999901e-17, 3.46122286769746109310e-17,
    -2.82762398051658348494e-16, -3.42548561967721913462e-16, 1.77256013305652638360e-15, 3.81168066935262242075e-15,
    -9.55484669882830764870e-15, -4.15056934728722208663e-14, 1.54008621752140982691e-14, 3.85277838274214270114e-13,
    7.18012445138366623367e-13, -1.79417853150680611778e-12, -1.32158118404477131188e-11, -3.14991652796324136454e-11,
    1.18891471078464383424e-11, 4.94060238822496958910e-10, 3.39623202570838634515e-9, 2.26666899049817806459e-8,
    2.04891858946906374183e-7, 2.89137052083475648297e-6, 6.88975834691682398426e-5, 3.36911647825569408990e-3,
    8.04490411014108831608e-1,
)  # fmt: skip


def i0(x: TensorLike) -> Tensor:
    """The modified Bessel function of the first kind of order 0."""
    x = as_tensor(x)
    dtype = x.dtype if x.dtype in dtypes.FLOATS else "float64" if x.dtype == "int64" else dtypes.floatx()
    a = el.abs_(el.cast(x, dtype=dtype))
    near = _chebyshev(el.sub(el.mul(a, 0.5), 2.0), _I0_NEAR)
    safe = el.maximum(a, 8.0)
    far = el.mul(_chebyshev(el.sub(el.div(32.0, safe), 2.0), _I0_FAR), el.rsqrt(safe))
    return el.mul(el.exp(a), el.where(el.less_equal(a, 8.0), near, far))


def _chebyshev(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Half the difference of the last two terms of Clenshaw's recurrence."""
    b0, b1, b2 = el.mul(x, 0.0), el.mul(x, 0.0), None
    for c in coefficients:
        b0, b1, b2 = el.add(el.sub(el.mul(x, b0), b1), c), b0, b1
    return el.mul(el.sub(b0, b2), 0.5)
