"""Matrices as products of simpler ones."""

from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives.convert import to_float
from mlkit.primitives.linalg import matrix, orthogonal, spectral, triangular

__all__ = ["cholesky", "eig", "eigh", "lu_factor", "qr", "svd"]


def cholesky(x: TensorLike, upper: bool = False) -> Tensor:
    """The triangle l with x = l l^H, of symmetric (Hermitian) positive definite matrices (..., M, M).

    Only the symmetric part of x counts.

    Args:
        upper: l^H instead.

    Raises ValueError where x is not square, or not positive definite (where the backend is native; JAX gives NaN).

    >>> cholesky([[4.0, 2.0], [2.0, 5.0]]).numpy()
    array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    factor = triangular.cholesky(to_float(x))
    return matrix.adjoint(factor) if upper else factor


def lu_factor(x: TensorLike) -> tuple[Tensor, ...]:
    """Triangles l u of matrices (..., M, N), by partial pivoting, as `scipy.linalg.lu_factor` gives them.

    Returns (lu, pivots): l (its diagonal of ones left out) and u in one (..., M, N), and int32 (..., min(M, N)): at step i,
    row i was exchanged with row pivots[i].

    >>> lu, pivots = lu_factor([[2.0, 1.0], [4.0, 4.0]])
    >>> lu.numpy(), pivots.numpy()
    (array([[ 4. ,  4. ],
           [ 0.5, -1. ]], dtype=float32), array([1, 1], dtype=int32))
    """
    lu, pivots, _ = triangular.lu(to_float(x))
    return lu, pivots


def eigh(x: TensorLike) -> tuple[Tensor, ...]:
    """Eigenvalues (ascending) and orthonormal eigenvectors (columns) of symmetric or Hermitian matrices (..., M, M).

    Returns ((..., M), (..., M, M)). Only the symmetric part of x counts; the signs of the vectors are the backend's choice.

    >>> eigh([[2.0, 0.0], [0.0, 1.0]])[0].numpy()
    array([1., 2.], dtype=float32)
    """
    return spectral.eigh(to_float(x))


def eig(x: TensorLike) -> tuple[Tensor, ...]:
    """Complex eigenvalues and right eigenvectors (columns) of square matrices (..., M, M), in no order.

    Returns ((..., M), (..., M, M)). Eigenvalues have a gradient, eigenvectors have none.

    >>> w, v = eig([[0.0, -1.0], [1.0, 0.0]])
    >>> sorted(w.numpy().imag.round().tolist())
    [-1.0, 1.0]
    """
    return spectral.eig(to_float(x))


def qr(x: TensorLike, mode: str = "reduced") -> tuple[Tensor, ...]:
    """Matrices as products q r of orthonormal columns and an upper triangle.

    Args:
        x: (..., M, N).
        mode: "reduced" gives q of shape (..., M, K) and r (..., K, N) with K = min(M, N); "complete" has K = M. The signs of
            r's diagonal are the backend's choice.

    Raises ValueError for another mode or fewer than two axes.

    >>> from mlkit import ops
    >>> q, r = ops.qr([[3.0, 1.0], [4.0, 2.0]])
    >>> ops.round(q @ r).numpy()
    array([[3., 1.],
           [4., 2.]], dtype=float32)
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: unknown mode={mode!r}. Expected one of {{'reduced', 'complete'}}.")
    return orthogonal.qr(to_float(x), mode=mode)


def svd(x: TensorLike, full_matrices: bool = True, compute_uv: bool = True) -> Tensor | tuple[Tensor, ...]:
    """Singular values and vectors: matrices (..., M, N) as u diag(s) vh.

    Args:
        full_matrices: u is (..., M, M) and vh (..., N, N), else (..., M, K) and (..., K, N) with K = min(M, N).
        compute_uv: return (u, s, vh), else s alone; s is (..., K), descending. The signs of vectors are the backend's choice.

    >>> svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).numpy()
    array([4., 3.], dtype=float32)
    """
    x = to_float(x)
    if not compute_uv:
        return spectral.singular_values(x)
    return spectral.svd(x, full_matrices=bool(full_matrices))
