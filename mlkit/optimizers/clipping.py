"""Limits on gradients, by value or by norm."""

from collections.abc import Sequence

from mlkit import ops
from mlkit.core.dtypes import single_of
from mlkit.core.tensor import Tensor


def clip_gradients(
    gradients: Sequence[Tensor | None],
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
) -> list[Tensor | None]:
    """The gradients, limited by the one option that is set.

    gradients: list of tensors. clipnorm: largest norm of each. global_clipnorm: largest norm of all together.
    clipvalue: largest absolute value of an element.

    >>> [g.numpy() for g in clip_gradients([ops.convert_to_tensor([3.0, 4.0])], clipnorm=1.0)]
    [array([0.6, 0.8], dtype=float32)]
    """
    if clipnorm:
        return [clip_by_norm(g, clipnorm) for g in gradients]
    if global_clipnorm:
        return clip_by_global_norm(gradients, global_clipnorm)
    if clipvalue:
        return [ops.clip(g, -clipvalue, clipvalue) for g in gradients]
    return gradients


def clip_by_norm(gradient: Tensor, limit: float) -> Tensor:
    """The gradient, scaled down to norm `limit` where it is longer."""
    wide = ops.cast(gradient, single_of(gradient.dtype))  # squares of half floats overflow
    norm = ops.sqrt(ops.sum(ops.square(wide)))
    return ops.cast(wide * limit / ops.maximum(norm, limit), gradient.dtype)


def clip_by_global_norm(gradients: Sequence[Tensor | None], limit: float) -> list[Tensor | None]:
    """The gradients, scaled down together where their common norm exceeds `limit`. An infinite one makes all of them NaN."""
    norm = global_norm(gradients)
    scale = limit * ops.minimum(1.0 / norm, 1.0 / limit)
    scale = scale + (norm - norm)  # 0 for finite norms, else NaN: an overflow must not pass for a small step
    return [ops.cast(ops.cast(g, scale.dtype) * scale, g.dtype) for g in gradients]


def global_norm(gradients: Sequence[Tensor | None]) -> Tensor:
    """The Euclidean norm of all gradients taken as one vector, in float32 or wider."""
    wide = (ops.cast(g, single_of(g.dtype)) for g in gradients)
    return ops.sqrt(sum(ops.sum(ops.square(g)) for g in wide))
