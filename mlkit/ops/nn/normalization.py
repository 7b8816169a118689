"""Means and variances, and normalization by them."""

import warnings
from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.settings import epsilon as default_epsilon
from mlkit.core.spec import normalize_axes, normalize_axis, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives import fused
from mlkit.primitives.convert import as_tensor, cast, promote_tensors, to_float, to_single
from mlkit.primitives.reduction import size_along, size_operand
from mlkit.primitives.shape import reshape, sum_

__all__ = ["batch_normalization", "layer_normalization", "moments", "normalize", "rms_normalization"]


def _mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return sum_(x, axes=axes, keepdims=True) / size_operand(size_along(x, axes), x.dtype)


def moments(x: TensorLike, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over axes; half floats are averaged in float32.

    Args:
        axes: an axis, several in a tuple, or None for all.
        synchronized: True is refused; the layer BatchNormalization has it.

    >>> mean, variance = moments([1.0, 3.0], axes=0)
    >>> float(mean), float(variance)
    (2.0, 1.0)
    """
    if synchronized:
        raise NotImplementedError("moments: `synchronized=True` is not supported.")
    x = to_float(x)
    dtype = x.dtype
    x = cast(x, "float32") if dtype in dtypes.HALF else x
    axes = normalize_axes("moments", axes, x.ndim)
    mean = _mean(x, axes)
    centred = x - mean
    found = mean, _mean(centred * centred, axes)
    if not keepdims:
        small = tuple(s for i, s in enumerate(x.shape) if i not in axes)
        found = tuple(reshape(m, shape=small) for m in found)
    if dtype in dtypes.HALF:
        low, high = dtypes.limits("float16")
        found = tuple(cast(el.minimum(el.maximum(m, low), high), dtype) for m in found)
    return found


def batch_normalization(
    x: TensorLike,
    mean: TensorLike,
    variance: TensorLike,
    axis: int,
    offset: TensorLike | None = None,
    scale: TensorLike | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with vectors along one axis of x.

    Args:
        mean, variance, offset, scale: shape (x.shape[axis],).
        epsilon: added to the variance.

    Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """
    x = as_tensor(x)
    axis = normalize_axis("batch_normalization", axis, x.ndim)
    shape = tuple(x.shape[axis] if i == axis else 1 for i in range(x.ndim))
    given = [v for v in (mean, variance, offset, scale) if v is not None]
    x, *vectors = promote_tensors(x, *given, floating=True)
    for v in vectors:
        if v.ndim != 1 or not same_size(v.shape[0], x.shape[axis]):
            raise ValueError(
                f"batch_normalization: for x of shape {show(x.shape)}, mean, variance, offset and scale must be vectors of the size of "
                f"axis {axis}, but one has shape {show(v.shape)}."
            )
    vectors = iter([reshape(v, shape=shape) for v in vectors])
    mean, inverse = next(vectors), el.rsqrt(next(vectors) + epsilon)
    offset = next(vectors) if offset is not None else None
    if scale is not None:
        inverse = inverse * next(vectors)
    shift = -mean * inverse
    return x * inverse + (shift if offset is None else shift + offset)


def _single(x: TensorLike) -> tuple[Tensor, str]:
    """The tensor in float32 or wider, and the dtype of the result."""
    x = as_tensor(x)
    return to_single(x), x.dtype


def layer_normalization(
    x: TensorLike,
    gamma: TensorLike | None = None,
    beta: TensorLike | None = None,
    axis: Axis = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with mean and variance of each sample over `axis` (an int or
    several).

    Args:
        gamma, beta: the sizes of those axes, or a shape that broadcasts with x.
        epsilon: by default `mlkit.config.epsilon()`.

    Ba, Kiros and Hinton, "Layer normalization", arXiv:1607.06450.
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization: unknown arguments {sorted(kwargs)}.")
    if rms_scaling:
        warnings.warn(
            "layer_normalization: `rms_scaling` divides by the deviation, not the root mean square: use rms_normalization.",
            stacklevel=2,
        )
    epsilon = default_epsilon() if epsilon is None else epsilon
    given = as_tensor(x)
    x, dtype = _single(given)
    axes = normalize_axes("layer_normalization", axis, x.ndim)
    gamma, beta = (None if p is None else cast(p, x.dtype) for p in (gamma, beta))
    if rms_scaling:
        _, variance = moments(x, axes, keepdims=True)
        y = x * el.rsqrt(variance + epsilon)
        return cast(y if gamma is None else y * _along(gamma, x, axes), dtype)
    inner = tuple(x.shape[a] for a in axes)
    if _are_last(axes, x) and all(p is None or p.shape == inner for p in (gamma, beta)):
        x = given if dtype in dtypes.HALF else x  # half floats are computed in float32 there
        return cast(fused.layer_norm(x, gamma, beta, rank=len(axes), epsilon=epsilon)[0], dtype)
    mean, variance = moments(x, axes, keepdims=True)
    inverse = el.rsqrt(variance + epsilon)
    if gamma is not None:
        inverse = inverse * _along(gamma, x, axes)
    shift = -mean * inverse
    return cast(x * inverse + (shift if beta is None else shift + _along(beta, x, axes)), dtype)


def _are_last(axes: tuple[int, ...], x: Tensor) -> bool:
    return axes == tuple(range(x.ndim - len(axes), x.ndim))


def _along(parameter: Tensor, x: Tensor, axes: Sequence[int]) -> Tensor:
    """The parameter of the normalized axes, in a shape that broadcasts with x."""
    sizes = tuple(x.shape[a] for a in axes)
    if parameter.ndim == x.ndim and all(n == 1 or same_size(n, m) for n, m in zip(parameter.shape, x.shape)):
        return parameter
    if not same_size(size_of(parameter.shape), size_of(sizes)):
        raise ValueError(
            f"layer_normalization: x of shape {show(x.shape)}, normalized over axes {axes}, needs gamma and beta of shape "
            f"{show(sizes)}, but got {show(parameter.shape)}."
        )
    return reshape(parameter, shape=tuple(s if i in axes else 1 for i, s in enumerate(x.shape)))


def rms_normalization(x: TensorLike, scale: TensorLike | None = None, axis: Axis = -1, epsilon: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) * scale, with the mean over `axis`. Zhang and Sennrich, NeurIPS 2019.

    Args:
        scale: vector of the size of `axis`, or None.
        epsilon: added to the mean; by default that of `mlkit.config.epsilon()`.
    """
    epsilon = default_epsilon() if epsilon is None else epsilon
    given = as_tensor(x)
    if not given.ndim:
        given = reshape(given, shape=(1,))
    x, dtype = _single(given)
    scale = None if scale is None else cast(scale, x.dtype)
    axes = normalize_axes("rms_normalization", axis, x.ndim)
    if _are_last(axes, x) and (scale is None or scale.shape == tuple(x.shape[a] for a in axes)):
        x = given if dtype in dtypes.HALF else x  # half floats are computed in float32 there
        return cast(fused.rms_norm(x, scale, rank=len(axes), epsilon=epsilon)[0], dtype)
    y = x * el.rsqrt(_mean(x * x, axes) + epsilon)
    return cast(y if scale is None else y * scale, dtype)


def normalize(x: TensorLike, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its norm of the given order along an axis, or by epsilon where that is larger.

    Args:
        order: 1 for the sum of absolute values, 2 for Euclid's, ...
        epsilon: the least divisor; by default that of `mlkit.config.epsilon()`.

    >>> normalize([3.0, 4.0]).numpy()
    array([0.6, 0.8], dtype=float32)
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize: `order` must be an int >= 1, but got {order!r}.")
    epsilon = default_epsilon() if epsilon is None else epsilon
    dtype = dtypes.float_of(as_tensor(x).dtype)
    x = to_single(x)
    if not x.ndim:
        x = reshape(x, shape=(1,))
    axes = normalize_axes("normalize", axis, x.ndim)
    if order == 2:
        return cast(x * el.minimum(el.rsqrt(sum_(x * x, axes=axes, keepdims=True)), 1.0 / epsilon), dtype)
    if len(axes) > 1:
        raise NotImplementedError(f"normalize: `axis` must be one axis for `order` {order}, but got {axis}.")
    norm = sum_(abs(x) ** order, axes=axes, keepdims=True) ** (1.0 / order)
    return cast(x / el.maximum(norm, epsilon), dtype)
