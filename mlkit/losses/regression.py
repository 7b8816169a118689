"""Losses of regression: distances between real-valued targets and predictions."""

import math

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.checks import checked_by, same_shape
from mlkit.losses.loss import LossFunctionWrapper
from mlkit.losses.reduce import as_pair


@checked_by(same_shape)
def mean_squared_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Mean over the last axis of ``(y_true - y_pred)²``.

    Args:
        y_true: Targets, shape (batch, ..., n).
        y_pred: Predictions, the same shape.

    Returns:
        Tensor of shape (batch, ...).

    >>> float(mean_squared_error([1.0, 2.0], [1.0, 4.0]))
    2.0
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@checked_by(same_shape)
def mean_absolute_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Mean over the last axis of ``|y_true - y_pred|``; shapes as in `mean_squared_error`.

    >>> float(mean_absolute_error([1.0, 2.0], [1.0, 4.0]))
    1.0
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@checked_by(same_shape)
def mean_absolute_percentage_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Mean over the last axis of ``100 |y_true - y_pred| / |y_true|``; targets below epsilon count as epsilon.

    >>> round(float(mean_absolute_percentage_error([1.0, 2.0], [1.0, 3.0])), 4)
    25.0
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    relative = ops.abs(y_true - y_pred) / ops.maximum(ops.abs(y_true), epsilon())
    return 100.0 * ops.mean(relative, axis=-1)


@checked_by(same_shape)
def mean_squared_logarithmic_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Mean over the last axis of ``(log(y_true + 1) - log(y_pred + 1))²``; values below epsilon count as epsilon.

    >>> round(float(mean_squared_logarithmic_error([0.0, 1.0], [0.0, 3.0])), 4)
    0.2402
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    difference = ops.log(ops.maximum(y_pred, epsilon()) + 1.0) - ops.log(ops.maximum(y_true, epsilon()) + 1.0)
    return ops.mean(ops.square(difference), axis=-1)


@checked_by(same_shape)
def huber(y_true: TensorLike, y_pred: TensorLike, delta: float = 1.0) -> Tensor:
    """Quadratic for small errors, linear for large: mean over the last axis of e²/2 if |e| <= delta else delta |e| - delta²/2.

    P. J. Huber, "Robust Estimation of a Location Parameter", 1964.

    Args:
        y_true: Targets, shape (batch, ..., n).
        y_pred: Predictions, the same shape.
        delta: Error at which the quadratic part ends.

    Returns:
        Tensor of shape (batch, ...).

    >>> float(huber([0.0, 0.0], [1.0, 3.0]))
    1.5
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    error = ops.abs(y_pred - y_true)
    return ops.mean(ops.where(error <= delta, 0.5 * ops.square(error), delta * error - 0.5 * delta**2), axis=-1)


@checked_by(same_shape)
def log_cosh(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Mean over the last axis of ``log(cosh(y_pred - y_true))``: about e²/2 for small errors, |e| - log 2 for large.

    >>> round(float(log_cosh([0.0, 0.0], [0.0, 1.0])), 4)
    0.2169
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(-2.0 * error) - math.log(2.0), axis=-1)


@checked_by(same_shape)
def cosine_similarity(y_true: TensorLike, y_pred: TensorLike, axis: Axis = -1) -> Tensor:
    """Minus the cosine of the angle between targets and predictions: -1 for parallel vectors, 1 for opposite ones.

    Args:
        y_true: Vectors, shape (batch, ..., n).
        y_pred: Vectors, the same shape.
        axis: The axis that the vectors lie along.

    Returns:
        Tensor of the shape without `axis`; 0 where a vector is zero.

    >>> round(float(cosine_similarity([3.0, 0.0], [1.0, 1.0])), 4)
    -0.7071
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return -ops.sum(ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis), axis=axis)


@checked_by(same_shape)
def kl_divergence(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Kullback-Leibler divergence, the sum over the last axis of ``y_true log(y_true / y_pred)``, in nats.

    Kullback and Leibler, "On Information and Sufficiency", Annals of Mathematical Statistics 22 (1951).

    Args:
        y_true: Probabilities, shape (batch, ..., n); clipped to [epsilon, 1].
        y_pred: Probabilities, the same shape; clipped likewise.

    Returns:
        Tensor of shape (batch, ...).

    >>> round(float(kl_divergence([0.5, 0.5], [0.9, 0.1])), 4)
    0.5108
    """
    y_true, y_pred = (ops.clip(p, epsilon(), 1.0) for p in as_pair(y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@checked_by(same_shape)
def poisson(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Negative log likelihood of counts under Poisson distributions of mean y_pred, without the term in y_true alone.

    Args:
        y_true: Counts, shape (batch, ..., n).
        y_pred: Positive rates, the same shape.

    Returns:
        Tensor of shape (batch, ...): the mean over the last axis of ``y_pred - y_true log(y_pred)``.

    >>> round(float(poisson([0.0, 2.0], [1.0, 1.0])), 4)
    1.0
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + epsilon()), axis=-1)


class MeanSquaredError(LossFunctionWrapper):
    """`mean_squared_error` as a loss; arguments as in `Loss`.

    >>> float(MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]]))
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """`mean_absolute_error` as a loss; arguments as in `Loss`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """`mean_absolute_percentage_error` as a loss; arguments as in `Loss`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """`mean_squared_logarithmic_error` as a loss; arguments as in `Loss`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


class Huber(LossFunctionWrapper):
    """`huber` as a loss. delta: error at which the loss turns linear; other arguments as in `Loss`.

    Args:
        delta: the error from which the loss grows linearly.
    """

    unlisted = ("delta",)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(huber, reduction, name, dtype, delta=delta)


class LogCosh(LossFunctionWrapper):
    """`log_cosh` as a loss; arguments as in `Loss`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "log_cosh", dtype: DTypeOrPolicy = None
    ):
        super().__init__(log_cosh, reduction, name, dtype)


class CosineSimilarity(LossFunctionWrapper):
    """`cosine_similarity` (negated) as a loss. axis: where the vectors lie; other arguments as in `Loss`."""

    unlisted = ("axis",)

    def __init__(
        self,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


class KLDivergence(LossFunctionWrapper):
    """`kl_divergence` as a loss; arguments as in `Loss`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "kl_divergence", dtype: DTypeOrPolicy = None
    ):
        super().__init__(kl_divergence, reduction, name, dtype)


class Poisson(LossFunctionWrapper):
    """`poisson` as a loss; arguments as in `Loss`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "poisson", dtype: DTypeOrPolicy = None
    ):
        super().__init__(poisson, reduction, name, dtype)
