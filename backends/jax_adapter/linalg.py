"""Rows for decompositions and solvers."""

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular


def _triangular_solve(a, b, lower):
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(t, (*batch, *t.shape[-2:])) for t in (a, b))
    return solve_triangular(a, b, lower=lower)


def _in_single(row):
    """Half floats, which LAPACK does not have, are computed in float32 and rounded."""

    def run(*args, **params):
        half = next((a.dtype for a in args if hasattr(a, "dtype") and a.dtype.itemsize == 2 and a.dtype != "int16"), None)
        if half is None:
            return row(*args, **params)
        out = row(*(a.astype("float32") if getattr(a, "dtype", None) == half else a for a in args), **params)
        rounded = tuple(o.astype(half) if o.dtype == "float32" else o for o in (out if type(out) is tuple else (out,)))
        return rounded if type(out) is tuple else rounded[0]

    return run


ROWS = dict(
    solve=jnp.linalg.solve,
    triangular_solve=_triangular_solve,
    det=jnp.linalg.det,
    slogdet=lambda x: tuple(jnp.linalg.slogdet(x)),
    cholesky=jnp.linalg.cholesky,
    lu=lambda x: tuple(lax.linalg.lu(jnp.asarray(x))),
    qr=lambda x, mode: tuple(jnp.linalg.qr(x, mode)),
    eigh=lambda x: tuple(jnp.linalg.eigh(x)),
    eig=lambda x: tuple(jnp.linalg.eig(x)),
    svd=lambda x, full_matrices: tuple(jnp.linalg.svd(x, full_matrices)),
    singular_values=lambda x: jnp.linalg.svd(x, compute_uv=False),
    pinv=lambda x, rcond: jnp.linalg.pinv(x, rtol=rcond),
)
ROWS = {name: _in_single(row) for name, row in ROWS.items()}
