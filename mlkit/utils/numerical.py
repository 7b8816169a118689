"""Small array helpers: one-hot labels and row normalization."""

from typing import Any

import numpy as np

from mlkit import ops
from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike


def to_categorical(x: TensorLike, num_classes: int | None = None) -> Any:
    """One-hot encode integer labels.

    Args:
        x: integers in [0, num_classes), any shape; a last axis of length 1 is dropped.
        num_classes: length of a row; max(x) + 1 unless given.

    Returns:
        Array of shape `x.shape + (num_classes,)`, float64 as in Keras; a tensor of the default float type where x is one.

    Raises:
        ValueError: a label lies outside [0, num_classes).

    >>> to_categorical([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    is_tensor = isinstance(x, Tensor)
    labels = ops.convert_to_numpy(x) if is_tensor else np.asarray(x)
    labels = labels.astype("int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        num_classes = int(labels.max()) + 1 if labels.size else 0
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"to_categorical: the labels span {labels.min()} to {labels.max()}, but must lie in [0, {num_classes}). "
            "Pass a larger `num_classes`, or renumber the labels from 0."
        )
    rows = np.zeros((*labels.shape, num_classes), dtypes.as_numpy(dtypes.floatx()) if is_tensor else "float64")
    np.put_along_axis(rows, labels[..., None], 1, axis=-1)
    return ops.convert_to_tensor(rows) if is_tensor else rows


def normalize(x: TensorLike, axis: int = -1, order: int = 2) -> Any:
    """Scale slices of an array to norm 1; slices of zeros stay zero.

    Args:
        x: array or tensor.
        axis: axis along which the norm is taken.
        order: order of the norm, 1, 2 ... or np.inf.

    Returns:
        An array (or tensor) of the shape of x; a NumPy vector becomes one row, as in Keras.

    >>> normalize(np.array([[3.0, 4.0]])).tolist()
    [[0.6, 0.8]]
    """
    if isinstance(order, (int, np.integer)) and order < 1:
        raise ValueError(f"normalize: `order` must be at least 1, but is {order}.")
    if isinstance(x, Tensor):
        return ops.normalize(x, axis=axis, order=order)
    rows = np.asarray(x)
    if rows.ndim < 2:  # a vector is one row, along whichever axis
        rows, axis = rows.reshape(1, -1), -1
    wide = rows.astype(np.result_type(rows.dtype, np.float32))
    length = np.linalg.norm(wide, order, axis, keepdims=True)
    out = wide / np.where(length == 0, 1, length)
    return out.astype(rows.dtype) if dtypes.name_of(rows.dtype) in dtypes.HALF else out
