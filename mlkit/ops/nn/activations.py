"""Activation functions."""

import math
import warnings

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import is_known, normalize_axes, normalize_axis
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, FloatOrSequence, TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives import fused
from mlkit.primitives.convert import as_tensor, cast, to_float, to_real, to_single
from mlkit.primitives.movement import flip, iota, slice_along
from mlkit.primitives.reduction import cumsum
from mlkit.primitives.shape import inverse_permutation, reshape, sum_, transpose
from mlkit.primitives.sorting import sort

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu",
    "log_sigmoid",
    "log_softmax", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold",
]  # fmt: skip


# ---- piecewise linear ------------------------------------------------------------------------------------------------


def relu(x: TensorLike) -> Tensor:
    """max(x, 0). The gradient at 0 is 0.

    Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", ICML 2010.

    >>> relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    return fused.relu(as_tensor(x))


def relu6(x: TensorLike) -> Tensor:
    """min(max(x, 0), 6)."""
    return fused.relu6(to_float(x))


def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> Tensor:
    """x where it is positive, else negative_slope * x. Maas, Hannun and Ng, ICML 2013.

    Args:
        negative_slope: slope below 0.
    """
    x = to_float(x)
    return el.where(x >= 0, x, x * negative_slope)


def hard_sigmoid(x: TensorLike) -> Tensor:
    """relu6(x + 3) / 6.

    Howard et al., "Searching for MobileNetV3", ICCV 2019.
    """
    return relu6(to_float(x) + 3.0) / 6.0


def hard_silu(x: TensorLike) -> Tensor:
    """x * hard_sigmoid(x). Howard et al., "Searching for MobileNetV3", ICCV 2019."""
    x = to_float(x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def hard_tanh(x: TensorLike) -> Tensor:
    """x clipped to [-1, 1]."""
    x = as_tensor(x)
    at_least = x if x.dtype == "bool" or x.dtype in dtypes.UINTS else el.where(x < -1, -1, x)
    return el.where(x > 1, 1, at_least)


def hard_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """x where |x| > threshold, else 0.

    Donoho and Johnstone, "Ideal Spatial Adaptation by Wavelet Shrinkage", Biometrika 81 (1994).

    Args:
        threshold: what is not further from 0 becomes 0.
    """
    x = to_float(x)
    return el.where(abs(x) > threshold, x, 0.0)


def soft_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by the threshold; 0 where |x| <= threshold.

    Donoho and Johnstone, "Ideal Spatial Adaptation by Wavelet Shrinkage", Biometrika 81 (1994).

    Args:
        threshold: by how much values move towards 0.
    """
    x = to_float(x)
    return el.where(x > threshold, x - threshold, el.where(x < -threshold, x + threshold, 0.0))


def threshold(x: TensorLike, threshold: float, default_value: float) -> Tensor:
    """x where it is above the threshold, else default_value.

    Args:
        threshold: the bound.
        default_value: what stands for values that are not above it.
    """
    x = to_float(x)
    return el.where(x > threshold, x, float(default_value))


def sparse_sigmoid(x: TensorLike) -> Tensor:
    """(x + 1) / 2 clipped to [0, 1]."""
    return 0.5 * el.minimum(el.maximum(to_float(x) + 1.0, 0.0), 2.0)


def sparse_plus(x: TensorLike) -> Tensor:
    """0 below -1, x above 1, and (x + 1)^2 / 4 between, which joins them smoothly."""
    x = to_float(x)
    return el.where(x <= -1.0, 0.0, el.where(x >= 1.0, x, (x + 1.0) ** 2 / 4))


# ---- smooth ----------------------------------------------------------------------------------------------------------


def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + exp(-x)).

    >>> sigmoid([0.0]).numpy()
    array([0.5], dtype=float32)
    """
    return el.sigmoid(to_float(x))


def log_sigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)), exact for large negative x too."""
    return -fused.softplus(-to_float(x))


def softplus(x: TensorLike) -> Tensor:
    """log(1 + exp(x)), without overflow.

    Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing", NeurIPS 2000.
    """
    return fused.softplus(to_float(x))


def softsign(x: TensorLike) -> Tensor:
    """x / (1 + |x|)."""
    x = to_float(x)
    return x / (abs(x) + 1)


