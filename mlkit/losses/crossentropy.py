"""Cross-entropies: the losses of classification, with their focal and generalized forms."""

import warnings
from typing import Any

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, FloatOrSequence, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.checks import checked_by, labels, one_hot, probabilities
from mlkit.losses.loss import LossFunctionWrapper
from mlkit.losses.reduce import as_pair, as_single


@checked_by(probabilities)
def binary_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1
) -> Tensor:
    """Cross-entropy of independent yes/no targets, averaged over an axis.

    Args:
        y_true: Targets in [0, 1], shape (batch, ..., n).
        y_pred: Probabilities of "yes", or their logits; the same shape.
        from_logits: Whether `y_pred` holds logits (steadier than a sigmoid followed by this loss).
        label_smoothing: In [0, 1]; moves the targets that part of the way to 0.5.
        axis: The axis averaged over.

    Returns:
        Tensor of shape (batch, ...).

    >>> round(float(binary_crossentropy([1.0, 0.0], [0.8, 0.4])), 4)
    0.367
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, 2)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


@checked_by(probabilities)
def binary_focal_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    apply_class_balancing: bool = False,
    alpha: FloatOrSequence = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Axis = -1,
) -> Tensor:
    """Binary cross-entropy in which well classified entries count less: each is multiplied by ``(1 - p_t)^gamma``.

    T.-Y. Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv:1708.02002).

    Args:
        y_true: Targets in [0, 1], shape (batch, ..., n).
        y_pred: Probabilities or logits, the same shape.
        apply_class_balancing: Whether to weight positives by `alpha` and negatives by ``1 - alpha``.
        alpha: Weight of the positives.
        gamma: Exponent of the focusing factor; 0 gives the cross-entropy.
        from_logits, label_smoothing, axis: As in `binary_crossentropy`.

    Returns:
        Tensor of shape (batch, ...).

    >>> round(float(binary_focal_crossentropy([1.0, 0.0], [0.8, 0.4])), 4)
    0.0453
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, 2)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    p_t = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    losses = ops.power(1.0 - p_t, gamma) * ops.binary_crossentropy(y_true, y_pred)
    if apply_class_balancing:
        losses = losses * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(losses, axis=axis)


@checked_by(one_hot)
def categorical_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1
) -> Tensor:
    """Cross-entropy between target distributions (one-hot, say) and predicted ones, in nats.

    Args:
        y_true: Class probabilities, shape (batch, ..., classes).
        y_pred: Probabilities, or logits; the same shape.
        from_logits: Whether `y_pred` holds logits.
        label_smoothing: In [0, 1]; moves the targets that part of the way to the uniform distribution.
        axis: The class axis.

    Returns:
        Tensor of shape (batch, ...).

    >>> categorical_crossentropy([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.25, 0.75]]).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    y_true, y_pred = _categorical_pair(y_true, y_pred, label_smoothing, axis, "categorical_crossentropy")
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@checked_by(one_hot)
def categorical_focal_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    alpha: FloatOrSequence = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Axis = -1,
) -> Tensor:
    """Categorical cross-entropy with each class's term multiplied by ``alpha (1 - p)^gamma``.

    T.-Y. Lin et al., "Focal Loss for Dense Object Detection", 2017 (arXiv:1708.02002).

    Args:
        y_true: Class probabilities, shape (batch, ..., classes).
        y_pred: Probabilities or logits, the same shape.
        alpha: Weight, one number or one a class.
        gamma: Exponent of the focusing factor.
        from_logits, label_smoothing, axis: As in `categorical_crossentropy`.

    Returns:
        Tensor of shape (batch, ...).

    >>> categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.0433], dtype=float32)
    """
    y_true, y_pred = _categorical_pair(y_true, y_pred, label_smoothing, axis, "categorical_focal_crossentropy")
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    p = ops.clip(y_pred / ops.sum(y_pred, axis=axis, keepdims=True), epsilon(), 1.0 - epsilon())
    weight = alpha * ops.power(1.0 - p, gamma)
    return -ops.sum(weight * y_true * ops.log(p), axis=axis)


@checked_by(labels, integer_targets=True)
def sparse_categorical_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False, ignore_class: int | None = None, axis: Axis = -1
) -> Tensor:
    """Cross-entropy between class numbers and predicted distributions: ``-log p[label]``, in nats.

    Args:
        y_true: Class numbers in [0, classes), the shape of `y_pred` without the class axis (or with size 1 there).
        y_pred: Probabilities or logits, shape (batch, ..., classes).
        from_logits: Whether `y_pred` holds logits.
        ignore_class: A label that marks entries without a target: their loss is 0, and they do not count in the mean.
        axis: The class axis.

    Returns:
        Tensor of shape (batch, ...).

    >>> sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.25, 0.75]]).numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    y_pred = as_single(y_pred)
    y_true = ops.cast(y_true, "int32")
    if y_true.ndim == y_pred.ndim and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    valid = ops.not_equal(y_true, ignore_class)
    y_true = ops.where(valid, y_true, 0)
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, 1.0)  # what stands at ignored entries, NaN say, leaves no trace
    losses = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    losses = ops.where(valid, losses, 0.0)
    losses._keras_mask = valid
    return losses


