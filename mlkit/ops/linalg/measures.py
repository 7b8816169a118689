"""Numbers that describe a matrix: determinant, rank, norms."""

import math
from typing import Any

from mlkit.core.spec import normalize_axis, reduced, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import cast, to_float, to_single
from mlkit.primitives.linalg import matrix, spectral, triangular
from mlkit.primitives.reduction import max_, min_
from mlkit.primitives.shape import reshape, sum_, transpose

__all__ = ["det", "matrix_rank", "norm", "slogdet"]


def det(x: TensorLike) -> Tensor:
    """Determinants (...,) of square matrices (..., M, M). The gradient needs matrices that are not singular.

    >>> float(det([[2.0, 0.0], [0.0, 4.0]]))
    8.0
    """
    return triangular.det(to_float(x))


def slogdet(x: TensorLike) -> tuple[Tensor, ...]:
    """Sign and logarithm of the absolute value of determinants, both (...,), of square matrices (..., M, M).

    >>> sign, log = slogdet([[-1.0, 0.0], [0.0, 1.0]])
    >>> float(sign), float(log)
    (-1.0, 0.0)
    """
    return triangular.slogdet(to_float(x))


def matrix_rank(x: TensorLike, tol: TensorLike | None = None) -> Tensor:
    """Number of singular values above `tol`, int32 (...,), of matrices (..., M, N).

    Args:
        tol: a number; by default max(M, N) epsilon times the largest singular value.

    >>> int(matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
    1
    """
    x = to_float(x)
    matrix.check_known("matrix_rank", x)
    s = spectral.singular_values(x)
    if tol is None:
        tol = max_(s, axes=(s.ndim - 1,), keepdims=True) * (max(x.shape[-2:]) * matrix.epsilon(x.dtype))
    return sum_(el.cast(s > tol, dtype="int32"), axes=(s.ndim - 1,), keepdims=False)


def norm(x: TensorLike, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Norms of vectors along one axis, or of matrices in two.

    Args:
        ord: of vectors None or 2 Euclid, 1 the sum of absolute values, inf and -inf the largest and smallest one, 0 the number
            of nonzero elements, other numbers p: sum(|x|^p)^(1/p). Of matrices None or "fro" Frobenius, "nuc" the sum of
            singular values, 2 and -2 the largest and smallest one, 1 and -1 the largest and smallest column sum of absolute
            values, inf and -inf the same of rows.
        axis: an int, a pair (rows, columns), or None for all axes: at most two of them, unless `ord` is None.
        keepdims: reduced axes stay with size 1.

    >>> float(norm([3.0, 4.0]))
    5.0
    """
    x = to_float(x)
    dtype, x = x.dtype, to_single(x)  # squares of half floats overflow where their root does not
    axes = _norm_axes(x, ord, axis)
    if ord is None or (ord == "fro" and len(axes) == 2):
        out = _euclid(x, axes)
    elif len(axes) == 1:
        out = _vector_norm(x, ord, axes)
    else:
        out = _matrix_norm(x, ord, *axes)
    if dtype != x.dtype:
        out = cast(out, dtype)
    return out if keepdims else reshape(out, shape=reduced(x.shape, axes, False))


def _norm_axes(x: Tensor, ord: float | str | None, axis: Axis) -> tuple[int, ...]:
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(normalize_axis("norm", a, x.ndim) for a in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"norm: axis={axis} names the same axis twice.")
    if len(axes) not in (1, 2) and (axis is not None or ord is not None):
        raise ValueError(
            f"norm: one axis (vectors) or two (matrices) are expected, but shape {show(x.shape)} and axis={axis} name "
            f"{len(axes)}. Set `axis`, or leave `ord` and `axis` out for the norm of all elements."
        )
    return axes


def _euclid(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    size = el.abs_(x)
    return el.sqrt(sum_(size * size, axes=axes, keepdims=True))


def _vector_norm(x: Tensor, ord: Any, axes: tuple[int, ...]) -> Tensor:
    if isinstance(ord, str):
        raise ValueError(f"norm: Invalid `ord` argument for vector norm: expected a number or None, but got {ord!r}.")
    size, options = el.abs_(x), dict(axes=axes, keepdims=True)
    if ord == 2:
        return _euclid(x, axes)
    if ord == math.inf:
        return max_(size, **options)
    if ord == -math.inf:
        return min_(size, **options)
    if ord == 0:
        return sum_(el.cast(el.not_equal(x, 0), dtype=size.dtype), **options)
    if ord == 1:
        return sum_(size, **options)
    return sum_(size ** float(ord), **options) ** (1.0 / ord)


def _matrix_norm(x: Tensor, ord: Any, row: int, column: int) -> Tensor:
    """Along `row` the number of the row changes, so sums over it are column sums."""
    if ord in (1, -1, math.inf, -math.inf):
        along, across = (row, column) if ord in (1, -1) else (column, row)
        sums = sum_(el.abs_(x), axes=(along,), keepdims=True)
        return (max_ if ord > 0 else min_)(sums, axes=(across,), keepdims=True)
    if ord not in (2, -2, "nuc"):
        raise ValueError(
            "norm: Invalid `ord` argument for matrix norm: expected None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, "
            f"but got {ord!r}."
        )
    others = tuple(i for i in range(x.ndim) if i not in (row, column))
    s = spectral.singular_values(transpose(x, perm=(*others, row, column)))
    combine = {2: max_, -2: min_, "nuc": sum_}[ord]
    s = combine(s, axes=(s.ndim - 1,), keepdims=False)
    return reshape(s, shape=reduced(x.shape, (row, column), True))
