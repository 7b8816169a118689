"""Batch normalization with relu behind it, or a sum with another tensor and then relu, and their gradients. Nobody writes these: the
fusion pass puts them in place of the ops they are made of."""

from collections.abc import Sequence
from typing import Any

from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, require, size_of
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.activation import relu
from mlkit.primitives.fused.normalization import batch_norm, batch_norm_grad
from mlkit.primitives.movement import iota, pad, slice_along
from mlkit.primitives.shape import reshape, sum_


def _bits() -> Tensor:
    """0, 1, ..., 7"""
    return iota(size=8, dtype="int32")


def pack(positive: Tensor) -> Tensor:
    """Bools as bits of bytes: eight in each, the first as its lowest bit, zeros at the end."""
    flat = reshape(el.cast(positive, dtype="int32"), shape=(positive.size,))
    flat = pad(flat, value=0, low=(0,), high=(-positive.size % 8,), interior=(0,))
    octets = reshape(flat, shape=(flat.size // 8, 8))
    return el.cast(sum_(el.left_shift(octets, _bits()), axes=(1,), keepdims=False), dtype="uint8")


def unpack(mask: Tensor, shape: Sequence[Size]) -> Tensor:
    """The first bits as bools of this shape."""
    bits = el.right_shift(el.cast(reshape(mask, shape=(mask.size, 1)), dtype="int32"), _bits())
    flat = reshape(el.mod(bits, 2), shape=(bits.size,))
    return el.equal(reshape(slice_along(flat, 0, 0, size_of(shape)), shape=shape), 1)


def _mask_shape(x: Spec) -> tuple[Size, ...]:
    return (-(-size_of(x.shape) // 8),)


def _spec(x: Spec, scale: Spec | None, offset: Spec | None, axes: tuple[int, ...], epsilon: float) -> tuple[Spec, ...]:
    return *batch_norm.spec(x, scale, offset, axes, epsilon), Spec(_mask_shape(x), "uint8")


def _fallback(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, axes: tuple[int, ...], epsilon: float
) -> tuple[Tensor, ...]:
    y, mean, variance = batch_norm(x, scale, offset, axes=axes, epsilon=epsilon)
    return relu(y), mean, variance, pack(y > 0)


# x, scale or None, offset or None -> relu(y), mean, variance, and where y > 0 as `pack` writes it: all that the gradient must
# know of y
batch_norm_relu = batch_norm.variant("relu", _spec, fallback=_fallback, traits=batch_norm.traits)


def _grad_spec(
    g: Spec, x: Spec, scale: Spec, mean: Spec, variance: Spec, mask: Spec, axes: tuple[int, ...], epsilon: float
) -> tuple[Spec, ...]:
    require("batch_norm_relu_grad", "the mask", mask, _mask_shape(x), "uint8")
    return batch_norm_grad.spec(g, x, scale, mean, variance, axes, epsilon)


def _grad_fallback(*args: Tensor | None, **params: Any) -> tuple[Tensor, ...]:
    return _sum_grad_fallback(*args, **params)[:3]  # type: ignore[arg-type]  # the spec has been asked


batch_norm_relu_grad = Op("batch_norm_relu_grad", _grad_spec, fallback=_grad_fallback, traits=batch_norm_grad.traits)


def _sum_spec(
    x: Spec, scale: Spec | None, offset: Spec | None, other: Spec, axes: tuple[int, ...], epsilon: float
) -> tuple[Spec, ...]:
    require("batch_norm_add_relu", "the other tensor", other, x.shape, x.dtype)
    return _spec(x, scale, offset, axes, epsilon)


def _sum_fallback(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, other: Tensor, axes: tuple[int, ...], epsilon: float
) -> tuple[Tensor, ...]:
    y, mean, variance = batch_norm(x, scale, offset, axes=axes, epsilon=epsilon)
    y = el.add(y, other)
    return relu(y), mean, variance, pack(y > 0)


# x, scale or None, offset or None, other -> relu(y + other), mean, variance, and where y + other > 0
batch_norm_add_relu = batch_norm.variant("add_relu", _sum_spec, fallback=_sum_fallback)


def _sum_grad_spec(
    g: Spec, x: Spec, scale: Spec, mean: Spec, variance: Spec, mask: Spec, axes: tuple[int, ...], epsilon: float
) -> tuple[Spec, ...]:
    require("batch_norm_add_relu_grad", "the mask", mask, _mask_shape(x), "uint8")
    return *batch_norm_grad.spec(g, x, scale, mean, variance, axes, epsilon), g


def _sum_grad_fallback(
    g: Tensor,
    x: Tensor,
    scale: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    mask: Tensor,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Tensor, ...]:
    passed = el.where(unpack(mask, g.shape), g, 0.0)
    return *batch_norm_grad(passed, x, scale, mean, variance, axes=axes, epsilon=epsilon), passed


# the gradients of x, scale and offset, and of the other tensor
batch_norm_add_relu_grad = Op("batch_norm_add_relu_grad", _sum_grad_spec, fallback=_sum_grad_fallback)
