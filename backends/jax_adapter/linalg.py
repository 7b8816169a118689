"""Rows for decompositions and solvers."""

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular

from mlkit.backends.jax_adapter.half import in_single


def _triangular_solve(a, b, lower):
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(t, (*batch, *t.shape[-2:])) for t in (a, b))
    return solve_triangular(a, b, lower=lower)


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
ROWS = {name: in_single(row) for name, row in ROWS.items()}