def squareplus(x: TensorLike, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2. Barron, arXiv:2112.11687.

    Args:
        b: smoothness at 0.
    """
    x = to_float(x)
    return (x + el.sqrt(x * x + b)) / 2


def tanh_shrink(x: TensorLike) -> Tensor:
    """x - tanh(x)."""
    x = to_float(x)
    return x - el.tanh(x)


def silu(x: TensorLike) -> Tensor:
    """x * sigmoid(x), also called swish. Elfwing, Uchibe and Doya, Neural Networks 107 (2018)."""
    return fused.silu(to_float(x))


swish = silu


def gelu(x: TensorLike, approximate: bool = True) -> Tensor:
    """x * (cumulative normal distribution at x); approximate: by tanh. Hendrycks and Gimpel, arXiv:1606.08415.

    Args:
        approximate: by tanh, else by the error function.
    """
    return fused.gelu(to_float(x), approximate=bool(approximate))


def elu(x: TensorLike, alpha: FloatOrSequence = 1.0) -> Tensor:
    """x where it is positive, else alpha * (exp(x) - 1). Clevert, Unterthiner and Hochreiter, ICLR 2016.

    Args:
        alpha: minus the limit for very negative x.
    """
    x = to_float(x)
    positive = x > 0
    return el.where(positive, x, el.expm1(el.where(positive, 0.0, x)) * alpha)


def selu(x: TensorLike) -> Tensor:
    """ELU with the two constants that keep mean and variance of activations. Klambauer et al., NeurIPS 2017."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def celu(x: TensorLike, alpha: FloatOrSequence = 1.0) -> Tensor:
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0). Barron, arXiv:1704.07483.

    Args:
        alpha: minus the limit for very negative x.
    """
    x = to_float(x)
    return el.maximum(x, 0.0) + alpha * el.expm1(el.minimum(x, 0.0) / alpha)


def glu(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The first half of an axis times the sigmoid of the second. Dauphin et al., ICML 2017."""
    x = to_float(x)
    axis = normalize_axis("glu", axis, x.ndim)
    size = x.shape[axis]
    if is_known(size) and size % 2:
        raise ValueError(f"glu: axis {axis} must have an even size to be halved, but has {size}.")
    return slice_along(x, axis, 0, size // 2) * el.sigmoid(slice_along(x, axis, size // 2, size))


# ---- over an axis ----------------------------------------------------------------------------------------------------


def softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis, a tuple of axes, or all (None).

    Bridle, "Training Stochastic Model Recognition Algorithms as Networks", NeurIPS 1989.

    >>> softmax([0.0, math.log(3.0)]).numpy()
    array([0.25, 0.75], dtype=float32)
    """
    x = to_real("softmax", x)
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of shape {x.shape}: the axis has size 1, so every result is 1. Is sigmoid what you "
            "want?",
            stacklevel=2,
        )
    return _over_axes("softmax", fused.softmax, x, axis)


def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """log(softmax(x)) along an axis, a tuple of axes, or all (None)."""
    return _over_axes("log_softmax", fused.log_softmax, to_real("log_softmax", x), axis)


def _over_axes(name: str, op: Op, x: Tensor, axis: Axis) -> Tensor:
    """Apply an op of one axis to one, or to several made one."""
    if isinstance(axis, int):
        return op(x, axis=normalize_axis(name, axis, x.ndim))
    axes = normalize_axes(name, axis, x.ndim)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    moved = transpose(x, perm=kept + axes)
    size = math.prod(x.shape[a] for a in axes)
    flat = reshape(moved, shape=(*(x.shape[k] for k in kept), size))
    return transpose(reshape(op(flat, axis=len(kept)), shape=moved.shape), perm=inverse_permutation(kept + axes))


def sparsemax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The point of the probability simplex nearest to x, along an axis. Martins and Astudillo, ICML 2016."""
    given = to_float(x)
    x = to_single(given)  # half floats cannot count
    axis = normalize_axis("sparsemax", axis, x.ndim)
    size = x.shape[axis]
    ordered = flip(sort(x, axis=axis), axes=(axis,))
    total = cumsum(ordered, axis=axis)
    rank = reshape(iota(size=size, dtype=x.dtype) + 1, shape=tuple(size if i == axis else 1 for i in range(x.ndim)))
    support = ordered * rank > total - 1
    count = sum_(el.cast(support, dtype=x.dtype), axes=(axis,), keepdims=True)
    in_support = sum_(el.where(support, ordered, 0.0), axes=(axis,), keepdims=True)
    return cast(fused.relu(x - (in_support - 1) / count), given.dtype)
