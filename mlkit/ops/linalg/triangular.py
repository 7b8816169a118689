"""Systems of equations with a triangle, and the Cholesky decomposition, which is made of them."""

from mlkit.core.op import Op
from mlkit.core.spec import Spec, broadcast, same_size, show
from mlkit.ops.linalg import matrix
from mlkit.ops.linear import matmul, swap
from mlkit.ops.movement import sum_to

__all__ = []


def system_spec(name):
    """(a, b) -> x of a x = b, for a (..., M, M) and b (..., M, K); leading axes broadcast."""

    def spec(a, b, **params):
        matrix.check_square(name, a)
        matrix.check_matrix(name, b)
        if a.dtype != b.dtype:
            raise TypeError(f"{name}: a and b have dtypes {a.dtype} and {b.dtype}. Convert them with ops.cast first.")
        if not same_size(a.shape[-1], b.shape[-2]):
            raise ValueError(
                f"{name}: a of shape {show(a.shape)} needs b of shape (..., {show(a.shape)[-1]}, K), but b has shape {show(b.shape)}."
            )
        return Spec((*broadcast(name, a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), b.dtype)

    return spec


def _triangular_solve_vjp(g, x, a, b, lower):
    gb = triangular_solve(swap(a), g, lower=not lower)
    ga = -matmul(gb, swap(x))
    return sum_to(matrix.lower(ga) if lower else matrix.upper(ga), a.shape), sum_to(gb, b.shape)


# a (..., M, M), of which one triangle is read; b (..., M, K)
triangular_solve = Op("triangular_solve", system_spec("solve_triangular"), _triangular_solve_vjp)
