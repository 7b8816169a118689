"""Rows for decompositions and solvers."""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular


def _triangular_solve(a, b, lower):
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(t, (*batch, *t.shape[-2:])) for t in (a, b))
    return solve_triangular(a, b, lower=lower)


ROWS = dict(
    triangular_solve=_triangular_solve,
    qr=lambda x, mode: tuple(jnp.linalg.qr(x, mode)),
)
