"""Hinge losses: the losses of maximum-margin classifiers."""

from typing import Any

from mlkit import ops
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.checks import checked_by, one_hot, same_shape
from mlkit.losses.loss import LossFunctionWrapper
from mlkit.losses.reduce import as_pair


@checked_by(same_shape)
def hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Mean over the last axis of ``max(1 - y_true y_pred, 0)``.

    Args:
        y_true: Targets -1 or 1, shape (batch, ..., n). Where all of them are 0 or 1, 0 counts as -1.
        y_pred: Scores, the same shape.

    Returns:
        Tensor of shape (batch, ...).

    >>> float(hinge([1.0, -1.0], [0.5, 0.5]))
    1.0
    """
    return ops.mean(_margin_violation(y_true, y_pred), axis=-1)


@checked_by(same_shape)
def squared_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Mean over the last axis of ``max(1 - y_true y_pred, 0)²``; arguments as in `hinge`.

    >>> float(squared_hinge([1.0, -1.0], [0.5, 0.5]))
    1.25
    """
    return ops.mean(ops.square(_margin_violation(y_true, y_pred)), axis=-1)


@checked_by(one_hot)
def categorical_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """``max(1 + best score of the wrong classes - score of the right one, 0)``.

    Args:
        y_true: One-hot targets, shape (batch, ..., classes).
        y_pred: Scores, the same shape.

    Returns:
        Tensor of shape (batch, ...).

    >>> categorical_hinge([[0.0, 1.0]], [[0.75, 0.5]]).numpy()
    array([1.25], dtype=float32)
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


def _margin_violation(y_true: Any, y_pred):
    y_true, y_pred = as_pair(y_true, y_pred)
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    y_true = ops.where(binary, 2.0 * y_true - 1.0, y_true)
    return ops.maximum(1.0 - y_true * y_pred, 0.0)


class Hinge(LossFunctionWrapper):
    """`hinge` as a loss; arguments as in `Loss`."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge", dtype: DTypeOrPolicy = None):
        super().__init__(hinge, reduction, name, dtype)


class SquaredHinge(LossFunctionWrapper):
    """`squared_hinge` as a loss; arguments as in `Loss`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "squared_hinge", dtype: DTypeOrPolicy = None
    ):
        super().__init__(squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunctionWrapper):
    """`categorical_hinge` as a loss; arguments as in `Loss`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_hinge", dtype: DTypeOrPolicy = None
    ):
        super().__init__(categorical_hinge, reduction, name, dtype)