@checked_by(labels, integer_targets=True)
def categorical_generalized_cross_entropy(y_true: TensorLike, y_pred: TensorLike, q: float) -> Tensor:
    """``(1 - p[label]^q) / q``: between cross-entropy (q -> 0) and mean absolute error (q = 1), robust to wrong labels.

    Z. Zhang and M. Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", 2018
    (arXiv:1805.07836).

    Args:
        y_true: Class numbers in [0, classes), shape (batch, ...).
        y_pred: Probabilities, shape (batch, ..., classes).
        q: In (0, 1).

    Returns:
        Tensor of shape (batch, ...).

    >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).numpy()
    array([1.], dtype=float32)
    """
    y_pred = as_single(y_pred)
    chosen = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
    return (1.0 - ops.power(ops.sum(y_pred * chosen, axis=-1), q)) / q


def _smooth(y_true: Any, amount, classes):
    return y_true * (1.0 - amount) + amount / classes if amount else y_true


def _categorical_pair(y_true: Any, y_pred, label_smoothing, axis: Axis, name: str):
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise ValueError(f"{name}: `axis` must be an int, but got {axis!r}.")
    y_pred = as_single(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"{name}: y_pred has shape {y_pred.shape}, a single class, so the loss is always 0. For two classes told "
            "apart by one output use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=3,
        )
    return _smooth(y_true, label_smoothing, y_true.shape[axis]), y_pred


class BinaryCrossentropy(LossFunctionWrapper):
    """`binary_crossentropy` as a loss. from_logits, label_smoothing, axis: as there; other arguments as in `Loss`.

    Args:
        label_smoothing: in [0, 1]: targets are moved that far towards 1/2.

    >>> round(float(BinaryCrossentropy(from_logits=True)([[1.0], [0.0]], [[0.0], [0.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: DTypeOrPolicy = None,
    ):
        options = dict(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)
        super().__init__(binary_crossentropy, reduction, name, dtype, **options)


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """`binary_focal_crossentropy` as a loss: arguments as in `binary_focal_crossentropy`, the others as in `Loss`."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: FloatOrSequence = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: DTypeOrPolicy = None,
    ):
        options = dict(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)
        options.update(apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma)
        super().__init__(binary_focal_crossentropy, reduction, name, dtype, **options)


class CategoricalCrossentropy(LossFunctionWrapper):
    """`categorical_crossentropy` as a loss. from_logits, label_smoothing, axis: as there; other arguments as in `Loss`.

    Args:
        label_smoothing: in [0, 1]: targets are moved that far towards equal probabilities.
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: DTypeOrPolicy = None,
    ):
        options = dict(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)
        super().__init__(categorical_crossentropy, reduction, name, dtype, **options)


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """`categorical_focal_crossentropy` as a loss: arguments as in `categorical_focal_crossentropy`, the others as in `Loss`."""

    def __init__(
        self,
        alpha: FloatOrSequence = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: DTypeOrPolicy = None,
    ):
        options = dict(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis, alpha=alpha, gamma=gamma)
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, **options)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`sparse_categorical_crossentropy` as a loss. from_logits, ignore_class, axis: as there; other arguments as in `Loss`.

    Args:
        ignore_class: a label that does not count, such as -1, or None.

    >>> round(float(SparseCategoricalCrossentropy(from_logits=True)([0, 1], [[0.0, 0.0], [0.0, 0.0]])), 4)
    0.6931
    """

    unlisted = ("axis",)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: Axis = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: DTypeOrPolicy = None,
    ):
        options = dict(from_logits=from_logits, ignore_class=ignore_class, axis=axis)
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **options)


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`categorical_generalized_cross_entropy` as a loss. q: in (0, 1); other arguments as in `Loss`.

    Args:
        q: between 0 (cross-entropy) and 1 (mean absolute error).
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: DTypeOrPolicy = None,
    ):
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: `q` must be between 0 and 1, but got {q}.")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)
