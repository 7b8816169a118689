"""Checks of targets on the host, before a step: what would train silently on nonsense is said instead.

A loss function names its check with `@checked_by(check)`; a check is called with the targets (a NumPy array), the shape of the
predictions (unknown sizes are not ints) and the options of the loss, and raises ValueError.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core.messages import explained
from mlkit.core.typing import Axis, TensorLike


def checked_by(check: Callable[..., Any], integer_targets: bool = False) -> Callable[..., Any]:
    """Decorator: `check(name, y_true, y_pred_shape, **options)` looks at the targets of this loss function.

    integer_targets: whether the targets are class numbers, which a loss must not round to its float dtype.
    """

    def mark(fn: Callable[..., Any]):
        fn.check_targets = lambda y_true, y_pred_shape, **options: check(fn.__name__, y_true, y_pred_shape, **options)
        fn.integer_targets = integer_targets
        return fn

    return mark


def same_shape(name: str, y_true: TensorLike, y_pred_shape: Sequence[Any], **_: Any) -> None:
    """Targets must have the predictions' shape (a trailing axis of size 1 may be missing or extra)."""
    if not _fits(y_true.shape, y_pred_shape):
        raise explained(
            ValueError(_shapes(name, y_true.shape, y_pred_shape) + _shape_advice(y_true.shape, y_pred_shape)),
            "y-true-has-shape-and-y-pred-has-shape-which-do-not-belong-together",
        )


def one_hot(name: str, y_true: TensorLike, y_pred_shape: Sequence[Any], **_: Any) -> None:
    """Targets must be class probabilities of the predictions' shape."""
    if _fits(y_true.shape, y_pred_shape):
        return
    advice = _shape_advice(y_true.shape, y_pred_shape)
    if _fits(y_true.shape, y_pred_shape[:-1]) or y_true.shape[-1:] == (1,):
        advice = (
            "The targets look like class numbers: use sparse_categorical_crossentropy, or make them one-hot with "
            f"mlkit.utils.to_categorical(y, num_classes={y_pred_shape[-1]})."
        )
    raise explained(
        ValueError(_shapes(name, y_true.shape, y_pred_shape) + advice),
        "y-true-has-shape-and-y-pred-has-shape-which-do-not-belong-together",
    )


def probabilities(name: str, y_true: TensorLike, y_pred_shape: Sequence[Any], **_: Any) -> None:
    """Targets must have the predictions' shape and lie in [0, 1]."""
    same_shape(name, y_true, y_pred_shape)
    if y_true.dtype == bool or y_true.size == 0:
        return
    low, high = y_true.min(), y_true.max()
    if not (low >= 0 and high <= 1):  # written so that NaN fails too
        _refuse_value(
            name,
            y_true,
            ~((y_true >= 0) & (y_true <= 1)),
            "but binary targets must be in [0, 1]. Scale them (pixels: divide by 255; labels -1 and 1: (y + 1) / 2), or use "
            "sparse_categorical_crossentropy for more than two classes.",
        )


def labels(
    name: str, y_true: TensorLike, y_pred_shape: Sequence[Any], ignore_class: int | None = None, axis: Axis = -1, **_: Any
) -> None:
    """Targets must be whole numbers in [0, classes), or `ignore_class`, of the predictions' shape without the class axis."""
    axis %= len(y_pred_shape)
    expected = y_pred_shape[:axis] + y_pred_shape[axis + 1 :]
    classes = y_pred_shape[axis]
    if y_true.ndim == len(y_pred_shape) and y_true.shape[axis] == 1:
        y_true = y_true.squeeze(axis)
    if not _fits(y_true.shape, expected):
        advice = f"Expected class numbers of shape {_show(expected)}. "
        if _fits(y_true.shape, y_pred_shape):
            advice += "If the targets are one-hot, use categorical_crossentropy, or pass np.argmax(y_true, axis=-1)."
        raise ValueError(_shapes(name, y_true.shape, y_pred_shape) + advice)
    if y_true.size == 0 or y_true.dtype == bool or not isinstance(classes, int):
        return
    valid = y_true if ignore_class is None else y_true[y_true != ignore_class]
    whole = valid.dtype.kind in "iu" or bool((valid == np.floor(valid)).all())
    if whole and (valid.size == 0 or (valid.min() >= 0 and valid.max() < classes)):
        return
    bad = ~((y_true >= 0) & (y_true < classes) & (y_true == np.floor(y_true)))
    bad &= y_true != ignore_class if ignore_class is not None else True
    ignored = f" (or {ignore_class}, which is ignored)" if ignore_class is not None else ""
    rule = f"but the predictions have {classes} classes: labels must be whole numbers in [0, {classes}){ignored}. "
    _refuse_value(name, y_true, bad, rule + _label_advice(y_true[bad][0]))


def _label_advice(label):
    if label != np.floor(label):  # NaN too
        return "Class numbers cannot be fractions or NaN: look for missing values, or use a loss of regression."
    if label < 0:
        return f"Number the classes from 0, or pass ignore_class={int(label)} if it marks missing targets."
    return f"Number the classes from 0, or give the last layer at least {int(label) + 1} units."


def label_vector(name: str, y_true: TensorLike, y_pred_shape: Sequence[Any], **_: Any) -> None:
    """Targets must be one whole number a row of the predictions."""
    if not _fits(y_true.shape, y_pred_shape[:1]):
        advice = f"Expected one class number a row, shape {_show(y_pred_shape[:1])}."
        raise ValueError(_shapes(name, y_true.shape, y_pred_shape) + advice)
    if y_true.dtype.kind == "f" and not (y_true == np.floor(y_true)).all():
        _refuse_value(name, y_true, y_true != np.floor(y_true), "but class numbers must be whole.")


def _fits(shape, expected):
    """Whether a shape agrees with one whose sizes may be unknown, a trailing axis of size 1 aside."""

    def equal(a, b):
        return len(a) == len(b) and all(m == n or not isinstance(n, int) for m, n in zip(a, b))

    shape, expected = tuple(shape), tuple(expected)
    return equal(shape, expected) or equal((*shape, 1), expected) or (shape[-1:] == (1,) and equal(shape[:-1], expected))


def _show(shape):
    sizes = [str(n) if isinstance(n, int) else "None" for n in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _shapes(name: str, true, pred):
    return f"{name}: y_true has shape {_show(true)} and y_pred has shape {_show(pred)}, which do not belong together. "


def _shape_advice(true, pred):
    if len(true) == len(pred) and true[:1] != pred[:1] and isinstance(pred[0], int):
        return "They differ in the number of samples (first axis): give as many targets as inputs."
    return "Change the last layer (its units) or reshape the targets until both have the same shape."


def _refuse_value(name: str, y_true: Any, bad, rule):
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    raise explained(
        ValueError(f"{name}: y_true{list(index)} is {y_true[index]}, {rule} ({int(bad.sum())} such values in this batch.)"),
        "sparse-categorical-crossentropy-y-true-is-but-the-predictions-have-classes",
    )
