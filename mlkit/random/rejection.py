"""Rejection sampling without loops: some proposals for each element at once, of which the first accepted one counts."""

from mlkit.core.tensor import Tensor
from mlkit.primitives.convert import cast
from mlkit.primitives.movement import take_along_axis
from mlkit.primitives.reduction import argmax
from mlkit.primitives.shape import reshape

PROPOSALS = 16  # for each element


def first_accepted(accepted: Tensor, proposals: Tensor) -> Tensor:
    """Of proposals along the first axis the first accepted one."""
    index = argmax(cast(accepted, "int32"), axis=0)
    index = reshape(index, shape=(1, *index.shape))
    return reshape(take_along_axis(proposals, index, axis=0), shape=proposals.shape[1:])
