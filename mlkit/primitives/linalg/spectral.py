"""Eigenvalue and singular value decompositions, and the pseudoinverse."""

from collections.abc import Sequence

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.axes import on_last_axes
from mlkit.primitives.counts import of_matrices
from mlkit.primitives.linalg import matrix
from mlkit.primitives.linalg.triangular import inverse
from mlkit.primitives.linear import matmul, swap
from mlkit.primitives.movement import slice_along

# ---- eigenvalues -----------------------------------------------------------------------------------------------------


def _eigh_spec(x: Spec) -> tuple[Spec, ...]:
    matrix.check_square("eigh", x)
    return Spec(x.shape[:-1], matrix.real_dtype(x.dtype)), x


def _gap_inverse(w: Tensor) -> Tensor:
    """1 / (w_j - w_i), and 0 where they are equal: eigenvectors of equal eigenvalues may be any basis and have no gradient."""
    gap = matrix.as_row(w) - matrix.as_column(w)
    equal = el.equal(gap, 0)
    return el.where(equal, 0.0, 1 / el.where(equal, 1.0, gap))


def _eigh_vjp(g: Sequence[Tensor | None], out: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor | None, ...]:
    """Giles 2008, section 3.1, for the symmetric part of x."""
    matrix.real_only("eigh", x)
    (gw, gv), (w, v) = g, out
    inner: Tensor | float = 0.0
    if gw is not None:
        inner = matrix.as_row(gw) * matrix.identity_like(v)
    if gv is not None:
        inner = matmul(swap(v), gv) * _gap_inverse(w) + inner
    whole = matmul(matmul(v, inner), swap(v))
    return ((whole + swap(whole)) * 0.5,)


# -> ascending eigenvalues and eigenvectors of the Hermitian part of x
eigh = Op(
    "eigh", _eigh_spec, _eigh_vjp, keep="y", traits=Traits(flops=of_matrices(lambda m, n, k: 9 * n**3), batch=on_last_axes)
)


def _eig_spec(x: Spec) -> tuple[Spec, ...]:
    matrix.check_square("eig", x)
    dtype = matrix.complex_dtype(x.dtype)
    return Spec(x.shape[:-1], dtype), Spec(x.shape, dtype)


def _eig_vjp(g: tuple[Tensor, Tensor | None], out: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor | None, ...]:
    """Eigenvalues only (Giles 2008, section 3.1): v^-T diag(gw) v^T."""
    (gw, gv), (_, v) = g, out
    if gv is not None:
        raise NotImplementedError(
            "eig: eigenvectors of a general matrix have no gradient (their length and phase are arbitrary), eigenvalues have. "
            "For symmetric matrices use ops.eigh."
        )
    ga = matmul(swap(inverse(v)) * matrix.as_row(gw), swap(v))
    return (el.cast(ga, dtype=x.dtype) if x.dtype in dtypes.COMPLEX else el.cast(el.real(ga), dtype=x.dtype),)


# -> complex eigenvalues and right eigenvectors
eig = Op("eig", _eig_spec, _eig_vjp, traits=Traits(flops=of_matrices(lambda m, n, k: 25 * n**3), batch=on_last_axes))


# ---- singular values -------------------------------------------------------------------------------------------------


def _svd_spec(x: Spec, full_matrices: bool) -> tuple[Spec, ...]:
    matrix.check_known("svd", x)
    *batch, m, n = x.shape
    k = min(m, n)
    rows, columns = (m, n) if full_matrices else (k, k)
    return Spec((*batch, m, rows), x.dtype), Spec((*batch, k), matrix.real_dtype(x.dtype)), Spec((*batch, columns, n), x.dtype)


def _svd_vjp(g: Sequence[Tensor | None], out: tuple[Tensor, ...], x: Tensor, full_matrices: bool) -> tuple[Tensor | None, ...]:
    """Townsend, "Differentiating the singular value decomposition", 2016. The vectors of a full u or vh beyond the k singular
    values are arbitrary."""
    matrix.real_only("svd", x)
    gu, gs, gvh = g
    m, n = x.shape[-2:]
    if full_matrices and ((m > n and gu is not None) or (n > m and gvh is not None)):
        raise NotImplementedError(
            f"svd: for shape {x.shape} and full_matrices=True the last {abs(m - n)} singular vectors of one side are arbitrary "
            "and have no gradient. Use full_matrices=False."
        )
    axis, k = x.ndim - 1, min(m, n)
    u, s, v = slice_along(out[0], axis, 0, k), out[1], swap(slice_along(out[2], axis - 1, 0, k))
    inner: Tensor | float = 0.0
    gaps = _gap_inverse(s * s)
    if gs is not None:
        inner = matrix.as_row(gs) * matrix.identity_like(gaps)
    outer = None
    if gu is not None:
        p = matmul(swap(u), gu)
        inner = inner + (p - swap(p)) * gaps * matrix.as_row(s)
        if m > k:
            outer = matmul((gu - matmul(u, p)) / matrix.as_row(s), swap(v))
    if gvh is not None:
        gv = swap(gvh)
        p = matmul(swap(v), gv)
        inner = inner + matrix.as_column(s) * ((p - swap(p)) * gaps)
        if n > k:
            outer = matmul(u, swap((gv - matmul(v, p)) / matrix.as_row(s)))
    ga = matmul(matmul(u, inner), swap(v))
    return (ga if outer is None else ga + outer,)


_whole = Traits(flops=of_matrices(lambda m, n, k: 4 * m * n * n + 8 * n**3), batch=on_last_axes)
svd = Op("svd", _svd_spec, _svd_vjp, traits=_whole)  # -> u, descending s, vh with x = u diag(s) vh


def _singular_values_spec(x: Spec) -> Spec:
    matrix.check_known("svd", x)
    return Spec((*x.shape[:-2], min(x.shape[-2:])), matrix.real_dtype(x.dtype))


def _singular_values_vjp(g: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor | None, ...]:
    matrix.real_only("svd", x)
    u, _, vh = svd(x, full_matrices=False)
    return (matmul(u * matrix.as_row(g), vh),)


singular_values = Op(
    "singular_values",
    _singular_values_spec,
    _singular_values_vjp,
    keep="x",
    traits=Traits(flops=of_matrices(lambda m, n, k: 4 * m * n * n), batch=on_last_axes),
)


# ---- pseudoinverse ---------------------------------------------------------------------------------------------------


def _pinv_spec(x: Spec, rcond: float) -> Spec:
    matrix.check_known("pinv", x)
    *batch, m, n = x.shape
    return Spec((*batch, n, m), x.dtype)


def _pinv_vjp(g: Tensor, y: Tensor, x: Tensor, rcond: float) -> tuple[Tensor | None, ...]:
    """Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate", 1973: at constant rank, also where singular values are equal."""
    matrix.real_only("pinv", x)
    yt, gt = swap(y), swap(g)
    ga = -matmul(matmul(yt, g), yt)
    a = matmul(gt, matmul(y, yt))
    b = matmul(matmul(yt, y), gt)
    return (ga + (a - matmul(x, matmul(y, a))) + (b - matmul(matmul(b, y), x)),)


# singular values up to rcond times the largest count as 0
pinv = Op("pinv", _pinv_spec, _pinv_vjp, traits=_whole)
