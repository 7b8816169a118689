"""Losses whose value depends on many entries at once: overlap of regions, similarity of embeddings, alignment of sequences."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, FloatOrSequence, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.losses.checks import checked_by, label_vector, same_shape
from mlkit.losses.loss import LossFunctionWrapper
from mlkit.losses.reduce import as_pair, as_single


@checked_by(same_shape)
def dice(y_true: TensorLike, y_pred: TensorLike, axis: Axis = None) -> Tensor:
    """One minus the Dice coefficient ``2 |A ∩ B| / (|A| + |B|)`` of two soft regions.

    F. Milletari et al., "V-Net", 2016 (arXiv:1606.04797).

    Args:
        y_true: Memberships in [0, 1], any shape.
        y_pred: Memberships, the same shape.
        axis: Axes over which a region extends; None takes all of them, the batch too.

    Returns:
        Tensor of the shape without those axes.

    >>> round(float(dice([1.0, 1.0, 0.0], [1.0, 0.0, 0.0])), 4)
    0.3333
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    overlap = ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - 2.0 * overlap / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon())


@checked_by(same_shape)
def tversky(
    y_true: TensorLike, y_pred: TensorLike, alpha: FloatOrSequence = 0.5, beta: float = 0.5, axis: Axis = None
) -> Tensor:
    """One minus the Tversky index ``|A ∩ B| / (|A ∩ B| + alpha |A - B| + beta |B - A|)``, A the target and B the prediction.

    S. Salehi et al., "Tversky loss function for image segmentation", 2017 (arXiv:1706.05721). Both at 0.5 give `dice`.

    Args:
        y_true: Memberships in [0, 1], any shape.
        y_pred: Memberships, the same shape.
        alpha: Weight of what the prediction misses.
        beta: Weight of what it adds.
        axis: Axes over which a region extends; None takes all of them.

    Returns:
        Tensor of the shape without those axes.

    >>> round(float(tversky([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], alpha=1.0)), 4)
    0.5
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    overlap = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    added = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - overlap / (overlap + alpha * missed + beta * added + epsilon())


@checked_by(label_vector, integer_targets=True)
def circle(
    y_true: TensorLike,
    y_pred: TensorLike,
    ref_labels: TensorLike | None = None,
    ref_embeddings: TensorLike | None = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Circle loss: pulls embeddings of one class together and pushes the others apart, the harder pairs the more.

    Y. Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", 2020 (arXiv:2002.10857).

    Args:
        y_true: Class numbers, shape (batch,).
        y_pred: Embeddings of length 1, shape (batch, n).
        ref_labels, ref_embeddings: Class numbers (refs,) and embeddings (refs, n) to compare with; by default the batch itself.
        remove_diagonal: Whether to leave out the pair of each sample with the reference of the same index.
        gamma: Scale of the similarities.
        margin: How far the two kinds of pairs must be apart.

    Returns:
        Tensor of shape (batch,). Samples with loss 0 (no pair of one kind, say) do not count in a mean.

    >>> circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).numpy().round(4)[2]
    np.float32(0.0)
    """
    y_pred, y_true = as_single(y_pred), ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    references = y_pred if ref_embeddings is None else ops.cast(ref_embeddings, y_pred.dtype)
    ref_labels = y_true if ref_labels is None else ops.reshape(ops.cast(ref_labels, "int32"), (-1, 1))
    distance = ops.maximum(1.0 - ops.matmul(y_pred, ops.transpose(references)), 0.0)  # 1 - cosine
    same = ops.equal(y_true, ops.transpose(ref_labels))
    other = ops.logical_not(same)
    if remove_diagonal:
        same = ops.logical_and(same, ops.logical_not(ops.eye(y_true.shape[0], ref_labels.shape[0], dtype="bool")))
    pull = gamma * (margin + distance) * (distance - margin)
    push = gamma * ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance)
    losses = ops.softplus(_logsumexp(pull, same) + _logsumexp(push, other))
    losses._keras_mask = losses > 0
    return losses


def _logsumexp(x, chosen):
    """Log of the sum of exp(x) over the chosen entries of each row; -inf, with gradient 0, where there are none."""
    some = ops.any(chosen, axis=1)
    total = ops.logsumexp(ops.where(ops.logical_or(chosen, ops.logical_not(some)[:, None]), x, float("-inf")), axis=1)
    return ops.where(some, total, float("-inf"))


def _check_sequences(name: str, y_true: Any, y_pred_shape: Sequence[Any], **_: Any):
    if y_true.ndim != 2 or len(y_pred_shape) != 3:
        raise ValueError(
            f"{name}: y_true must hold class numbers of shape (batch, length) and y_pred logits of shape (batch, length, "
            f"classes), but they have shapes {y_true.shape} and {tuple(y_pred_shape)}."
        )


@checked_by(_check_sequences, integer_targets=True)
def ctc(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Connectionist temporal classification: negative log likelihood of label sequences, over all their alignments.

    A. Graves et al., "Connectionist Temporal Classification", 2006.

    Args:
        y_true: Class numbers, shape (batch, labels); 0 is the blank, and pads sequences that are shorter.
        y_pred: Logits, shape (batch, time, classes).

    Returns:
        Tensor of shape (batch,).
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), as_single(y_pred)
    _check_sequences("ctc", y_true, y_pred.shape)
    label_length = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)
    batch, time, _ = y_pred.shape
    input_length = ops.full((batch,), time, dtype="int32")
    return ops.ctc_loss(ops.cast(y_true, "int32"), y_pred, label_length, input_length, mask_index=0)


class Dice(LossFunctionWrapper):
    """`dice` as a loss. axis: as there; other arguments as in `Loss`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axis = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """`tversky` as a loss. alpha, beta, axis: as there; other arguments as in `Loss`.

    Args:
        alpha: weight of false positives.
        beta: weight of false negatives.
    """

    def __init__(
        self,
        alpha: FloatOrSequence = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axis = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Circle(LossFunctionWrapper):
    """`circle` within a batch as a loss: arguments as in `circle`, the others as in `Loss`."""

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: DTypeOrPolicy = None,
    ):
        options = dict(gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)
        super().__init__(circle, reduction, name, dtype, **options)


class CTC(LossFunctionWrapper):
    """`ctc` as a loss; arguments as in `Loss`."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype: DTypeOrPolicy = None):
        super().__init__(ctc, reduction, name, dtype)
