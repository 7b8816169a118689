"""From one loss per element to the number that is minimized: ranks, sample weights, masks, reduction."""

from typing import Any

from mlkit import ops
from mlkit.core.communicator import in_step
from mlkit.core.dtypes import is_float, single_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


def standardize_reduction(reduction: str | None) -> str:
    """The reduction itself if it is one of `REDUCTIONS`; else ValueError."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"Invalid value for argument `reduction`: {reduction!r}. Expected one of {REDUCTIONS}.")
    return reduction


def get_mask(x: Any) -> Any:
    """The mask that a layer or a loss left on a tensor, or None."""
    return getattr(x, "_keras_mask", None)


def combine_masks(a: Any, b: Any) -> Any:
    """Both masks at once; None stands for "all valid"."""
    if a is None or b is None:
        return b if a is None else a
    return ops.logical_and(a, b)


def squeeze_or_expand_to_same_rank(x1: Tensor, x2: Tensor, expand_rank_1: bool = True) -> tuple[Tensor, Tensor]:
    """Drop or add a trailing axis of size 1 where the ranks of two tensors differ by one.

    (N, 1) and (N,) become (N, 1) both, (N, T, 1) and (N, T) become (N, T) both; pairs that do not fit are returned as they are.
    expand_rank_1: whether the partner of rank 1 is expanded; otherwise the other one is squeezed.
    """
    if x1.ndim == x2.ndim + 1 and x1.shape[-1] == 1:
        if x2.ndim == 1 and expand_rank_1:
            return x1, ops.expand_dims(x2, -1)
        return ops.squeeze(x1, -1), x2
    if x2.ndim == x1.ndim + 1 and x2.shape[-1] == 1:
        x2, x1 = squeeze_or_expand_to_same_rank(x2, x1, expand_rank_1)
    return x1, x2


def as_pair(y_true: TensorLike, y_pred: TensorLike) -> tuple[Tensor, Tensor]:
    """Targets and predictions as tensors of one dtype, float32 or wider, and, where a trailing 1 tells them apart, of one rank.

    The dtype follows the predictions; differences of small integers would wrap around, and squares of half floats overflow.
    """
    y_pred = as_single(y_pred)
    return squeeze_or_expand_to_same_rank(ops.cast(y_true, y_pred.dtype), y_pred)


def as_single(x: TensorLike) -> Tensor:
    """The tensor in float32, or in its own dtype if that is wider: what losses and metrics compute in."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, single_of(x.dtype))


def without_half(x: Tensor) -> Tensor:
    """The tensor with half floats as float32; integers and truth values are compared exactly as they are."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, single_of(x.dtype)) if is_float(x.dtype) else x


def align_weights(values: Tensor, weights: Tensor) -> Tensor:
    """Values and weights of ranks that broadcast: weights for the leading axes get trailing axes of size 1."""
    values, weights = squeeze_or_expand_to_same_rank(values, weights)
    for _ in range(values.ndim - weights.ndim if weights.ndim else 0):
        weights = ops.expand_dims(weights, -1)
    return values, weights


def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """The weights with those of masked entries set to 0; None if there is neither weight nor mask.

    Under the mean reductions, which divide by the number of all entries, the valid ones are scaled by total / valid, so that
    the result is the mean over the valid entries.
    """
    if mask is None:
        return sample_weight
    mask = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        valid, group = ops.mean(mask), in_step()
        mask = ops.divide_no_nan(mask, valid if group is None else group.batch_mean(valid))
    if sample_weight is None:
        return mask
    mask, sample_weight = align_weights(mask, ops.cast(sample_weight, dtype))
    return sample_weight * mask


def reduce_values(values: Tensor, sample_weight: Any = None, reduction: str | None = "sum_over_batch_size") -> Tensor:
    """Reduce (already weighted) values to a scalar; no reduction leaves them alone."""
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    group = in_step()
    if reduction == "sum" or 0 in values.shape:
        return ops.sum(values) if group is None else group.whole_sum(ops.sum(values))
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        if group is not None:  # means of both over the samples: the ratio is that of the sums over all ranks
            weights = group.batch_mean(ops.sum(sample_weight) / values.shape[0])
            return ops.divide_no_nan(ops.sum(values) / values.shape[0], weights)
        return ops.divide_no_nan(ops.sum(values), ops.sum(sample_weight))
    return ops.mean(values)


def reduce_weighted_values(
    values: Tensor,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: str | None = None,
) -> Tensor:
    """Weight the values by `sample_weight` and `mask`, then reduce them.

    Args:
        values: losses, one an element; shape (batch, ...).
        sample_weight: weights whose shape is a leading part of the values' shape, or broadcasts to it. Optional.
        mask: booleans, False for entries that must not count. Optional.
        reduction: one of `REDUCTIONS`.
        dtype: dtype of the computation.

    Returns:
        A scalar, or the weighted values for ``"none"`` and None.
    """
    standardize_reduction(reduction)
    values = ops.convert_to_tensor(values)
    dtype, values = dtype or values.dtype, as_single(values)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=values.dtype)
    weights = apply_mask(sample_weight, mask, values.dtype, reduction)
    if weights is not None:
        values, weights = align_weights(values, weights)
        values = values * weights
    return ops.cast(reduce_values(values, weights, reduction), dtype)
