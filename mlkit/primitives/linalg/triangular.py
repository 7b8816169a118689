"""Systems of equations and the decompositions into triangles: Cholesky and LU.

Gradients by Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation", 2008; of LU
of rectangular matrices by de Hoog, Anderssen and Lukas, "Differentiation of matrix functionals using triangular
factorization", 2011.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Spec, broadcast, show
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives.axes import on_last_axes
from mlkit.primitives.counts import of_matrices
from mlkit.primitives.linalg import matrix
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import concat, slice_along, take_along_axis
from mlkit.primitives.shape import broadcast_to, reshape, sum_to
from mlkit.primitives.sorting import argsort

# ---- solvers ---------------------------------------------------------------------------------------------------------


def _system_spec(name: str) -> Callable[..., Any]:
    """(a, b) -> x of a x = b, for a (..., M, M) and b (..., M, K); leading axes broadcast."""

    def spec(a: Spec, b: Spec, **params: Any) -> Spec:
        matrix.check_square(name, a)
        matrix.check_matrix(name, b)
        if a.dtype != b.dtype:
            raise TypeError(f"{name}: a and b have dtypes {a.dtype} and {b.dtype}. Convert them with ops.cast first.")
        if not matrix.same(a.shape[-1], b.shape[-2]):
            raise ValueError(
                f"{name}: for a of shape {show(a.shape)} b must have shape (..., {show(a.shape)[-1]}, K), "
                f"or without K for one system each, but it has shape {show(b.shape)}."
            )
        return Spec((*broadcast(name, a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), b.dtype)

    return spec


def _solve_vjp(g: Tensor, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor | None, ...]:
    gb = solve(swap(a), g)
    return sum_to(-matmul(gb, swap(x)), a.shape), sum_to(gb, b.shape)


def _triangular_solve_vjp(g: Tensor, x: Tensor, a: Tensor, b: Tensor, lower: bool) -> tuple[Tensor | None, ...]:
    gb = triangular_solve(swap(a), g, lower=not lower)
    ga = -matmul(gb, swap(x))
    return sum_to(matrix.lower(ga) if lower else matrix.upper(ga), a.shape), sum_to(gb, b.shape)


# a (..., M, M), b (..., M, K); of a triangular a only the one triangle is read
_elimination = Traits(flops=of_matrices(lambda m, n, k: 2 * n**3 / 3 + 2 * n * n * k), batch=on_last_axes)
_substitution = Traits(flops=of_matrices(lambda m, n, k: n * n * k), batch=on_last_axes)
solve = Op("solve", _system_spec("solve"), _solve_vjp, traits=_elimination)
triangular_solve = Op("triangular_solve", _system_spec("solve_triangular"), _triangular_solve_vjp, traits=_substitution)


def inverse(x: Tensor) -> Tensor:
    """The inverse of square matrices."""
    return solve(x, matrix.identity_like(x))


# ---- determinants ----------------------------------------------------------------------------------------------------


def _det_spec(x: Spec) -> Spec:
    matrix.check_square("det", x)
    return Spec(x.shape[:-2], x.dtype)


def _over_matrix(g: Tensor) -> Tensor:
    """One number per matrix, to be multiplied with all its elements."""
    return reshape(g, shape=(*g.shape, 1, 1))


_factoring = Traits(flops=of_matrices(lambda m, n, k: 2 * n**3 / 3), batch=on_last_axes)
det = Op("det", _det_spec, lambda g, y, x: (_over_matrix(g * y) * swap(inverse(x)),), traits=_factoring)


def _slogdet_spec(x: Spec) -> tuple[Spec, ...]:
    matrix.check_square("slogdet", x)
    return Spec(x.shape[:-2], x.dtype), Spec(x.shape[:-2], matrix.real_dtype(x.dtype))


def _slogdet_vjp(g: Sequence[Tensor | None], out: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor | None, ...]:
    """The sign of a real matrix is constant."""
    matrix.real_only("slogdet", x)
    return (None if g[1] is None else _over_matrix(g[1]) * swap(inverse(x)),)


# -> sign, logarithm of the absolute value
slogdet = Op("slogdet", _slogdet_spec, _slogdet_vjp, keep="x", traits=_factoring)


# ---- Cholesky --------------------------------------------------------------------------------------------------------


def _cholesky_spec(x: Spec) -> Spec:
    matrix.check_square("cholesky", x)
    return x


def _cholesky_vjp(g: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor | None, ...]:
    """The symmetric part of l^-T phi(l^T g) l^-1, where phi halves the diagonal of the lower triangle."""
    matrix.real_only("cholesky", x)
    product = matmul(swap(y), g)
    phi = (matrix.lower(product) + matrix.lower(product, -1)) * 0.5
    half = triangular_solve(swap(y), phi, lower=False)  # l^-T phi
    whole = swap(triangular_solve(swap(y), swap(half), lower=False))  # l^-T phi l^-1
    return ((whole + swap(whole)) * 0.5,)


# the lower factor of the symmetric part of x
cholesky = Op(
    "cholesky",
    _cholesky_spec,
    _cholesky_vjp,
    keep="y",
    traits=Traits(flops=of_matrices(lambda m, n, k: n**3 / 3), batch=on_last_axes),
)


# ---- LU --------------------------------------------------------------------------------------------------------------


def _lu_spec(x: Spec) -> tuple[Spec, ...]:
    matrix.check_known("lu_factor", x)
    *batch, m, n = x.shape
    return Spec(x.shape, x.dtype), Spec((*batch, min(m, n)), "int32"), Spec((*batch, m), "int32")


def _lu_vjp(g: Sequence[Tensor | None], out: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor | None, ...]:
    """Rows in pivot order; of a wide or tall matrix the square part decides, the rest follows from it."""
    gy, packed, permutation = g[0], out[0], out[2]
    if gy is None:
        return (None,)
    m, n = x.shape[-2:]
    k, row, column = min(m, n), x.ndim - 2, x.ndim - 1
    gl, gu = matrix.lower(gy, -1), matrix.upper(gy)
    square = slice_along(slice_along(packed, row, 0, k), column, 0, k)
    l = matrix.lower(square, -1) + matrix.identity_like(square)
    u = matrix.upper(square)
    gl1, gu1 = slice_along(slice_along(gl, row, 0, k), column, 0, k), slice_along(slice_along(gu, row, 0, k), column, 0, k)
    rest = None
    if n > k:  # u2 = l^-1 a2
        rest = triangular_solve(swap(l), slice_along(gu, column, k, n), lower=False)
        gl1 = gl1 - matmul(rest, swap(slice_along(packed, column, k, n)))
    elif m > k:  # l2 = a2 u^-1
        rest = swap(triangular_solve(u, swap(slice_along(gl, row, k, m)), lower=False))
        gu1 = gu1 - matmul(swap(slice_along(packed, row, k, m)), rest)
    inner = matrix.lower(matmul(swap(l), gl1), -1) + matrix.upper(matmul(gu1, swap(u)))
    left = triangular_solve(swap(l), inner, lower=False)
    ga = swap(triangular_solve(u, swap(left), lower=False))
    if rest is not None:
        ga = concat(ga, rest, axis=column if n > k else row)
    back = argsort(permutation, axis=permutation.ndim - 1)
    return (take_along_axis(ga, broadcast_to(matrix.as_column(back), shape=ga.shape), axis=row),)


# -> l and u in one matrix (l's diagonal of ones left out), row exchanges one after the other, the permutation they make of rows
lu = Op("lu", _lu_spec, _lu_vjp, keep="y", traits=_factoring)
