"""True and false positives and negatives at several thresholds at once: what precision, recall and AUC are made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.typing import DType, FloatOrSequence, TensorLike
from mlkit.losses.reduce import squeeze_or_expand_to_same_rank

NEVER = -1e10  # a score below every threshold
OUTCOMES = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def threshold_list(thresholds: FloatOrSequence | None, default: Sequence[float]) -> list[float]:
    """Thresholds given as None, a number or a list, as a list of floats in [0, 1]."""
    if thresholds is None:
        return [default]
    thresholds = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    wrong = [t for t in thresholds if t is None or not 0 <= t <= 1]
    if wrong:
        raise ValueError(f"Threshold values must be in [0, 1], but got {wrong}.")
    return thresholds


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether thresholds divide [0, 1] into equal parts, so that a score's bucket can be computed instead of searched."""
    n = len(thresholds)
    return n >= 3 and np.allclose(thresholds, np.arange(n, dtype="float32") / (n - 1), atol=epsilon())


def outcome_counts(
    y_true: TensorLike,
    y_pred: TensorLike,
    thresholds: Sequence[float],
    sample_weight: Any = None,
    *,
    dtype: str,
    even: bool = False,
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    label_weights: TensorLike | None = None,
) -> Any:
    """Weighted counts of the four outcomes at each threshold.

    Args:
        y_true: targets, 0 or not 0, shape (batch, ...).
        y_pred: scores, the same shape; above a threshold they mean "positive".
        thresholds: list of floats, rising if `even`.
        sample_weight: weights of the leading axes. Optional.
        dtype: dtype of the counts.
        even: whether the thresholds divide [0, 1] evenly (the ends may lie a hair outside).
        top_k: only the k largest scores of a row may be positive.
        class_id: only this entry of the last axis counts.
        multi_label: whether the last axis holds labels that are counted one by one.
        label_weights: weights along the last axis. Optional.

    Returns:
        dict from each name in `OUTCOMES` to a function without arguments that gives the counts: (thresholds,), or
        (thresholds, labels) if `multi_label`.
    """
    y_pred, y_true = squeeze_or_expand_to_same_rank(ops.cast(y_pred, dtype), ops.not_equal(y_true, 0))
    weight = _weights(sample_weight, label_weights, y_pred, dtype)
    if top_k is not None:
        y_pred = _only_top_k(y_pred, top_k)
    if class_id is not None:
        if y_pred.ndim == 1:
            raise ValueError(f"`class_id` needs predictions of shape (batch, classes), but got {y_pred.shape}.")
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
    shape, labels = y_pred.shape, y_pred.shape[-1] if multi_label else 1
    y_pred, positive, negative = (
        ops.reshape(ops.broadcast_to(x, shape), (-1, labels))
        for x in (y_pred, ops.where(y_true, weight, 0.0), ops.where(y_true, 0.0, weight))
    )
    count = _count_by_bucket if even else _count_by_comparison
    above, below = count(y_pred, thresholds)

    def counts(side, x):
        return lambda: side(x) if multi_label else ops.squeeze(side(x), 1)

    return {
        "true_positives": counts(above, positive),
        "false_positives": counts(above, negative),
        "true_negatives": counts(below, negative),
        "false_negatives": counts(below, positive),
    }


def _count_by_comparison(y_pred, thresholds: FloatOrSequence | None):
    """Functions (samples, labels) -> (thresholds, labels): sums of x where the score is above each threshold, and where not."""
    limits = ops.reshape(ops.convert_to_tensor(np.asarray(thresholds, "float64"), dtype=y_pred.dtype), (-1, 1, 1))
    above = ops.cast(ops.greater(y_pred[None], limits), y_pred.dtype)
    return (lambda x: ops.sum(above * x, axis=1)), (lambda x: ops.sum((1.0 - above) * x, axis=1))


def _count_by_bucket(y_pred, thresholds: FloatOrSequence | None):
    """The same for evenly spaced thresholds: a score goes to the bucket numbered by how many thresholds it exceeds."""
    n, labels = len(thresholds), y_pred.shape[1]
    least = 1 if thresholds[0] < 0 else 0  # a first threshold just below 0 is exceeded by every score
    bucket = ops.cast(ops.ceil(ops.clip(y_pred, 0.0, 1.0) * (n - 1)), "int32")
    cell = ops.reshape(ops.clip(bucket, least, n - 1) * labels + ops.arange(labels, dtype="int32"), (-1,))

    def in_buckets(x):
        return ops.reshape(ops.segment_sum(ops.reshape(x, (-1,)), cell, num_segments=n * labels), (n, labels))

    def above(x):  # threshold i is exceeded in the buckets after i
        from_i_on = ops.flip(ops.cumsum(ops.flip(in_buckets(x), axis=0), axis=0), axis=0)
        return ops.pad(from_i_on[1:], ((0, 1), (0, 0)))

    return above, lambda x: ops.cumsum(in_buckets(x), axis=0)


def _weights(sample_weight: Any, label_weights: TensorLike | None, y_pred, dtype: DType | None):
    """One weight an entry, in a shape that broadcasts to the predictions."""
    weight = ops.cast(1.0 if sample_weight is None else sample_weight, dtype)
    if weight.ndim:
        for _ in range(y_pred.ndim - weight.ndim):
            weight = ops.expand_dims(weight, -1)
    return weight if label_weights is None else weight * ops.convert_to_tensor(label_weights, dtype=dtype)


def _only_top_k(y_pred, k):
    """Scores outside the k largest of each row replaced by `NEVER`."""
    _, best = ops.top_k(y_pred, k)
    chosen = ops.sum(ops.one_hot(best, y_pred.shape[-1], dtype=y_pred.dtype), axis=-2)
    return ops.where(chosen > 0, y_pred, NEVER)
