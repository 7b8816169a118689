"""Accuracies: how often predictions are right."""

from mlkit import ops
from mlkit.core.dtypes import floatx
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.reduce import squeeze_or_expand_to_same_rank, without_half
from mlkit.metrics.reduction import MeanMetricWrapper


def accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where a prediction equals its target, else 0; any shape.

    >>> accuracy([1, 2, 3], [1, 2, 4]).numpy()
    array([1., 1., 0.], dtype=float32)
    """
    pair = squeeze_or_expand_to_same_rank(without_half(y_true), without_half(y_pred))
    return ops.cast(ops.equal(*pair), floatx())


def binary_accuracy(y_true: TensorLike, y_pred: TensorLike, threshold: FloatOrSequence = 0.5) -> Tensor:
    """1 where ``y_pred > threshold`` agrees with a target of 0 or 1, else 0; any shape.

    Args:
        threshold: predictions above it are class 1.

    >>> binary_accuracy([1.0, 0.0], [0.7, 0.6]).numpy()
    array([1., 0.], dtype=float32)
    """
    y_true, y_pred = squeeze_or_expand_to_same_rank(without_half(y_true), without_half(y_pred))
    said = ops.cast(ops.greater(y_pred, threshold), y_true.dtype)
    return ops.cast(ops.equal(y_true, said), floatx())


def categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where the most likely class is the right one, else 0.

    Args:
        y_true: One-hot targets, shape (batch, ..., classes).
        y_pred: Scores or probabilities, the same shape.

    Returns:
        Tensor of shape (batch, ...).

    >>> categorical_accuracy([[0, 1], [0, 1]], [[0.1, 0.9], [0.6, 0.4]]).numpy()
    array([1., 0.], dtype=float32)
    """
    return _matches(ops.argmax(y_true, axis=-1), y_pred)


def sparse_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where the most likely class is the right one, else 0.

    Args:
        y_true: Class numbers, shape (batch, ...) or (batch, ..., 1).
        y_pred: Scores or probabilities, shape (batch, ..., classes).

    Returns:
        Tensor of shape (batch, ...).

    >>> sparse_categorical_accuracy([1, 1], [[0.1, 0.9], [0.6, 0.4]]).numpy()
    array([1., 0.], dtype=float32)
    """
    return _matches(without_half(y_true), y_pred)


def _matches(labels, y_pred):
    """Whether each row's largest score stands at its label. Labels are compared in a dtype that holds both exactly."""
    said = ops.argmax(y_pred, axis=-1)
    if labels.ndim == said.ndim + 1 and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    matches = ops.cast(ops.equal(labels, said), floatx())
    return ops.squeeze(matches, -1) if matches.ndim > 1 and matches.shape[-1] == 1 else matches


def top_k_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike, k: int = 5) -> Tensor:
    """1 where the right class is among the k most likely ones, else 0.

    Args:
        y_true: One-hot targets, shape (batch, ..., classes).
        y_pred: Scores or probabilities, the same shape.
        k: How many of the most likely classes count.

    Returns:
        Tensor of shape (batch, ...).

    >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.2, 0.3]], k=2).numpy()
    array([1.], dtype=float32)
    """
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: TensorLike, y_pred: TensorLike, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """1 where the right class is among the k most likely ones, else 0.

    Args:
        y_true: Class numbers, shape (batch, ...).
        y_pred: Scores or probabilities, shape (batch, ..., classes); with `from_sorted_ids` the numbers of the classes
            themselves, most likely first.
        k: How many of the most likely classes count.
        from_sorted_ids: See `y_pred`.

    Returns:
        Tensor of the targets' shape.

    >>> sparse_top_k_categorical_accuracy([2, 1], [[0.5, 0.2, 0.3], [0.5, 0.2, 0.3]], k=2).numpy()
    array([1., 0.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if from_sorted_ids:
        y_true, y_pred = without_half(y_true), without_half(y_pred)
    else:
        y_true = ops.cast(y_true, "int32")
    rows = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    labels = ops.reshape(y_true, (-1,))
    if from_sorted_ids:
        matches = ops.any(ops.equal(labels[:, None], rows[:, :k]), axis=1)
    else:
        matches = ops.in_top_k(labels, rows, k=k)
    return ops.reshape(ops.cast(matches, floatx()), y_true.shape)


class Accuracy(MeanMetricWrapper):
    """Fraction of predictions that equal their targets.

    Args:
        name, dtype: As in `Metric`.

    Called on targets and predictions of one shape; the result is a scalar.

    >>> float(Accuracy()([1, 2, 3, 4], [1, 2, 3, 5]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: DTypeOrPolicy = None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """Mean of `binary_accuracy`. threshold: above it a prediction means 1.

    Args:
        threshold: predictions above it are class 1.
    """

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: DTypeOrPolicy = None, threshold: FloatOrSequence = 0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """Mean of `categorical_accuracy` (one-hot targets)."""

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: DTypeOrPolicy = None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """Mean of `sparse_categorical_accuracy` (class numbers as targets)."""

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: DTypeOrPolicy = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """Mean of `top_k_categorical_accuracy` (one-hot targets). k: how many classes count.

    Args:
        k: how many of the largest predictions count.
    """

    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: DTypeOrPolicy = None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """Mean of `sparse_top_k_categorical_accuracy` (class numbers as targets); arguments as in `sparse_top_k_categorical_accuracy`."""

    _direction = "up"
    unlisted = ("from_sorted_ids",)

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: DTypeOrPolicy = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
