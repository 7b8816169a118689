"""Cross-entropies, one value per sample, and the signal-to-noise ratio of images."""

import math

from mlkit.core.settings import epsilon
from mlkit.core.spec import normalize_axis, same_size, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, TensorLike
from mlkit.ops.nn.encoding import one_hot
from mlkit.primitives import elementwise as el
from mlkit.primitives import fused
from mlkit.primitives.convert import as_tensor, cast, promote_tensors, to_float, to_single
from mlkit.primitives.reduction import size_along, size_operand
from mlkit.primitives.shape import reshape, sum_, transpose

__all__ = ["binary_crossentropy", "categorical_crossentropy", "psnr", "sparse_categorical_crossentropy"]


def _inside(probability: Tensor) -> Tensor:
    """Clipped to [epsilon, 1 - epsilon], where logarithms are finite."""
    return el.minimum(el.maximum(probability, epsilon()), 1.0 - epsilon())


def _check_equal_shapes(name: str, target: Tensor, output: Tensor) -> None:
    if len(target.shape) != len(output.shape) or not all(map(same_size, target.shape, output.shape)):
        raise ValueError(
            f"{name}: `target` and `output` must have the same shape, but have {show(target.shape)} and {show(output.shape)}."
        )


def binary_crossentropy(target: TensorLike, output: TensorLike, from_logits: bool = False) -> Tensor:
    """-target * log(p) - (1 - target) * log(1 - p), element by element.

    Args:
        target: 0, 1 or probabilities, of the output's shape.
        output: probabilities p, or with from_logits=True logits.

    >>> binary_crossentropy([1.0], [0.0], from_logits=True).numpy()
    array([0.6931472], dtype=float32)
    """
    target, output = promote_tensors(target, output, floating=True)
    _check_equal_shapes("binary_crossentropy", target, output)
    dtype, target, output = output.dtype, to_single(target), to_single(output)  # 1 - epsilon is 1 in half floats
    if from_logits:
        return cast(fused.softplus(output) - target * output, dtype)
    p = _inside(output)
    return cast(-(target * el.log(p) + (1.0 - target) * el.log(1.0 - p)), dtype)


def _log_probabilities(probabilities: Tensor, axis: int) -> Tensor:
    """Of what need not quite sum to 1, as after rounding."""
    return el.log(_inside(probabilities / sum_(probabilities, axes=(axis,), keepdims=True)))


def categorical_crossentropy(target: TensorLike, output: TensorLike, from_logits: bool = False, axis: Axis = -1) -> Tensor:
    """-sum(target * log(p)) along the axis of classes.

    Args:
        target: probabilities (or one-hot rows) of the output's shape.
        output: probabilities p, or with from_logits=True logits.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.0, 0.0]], from_logits=True).numpy()
    array([0.6931472], dtype=float32)
    """
    target, output = promote_tensors(target, output, floating=True)
    _check_equal_shapes("categorical_crossentropy", target, output)
    if not output.ndim:
        raise ValueError("categorical_crossentropy: `target` and `output` need an axis of classes, but are scalars.")
    axis = normalize_axis("categorical_crossentropy", axis, output.ndim)
    if from_logits:
        perm = _to_last(axis, output.ndim)
        target, output = (x if perm is None else transpose(x, perm=perm) for x in (target, output))
        return fused.softmax_cross_entropy(output, target)[0]
    log_p = _log_probabilities(to_single(output), axis)
    return cast(-sum_(to_single(target) * log_p, axes=(axis,), keepdims=False), output.dtype)


def _to_last(axis: int, ndim: int) -> tuple[int, ...]:
    """The permutation that puts an axis last; None if it is there."""
    return None if axis == ndim - 1 else (*range(axis), *range(axis + 1, ndim), axis)


def sparse_categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: Axis = -1
) -> Tensor:
    """-log(p[target]): the cross-entropy for targets that are class numbers. A number that is no class gives 0.

    Args:
        target: integers of the output's shape without the axis of classes (a last axis of size 1 is dropped).
        output: probabilities p, or with from_logits=True logits.

    >>> sparse_categorical_crossentropy([1], [[0.25, 0.75]]).numpy().round(4)
    array([0.2877], dtype=float32)
    """
    target, output = cast(target, "int32"), to_float(output)
    if not output.ndim:
        raise ValueError("sparse_categorical_crossentropy: `output` needs an axis of classes, but is a scalar.")
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = reshape(target, shape=target.shape[:-1])
    axis = normalize_axis("sparse_categorical_crossentropy", axis, output.ndim)
    expected = output.shape[:axis] + output.shape[axis + 1 :]
    if target.ndim != len(expected) or not all(map(same_size, target.shape, expected)):
        raise ValueError(
            f"sparse_categorical_crossentropy: `output` of shape {show(output.shape)} needs a `target` of shape "
            f"{show(expected)}, but it has "
            f"shape {show(target.shape)}."
        )
    if from_logits:
        perm = _to_last(axis, output.ndim)
        return fused.softmax_cross_entropy(output if perm is None else transpose(output, perm=perm), target)[0]
    return cast(_of_class(to_single(output), target, axis), output.dtype)


def _of_class(probabilities: Tensor, target: Tensor, axis: int) -> Tensor:
    """-log(p[target]); logarithms of the other classes, of which there may be a hundred thousand, are not asked for."""
    count = probabilities.shape[axis]
    hot = one_hot(target, count, axis=axis, dtype="bool")
    chosen, total = (sum_(p, axes=(axis,), keepdims=False) for p in (el.where(hot, probabilities, 0.0), probabilities))
    known = el.and_(el.less_equal(0, target), el.less(target, count))
    return el.where(known, -el.log(_inside(chosen / total)), 0.0)


def psnr(x1: TensorLike, x2: TensorLike, max_val: TensorLike) -> Tensor:
    """Peak signal-to-noise ratio of two images in decibels: 20 log10(max_val) - 10 log10(mean((x1 - x2)^2)).

    Args:
        max_val: the largest value a pixel can have.
    """
    x1, x2 = promote_tensors(x1, x2, floating=True)
    _check_equal_shapes("psnr", x1, x2)
    dtype, d = x1.dtype, to_single(x1) - to_single(x2)
    axes = tuple(range(d.ndim))
    mse = sum_(d * d, axes=axes, keepdims=False) / size_operand(size_along(d, axes), d.dtype)
    scale = 10 / math.log(10)
    return cast(2 * scale * el.log(cast(as_tensor(max_val), d.dtype)) - scale * el.log(mse), dtype)
