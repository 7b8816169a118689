"""Systems of linear equations, inverses, least squares."""

from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives.convert import promote_tensors, to_float
from mlkit.primitives.linalg import matrix, spectral, triangular
from mlkit.primitives.linear import matmul
from mlkit.primitives.shape import reshape

__all__ = ["cholesky_inverse", "inv", "lstsq", "pinv", "solve", "solve_triangular"]


def _solved(name: str, solver: Op, a: TensorLike, b: TensorLike, **params: Any) -> Tensor:
    """b with one axis less than a holds a vector for each system."""
    a, b = promote_tensors(a, b, floating=True)
    matrix.check_square(name, a)
    if b.ndim < 1:
        raise ValueError(f"{name}: b must be a vector or a matrix, but is a scalar. Give it shape ({show(a.shape)[-1]},).")
    if b.ndim != a.ndim - 1:
        return solver(a, b, **params)
    x = solver(a, matrix.as_column(b), **params)
    return reshape(x, shape=x.shape[:-1])


def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """x with a x = b.

    Args:
        a: (..., M, M), not singular.
        b: (..., M, K), or (..., M) with one axis less than a.

    Returns the shape of b.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).numpy()
    array([1. , 0.5], dtype=float32)
    """
    return _solved("solve", triangular.solve, a, b)


def solve_triangular(a: TensorLike, b: TensorLike, lower: bool = False) -> Tensor:
    """x with a x = b for triangular a (..., M, M), of which the other triangle is not read; b as in `solve`.

    Args:
        a: (..., M, M).
        b: (..., M) or (..., M, K).
        lower: whether a is lower triangular; by default upper.

    >>> solve_triangular([[2.0, 0.0], [1.0, 4.0]], [2.0, 5.0], lower=True).numpy()
    array([1., 1.], dtype=float32)
    """
    return _solved("solve_triangular", triangular.triangular_solve, a, b, lower=bool(lower))


def inv(x: TensorLike) -> Tensor:
    """The inverse of square matrices (..., M, M). For x in a x = b, `solve` is faster and more accurate.

    >>> inv([[2.0, 0.0], [0.0, 4.0]]).numpy()
    array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    x = to_float(x)
    matrix.check_square("inv", x)
    return triangular.inverse(x)


def cholesky_inverse(x: TensorLike, upper: bool = False) -> Tensor:
    """The inverse of a matrix from its Cholesky factor x (..., M, M), as `cholesky(matrix, upper)` gives it.

    Args:
        upper: whether x is the upper factor, x^T x, in place of x x^T.

    >>> cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]).numpy()
    array([[0.25, 0.  ],
           [0.  , 1.  ]], dtype=float32)
    """
    x = to_float(x)
    matrix.check_square("cholesky_inverse", x)
    inverse = triangular.triangular_solve(x, matrix.identity_like(x), lower=not upper)
    return matmul(inverse, matrix.adjoint(inverse)) if upper else matmul(matrix.adjoint(inverse), inverse)


def pinv(x: TensorLike, rcond: TensorLike | None = None) -> Tensor:
    """The Moore-Penrose inverse (..., N, M) of matrices (..., M, N).

    Args:
        rcond: singular values up to rcond times the largest count as 0; by default 10 max(M, N) epsilon.

    >>> pinv([[2.0], [0.0]]).numpy()
    array([[0.5, 0. ]], dtype=float32)
    """
    return _pinv("pinv", to_float(x), rcond, factor=10)


def _pinv(name: str, x: Tensor, rcond: Any, factor: float) -> Tensor:
    matrix.check_known(name, x)
    if rcond is None:
        rcond = factor * max(x.shape[-2:]) * matrix.epsilon(x.dtype)
    return spectral.pinv(x, rcond=float(rcond))


def lstsq(a: TensorLike, b: TensorLike, rcond: TensorLike | None = None) -> Tensor:
    """x for which |a x - b| is least, and among several such x the shortest.

    Args:
        a: (M, N).
        b: (M,) or (M, K).
        rcond: singular values of a up to rcond times the largest count as 0; by default max(M, N) epsilon.

    Returns (N,) or (N, K).

    >>> lstsq([[1.0], [1.0]], [1.0, 3.0]).numpy().round(4)
    array([2.], dtype=float32)
    """
    a, b = promote_tensors(a, b, floating=True)
    if a.ndim != 2 or b.ndim not in (1, 2) or not matrix.same(a.shape[0], b.shape[0]):
        raise ValueError(
            f"lstsq: expected a of shape (M, N) and b of shape (M,) or (M, K), but got {show(a.shape)} and {show(b.shape)}. "
            "Batches are not supported."
        )
    inverse = _pinv("lstsq", a, rcond, factor=1)
    if b.ndim == 2:
        return matmul(inverse, b)
    return reshape(matmul(inverse, matrix.as_column(b)), shape=(a.shape[1],))
