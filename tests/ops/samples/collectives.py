"""Collectives, as one process alone runs them: it is all ranks, so nothing changes."""

from mlkit.primitives.collectives import (
    all_gather,
    all_reduce,
    all_reduce_start,
    all_reduce_wait,
    broadcast,
    rank,
    reduce_scatter,
)
from tests.ops.sample import Bad, P, f, i

SAMPLES = [
    P(all_reduce.name, f(2, 3), f(4), label="gradients"),
    P(all_reduce.name, f(2, 3), scale=0.5),
    P(all_reduce_start.name, f(2, 3), f(4), scale=0.5, _grad=False, _jax=False),
    P(all_reduce_wait.name, f(4), _grad=False, _jax=False),
    P(all_gather.name, f(2, 3), size=1),
    P(reduce_scatter.name, f(2, 3), size=1),
    P(broadcast.name, f(3), root=0),
    P(rank.name),
]

BAD = [
    Bad("all_reduce", f(2), reduction="mean", op=True, match="one of sum, min, max, but is 'mean'"),
    Bad("all_reduce", f(2), i(0, 9, 2), op=True, match="one dtype"),
    Bad("all_reduce", i(0, 9, 2), scale=0.5, op=True, error=TypeError, match="not scaled"),
    Bad("reduce_scatter", f(3), size=2, op=True, match="3 rows"),
]
