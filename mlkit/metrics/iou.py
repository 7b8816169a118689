"""Intersection over union of predicted and true regions, from a confusion matrix accumulated over batches."""

import warnings
from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core import dtypes
from mlkit.core.typing import Axis, FloatOrSequence, Structure, TensorLike
from mlkit.dtype_policies import DTypeOrPolicy
from mlkit.metrics.metric import Metric


class IoU(Metric):
    """Mean over some classes of ``true positives / (true positives + false positives + false negatives)``.

    Classes that occur neither in targets nor in predictions do not count in the mean.

    Args:
        num_classes: Number of classes. Labels outside [0, num_classes) are left out.
        target_class_ids: The classes whose mean is taken.
        name: Name, used in logs.
        dtype: Dtype of the confusion matrix; an integer type by default, which rounds weights down.
        ignore_class: A label that marks entries without a target.
        sparse_y_true, sparse_y_pred: Whether targets and predictions are class numbers; else the largest along `axis` counts.
        axis: The class axis of targets or predictions that are not class numbers.

    >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: Axis = -1,
    ):
        super().__init__(dtype or "int", name)
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"{type(self).__name__}: `target_class_ids` has {max(target_class_ids)}, but with num_classes={num_classes} "
                f"classes are numbered 0 to {num_classes - 1}."
            )
        self.num_classes, self.target_class_ids = num_classes, list(target_class_ids)
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        shape = (num_classes, num_classes)
        self.total_cm = self.add_variable(shape, "zeros", dtype=self.dtype, name="total_confusion_matrix")

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> None:
        """Take in targets and predictions of any shape (with a class axis where they are not class numbers)."""
        labels = self._labels(y_true, self.sparse_y_true)
        said = self._labels(y_pred, self.sparse_y_pred)
        valid = ops.logical_and(self._in_range(labels), self._in_range(said))
        if self.ignore_class is not None:
            valid = ops.logical_and(valid, ops.not_equal(labels, self.ignore_class))
        weight = ops.where(valid, self._weights(sample_weight, labels.shape), ops.zeros((), dtype=self.dtype))
        cell = ops.where(valid, labels * self.num_classes + said, 0)
        counts = ops.segment_sum(weight, cell, num_segments=self.num_classes**2)
        self.total_cm.assign_add(ops.reshape(counts, self.total_cm.shape))

    def _labels(self, y, sparse):
        return ops.reshape(ops.cast(y if sparse else ops.argmax(y, axis=self.axis), "int32"), (-1,))

    def _in_range(self, labels):
        return ops.logical_and(labels >= 0, labels < self.num_classes)

    def _weights(self, sample_weight: Any, shape):
        if sample_weight is None:
            return ops.ones(shape, dtype=self.dtype)
        if dtypes.is_float(getattr(sample_weight, "dtype", "int32")) and dtypes.is_int(self.dtype):
            warnings.warn(
                f"Metric {self.name!r}: the sample weights are float, but it counts in {self.dtype}, so casting cuts "
                "them to whole numbers. Make it with dtype='float32'.",
                stacklevel=4,
            )
        weight = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
        return ops.broadcast_to(ops.reshape(weight, (-1,)) if weight.ndim else weight, shape)

    def result(self) -> Any:
        matrix = self.total_cm.value
        hits = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits
        hits, union = (ops.cast(ops.take(x, self.target_class_ids, axis=0), "float32") for x in (hits, union))
        present = union > 1e-9
        iou = ops.where(present, hits / (union + epsilon()), 0.0)
        return ops.sum(iou) / (ops.sum(ops.cast(present, "float32")) + epsilon())


class BinaryIoU(IoU):
    """`IoU` of two classes told apart by a threshold.

    Args:
        target_class_ids: Of (0, 1), the classes whose mean is taken.
        threshold: Predictions of at least this mean class 1.
        name, dtype: As in `IoU`.

    >>> round(float(BinaryIoU(target_class_ids=[1])([0, 1, 1], [0.2, 0.7, 0.3])), 4)
    0.5
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: FloatOrSequence = 0.5,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
    ):
        super().__init__(num_classes=2, target_class_ids=target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Structure, y_pred: Structure, sample_weight: TensorLike | None = None) -> None:
        """Take in targets of 0 and 1 and predictions of the same shape."""
        said = ops.greater_equal(ops.cast(y_pred, "float32"), self.threshold)
        super().update_state(y_true, ops.cast(said, "int32"), sample_weight)


class MeanIoU(IoU):
    """`IoU` averaged over all classes; arguments as there."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: Axis = -1,
    ):
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """`IoU` for one-hot targets; arguments as there."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: Axis = -1,
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """`IoU` averaged over all classes, for one-hot targets; arguments as there."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: DTypeOrPolicy = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: Axis = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
