"""Moving averages of weights, which often generalize better than the weights. Polyak & Juditsky 1992,
https://doi.org/10.1137/0330046."""

from collections.abc import Iterable, Sequence
from typing import Any

from mlkit import ops
from mlkit.objects.variable import Variable
from mlkit.optimizers.state import is_overwritten


def move(pairs: Iterable[tuple[Any, Any]], updates: Any, momentum: float, overwrite_every: int | None = None) -> None:
    """Move the averages of pairs (weight, average) towards the weights; after each `overwrite_every` updates the weights become
    their averages. updates: their number before this one, a scalar tensor."""
    momentum = ops.where(ops.equal(updates, 0), 0.0, momentum)  # the first average is the weight itself
    for v, average in pairs:
        m = ops.cast(momentum, v.dtype)
        average.assign(m * average + (1 - m) * v)
        if overwrite_every:
            due = ops.equal((updates + 1) % overwrite_every, 0)
            v.assign(ops.where(due, average, v))


def put_in_place(pairs: Iterable[tuple[Any, Any]], variables: Sequence[Variable], owner: str) -> None:
    """Set the variables to their averages. owner: the optimizer's name, for the message where a trained one has none."""
    averages = dict(pairs)
    for v in variables:
        if v.trainable and v not in averages and not is_overwritten(v):
            raise ValueError(f"{owner} keeps no moving average of {v.path!r}. Was it used to train this model?")
    for v in variables:
        if v in averages:
            v.assign(averages[v])
