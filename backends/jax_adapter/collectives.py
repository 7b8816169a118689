"""Collectives on JAX: arrays are whole wherever they lie, and XLA itself adds what lies on several devices."""

import jax.numpy as jnp

ROWS = {
    "all_reduce": lambda *xs, reduction="sum", scale=1.0, label="": xs if scale == 1 else tuple(x * scale for x in xs),
    "all_gather": lambda x, size: x,
    "reduce_scatter": lambda x, size: x,
    "broadcast": lambda x, root=0: x,
    "rank": lambda: jnp.zeros((), "int32"),
}
