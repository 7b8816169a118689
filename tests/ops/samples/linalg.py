"""Linear algebra. Signs of q, u, vh and of eigenvectors are free, so absolute values and products of factors are compared."""

import math

from mlkit import ops
from tests.ops.sample import Bad, F, P, S, const, cplx, f, i, spd, unit, well


def _magnitudes(results):
    return [abs(r) for r in results]


def _transposed(x):
    return ops.swapaxes(x, -1, -2)


def _qr_product(x, w):
    """Invariant to the signs of r's rows."""
    q, r = ops.qr(x)
    return q @ (ops.tanh(r @ _transposed(r)) @ (_transposed(q) @ w))


def _svd_product(x, w):
    u, s, vh = ops.svd(x, full_matrices=False)
    return (u * ops.expand_dims(ops.sin(s), -2)) @ vh @ w


def _eigh_function(x):
    """The cosine of the matrix."""
    w, v = ops.eigh(x)
    return (v * ops.expand_dims(ops.cos(w), -2)) @ _transposed(v)


def _sorted_eigenvalues(x):
    w = ops.eig(x)[0]
    return ops.sort(ops.real(w), axis=-1), ops.sort(ops.abs(ops.imag(w)), axis=-1)


def _eig_product(x):
    w, v = ops.eig(x)
    return ops.real(ops.matmul(ops.expand_dims(w, -2) * v, ops.inv(v)))


def _complex_solve(re, im, b):
    x = ops.solve(ops.view_as_complex(ops.stack([re, im], -1)), ops.view_as_complex(ops.stack([b, b * 2], -1)))
    return ops.real(x), ops.imag(x)


def _jvp(x, y, dx, dy):
    return ops.jvp(lambda a, b: (ops.tanh(a) @ b, ops.sum(a)), (x, y), (dx, dy))


def _jvp_aux(x, dx):
    return ops.jvp(lambda a: (ops.sin(a), ops.sum(a)), (x,), (dx,), has_aux=True)


_EQUAL = const([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])  # equal singular values
_RANK_1 = const([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])

