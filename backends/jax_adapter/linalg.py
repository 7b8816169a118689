"""Rows for decompositions and solvers."""

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular


def _triangular_solve(a, b, lower):
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(t, (*batch, *t.shape[-2:])) for t in (a, b))
    return solve_triangular(a, b, lower=lower)


def _singular_values(x):
    if x.dtype.itemsize > 2:
        return jnp.linalg.svd(x, compute_uv=False)
    return jnp.linalg.svd(x.astype("float32"), compute_uv=False).astype(x.dtype)  # LAPACK has no half floats


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
    singular_values=_singular_values,
    pinv=lambda x, rcond: jnp.linalg.pinv(x, rtol=rcond),
)