SAMPLES = [
    # solvers
    P("solve", well(2, 3, 3), f(2, 3, 2)),
    P("solve", well(4, 2, 3, 3), f(2, 3, 2), _known=True),  # batches broadcast
    P("triangular_solve", spd(2, 3, 3), f(2, 3, 2), lower=True),
    P("triangular_solve", spd(3, 3), f(2, 3, 2), lower=False, _known=True),
    S("solve", well(2, 3, 3), f(2, 3, 4), _dtype=("float32", "float64")),
    S("solve", well(3, 3), f(3), _known=True),
    S("solve", well(2, 3, 3), f(2, 3), _keras=False),  # JAX takes a batch of vectors for a matrix
    S("solve", i(1, 3, 1, 1), i(1, 9, 1, 2), _known=True, _grad=False),
    S("linalg.solve", well(2, 3, 3), f(2, 3, 4)),
    F("complex solve", _complex_solve, well(2, 3, 3), f(2, 3, 3), f(2, 3, 1)),
    S("solve_triangular", spd(2, 3, 3), f(2, 3, 4), lower=True, _dtype=("float32", "float64")),
    S("solve_triangular", spd(3, 3), f(3), _known=True),
    S("solve_triangular", spd(2, 3, 3), f(2, 3)),
    S("inv", well(2, 3, 3), _dtype=("float32", "float64")),
    S("inv", cplx(2, 3, 3), _grad=False, _atol=1e-4),
    S("cholesky_inverse", spd(3, 3), _known=True),
    S("cholesky_inverse", spd(3, 3), upper=True, _known=True),
    S("cholesky_inverse", spd(2, 3, 3), _keras=False),  # Keras transposes the batch axes too
    S("lstsq", well(5, 3), f(5), _known=True),
    S("lstsq", well(3, 5), f(3, 2), rcond=1e-4, _known=True),
    S("lstsq", _RANK_1, f(3), rcond=1e-4, _known=True, _grad=False),
    # determinants
    P("det", well(2, 3, 3)),
    P("slogdet", well(2, 3, 3)),
    S("det", well(2, 3, 3), _dtype=("float32", "float64")),
    S("det", const([[1.0, 2.0], [2.0, 4.0]]), _known=True, _grad=False),
    S("det", i(0, 5, 2, 3, 3), _grad=False),
    S("slogdet", well(4, 4), _known=True),
    S("slogdet", well(2, 4, 4), _dtype=("float32", "float64")),
    S("logdet", spd(2, 3, 3), _dtype=("float32", "float64")),
    # decompositions
    P("cholesky", spd(2, 3, 3)),
    S("cholesky", spd(2, 3, 3), _dtype=("float32", "float64")),
    S("cholesky", spd(3, 3), upper=True, _known=True),
    P("lu", well(2, 4, 4)),
    P("lu", well(2, 3, 5)),
    P("lu", well(2, 5, 3)),
    S("lu_factor", well(2, 4, 4), _dtype=("float32", "float64")),
    S("lu_factor", well(3, 5), _known=True),
    S("lu_factor", well(5, 3), _known=True),
    P("qr", well(2, 4, 3), mode="reduced", _out=_magnitudes, _jax="values"),
    P("qr", well(2, 3, 5), mode="reduced", _out=_magnitudes, _jax="values"),
    P("qr", well(2, 3, 3), mode="complete", _out=_magnitudes, _jax="values"),
    S("qr", well(2, 4, 3), _out=_magnitudes, _jax="values", _dtype=("float32", "float64")),
    S("qr", well(2, 5, 3), mode="complete", _grad=False, _keras=False, _jax=False),  # beyond the third any basis will do
    F("qr product", _qr_product, well(2, 4, 3), f(2, 4, 2)),
    F("qr product", _qr_product, well(2, 3, 3), f(2, 3, 2)),
    F("qr product, complete", lambda x: ops.matmul(*ops.qr(x, mode="complete")), well(2, 5, 3), _grad=False, _np=lambda x: x),
    P("eigh", spd(2, 3, 3), _out=_magnitudes, _jax="values"),
    S("eigh", spd(2, 3, 3), _out=_magnitudes, _jax="values", _dtype=("float32", "float64")),
    F("eigh function", _eigh_function, spd(2, 3, 3)),
    P("eig", well(2, 3, 3), _grad=False, _jax=False),  # scaled as the library likes
    S("eig", well(2, 3, 3), _grad=False, _jax=False, _keras=False),
    F("eigenvalues", _sorted_eigenvalues, well(2, 3, 3), _second=False, _jax="values"),  # JAX derives no eigenvectors
    F("eigenvalues", _sorted_eigenvalues, const([[[0.0, -1.0], [1.5, 0.3]]]), _second=False, _jax="values"),
    F("eig product", _eig_product, well(2, 3, 3), _grad=False, _np=lambda x: x),
    P("svd", well(2, 4, 3), full_matrices=False, _out=_magnitudes, _jax="values"),
    P("svd", well(2, 3, 4), full_matrices=False, _out=_magnitudes, _jax="values"),
    P("svd", well(2, 3, 3), full_matrices=True, _out=_magnitudes, _jax="values"),
    P("singular_values", well(2, 4, 3)),
    S("svd", well(2, 4, 3), full_matrices=False, _out=_magnitudes, _jax="values", _dtype=("float32", "float64")),
    S("svd", well(2, 4, 3), _grad=False, _keras=False, _jax=False),  # signs
    S("svd", well(2, 3, 4), compute_uv=False, _dtype=("float32", "float64")),
    F("svd product", _svd_product, well(2, 4, 3), f(2, 3, 2)),
    F("svd product", _svd_product, well(2, 3, 4), f(2, 4, 2)),
    F("svd, full, vh", lambda x: ops.abs(ops.svd(x)[2]), well(2, 4, 3), _jax="values", _second=False),
    P("pinv", well(2, 4, 3), rcond=1e-6),
    P("pinv", well(2, 3, 4), rcond=1e-6),
    S("pinv", well(2, 4, 3), _dtype=("float32", "float64")),
    S("pinv", _EQUAL, rcond=1e-5, _known=True),
    S("pinv", _RANK_1, rcond=1e-4, _known=True, _grad=False),
    S("matrix_rank", well(2, 4, 3), _grad=False),
    S("matrix_rank", _RANK_1, _known=True, _grad=False),
    S("matrix_rank", well(3, 3), tol=1.5, _known=True, _grad=False),
    # norms
    S("norm", f(2, 3, 4), _dtype=("float32", "float64")),
    S("norm", f(2, 3), keepdims=True),
    S("norm", i(-3, 4, 5), _grad=False),
    S("norm", i(-3, 4, 5, dtype="int64"), _grad=False),
    S("norm", cplx(2, 3), _grad=False),
    *(S("norm", unit(2, 3), ord=o, axis=-1) for o in (None, 1, 2, 3, 0.5, math.inf, -math.inf)),
    S("norm", const([[0.0, 1.0], [2.0, 3.0]]), ord=0, axis=1, _grad=False),
    *(S("norm", f(3, 2, 4), ord=o, axis=(1, 2)) for o in (None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)),
    S("norm", f(3, 2, 4), ord="nuc", axis=(-1, 0), keepdims=True, _known=True),
    S("norm", f(3, 2, 4), ord=1, axis=(2, 0), keepdims=True),
    # directional derivatives
    F("jvp", _jvp, f(2, 3), f(3, 2), f(2, 3), f(3, 2), _second=False),
    F("jvp with aux", _jvp_aux, f(2, 3), f(2, 3), _second=False),
]  # fmt: skip

BAD = [
    Bad("cholesky", f(2, 3), match="square matrices"),
    Bad("cholesky", const([[1.0, 2.0], [2.0, 1.0]]), match="not positive definite", eager_only=True),
    Bad("det", f(3), match=r"expected a matrix"),
    Bad("det", f(2, 3, 4), match="square matrices"),
    Bad("inv", f(2, 3), match="inv: expected square"),
    Bad("inv", const([[1.0, 2.0], [2.0, 4.0]]), match="singular", eager_only=True),
    Bad("solve", f(2, 2), f(3), match=r"b must have shape \(..., 2, K\)"),
    Bad("solve", f(2, 2), const(1.0), match="scalar"),
    Bad("solve_triangular", f(2, 3), f(3), match="square matrices"),
    Bad("eigh", f(2, 3), match="square matrices"),
    Bad("eig", f(2, 3), match="square matrices"),
    Bad("svd", f(3), match="expected a matrix"),
    Bad("pinv", f(3), match="pinv: expected a matrix"),
    Bad("matrix_rank", f(3), match="matrix_rank: expected a matrix"),
    Bad("lu_factor", f(3), match="lu_factor: expected a matrix"),
    Bad("lstsq", f(3, 2), f(4), match="lstsq: expected a of shape"),
    Bad("qr", f(3), match="expected a matrix"),
    Bad("qr", f(3, 3), mode="full", match="Expected one of"),
    Bad("norm", f(3), ord="fro", match="vector norm"),
    Bad("norm", f(3, 3), ord=3, match="matrix norm"),
    Bad("norm", f(2, 3, 3), ord=2, match="one axis"),
    Bad("norm", f(3, 3), axis=(1, 1), match="twice"),
]
