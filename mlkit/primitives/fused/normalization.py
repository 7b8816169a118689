"""Batch, layer and root mean square normalization with the statistics of their input, and their gradients.

Half floats are normalized in float32: x and y, and their gradients, may have such a dtype; all others are float32 then.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import ShapesDiffer, Size, Spec, normalize_axes, reduced, require, require_float, show
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Images, Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.second_order import through_fallback
from mlkit.primitives.reduction import size_along, size_operand
from mlkit.primitives.shape import reshape, sum_


def wide_dtype(dtype: str) -> str:
    """The dtype of statistics, parameters and their gradients."""
    return dtypes.result_type(dtype, "float32")


def widened(x: Tensor) -> Tensor:
    return el.cast(x, dtype=wide_dtype(x.dtype))


def check_parameters(name: str, x: Spec, parameters: Iterable[Spec | None], shape: Sequence[Size]) -> None:
    require_float(name, "x", x)
    for p in parameters:
        if p is not None and p.dtype != wide_dtype(x.dtype):
            raise TypeError(f"{name}: x of {x.dtype} needs scale and offset of {wide_dtype(x.dtype)}, but got {p.dtype}.")
        if p is not None and tuple(p.shape) != tuple(shape):
            raise ShapesDiffer(
                f"{name}: x of shape {show(x.shape)} needs scale and offset of shape {show(shape)}, but got {show(p.shape)}."
            )


def check_gradient(name: str, g: Spec, x: Spec, mean: Spec, variance: Spec, row: Sequence[Size]) -> None:
    require(name, "the gradient", g, x.shape, x.dtype)
    require(name, "the mean", mean, row, wide_dtype(x.dtype))
    require(name, "the variance", variance, row, wide_dtype(x.dtype))


def _mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return sum_(x, axes=axes, keepdims=True) / size_operand(size_along(x, axes), x.dtype)


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    mean = _mean(x, axes)
    centred = x - mean
    return mean, _mean(centred * centred, axes)


# ---- batch normalization ---------------------------------------------------------------------------------------------


def _along(p: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A vector of the kept axes in a shape that broadcasts with x."""
    return reshape(p, shape=reduced(x.shape, axes, True))


def _kept(name: str, x: Spec, axes: tuple[int, ...]) -> tuple[Size, ...]:
    """The shape of statistics over these axes."""
    return reduced(x.shape, normalize_axes(name, axes, len(x.shape)), False)


def _batch_norm_spec(
    x: Spec, scale: Spec | None, offset: Spec | None, axes: tuple[int, ...], epsilon: float
) -> tuple[Spec, ...]:
    shape = _kept("batch_norm", x, axes)
    check_parameters("batch_norm", x, (scale, offset), shape)
    return x, Spec(shape, wide_dtype(x.dtype)), Spec(shape, wide_dtype(x.dtype))


def _batch_norm(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, axes: tuple[int, ...], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, x = x.dtype, widened(x)
    mean, variance = _moments(x, axes)
    inverse = el.rsqrt(variance + epsilon)
    if scale is not None:
        inverse = inverse * _along(scale, x, axes)
    shift = -mean * inverse
    if offset is not None:
        shift = shift + _along(offset, x, axes)
    small = reduced(x.shape, axes, False)
    return el.cast(x * inverse + shift, dtype=dtype), reshape(mean, shape=small), reshape(variance, shape=small)


def _batch_norm_vjp(
    g: Sequence[Tensor | None],
    out: tuple[Tensor, ...],
    x: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Tensor | None, ...]:
    gy, g_mean, g_variance = g
    if gy is None or g_mean is not None or g_variance is not None:  # rare: someone differentiates the statistics
        return through_fallback(batch_norm, g, (x, scale, offset), dict(axes=axes, epsilon=epsilon))
    _, mean, variance = out
    dx, d_scale, d_offset = batch_norm_grad(gy, x, scale, mean, variance, axes=axes, epsilon=epsilon)
    return dx, None if scale is None else d_scale, None if offset is None else d_offset


def by_channel(images: Any, params: dict[str, Any]) -> bool:
    """Whether images are normalized channel by channel."""
    return sorted(params["axes"]) == [0, 1, 2]


# x, scale or None, offset or None -> y, mean, variance (biased). axes: those that are averaged over; vectors have the others'
# shape. Ioffe and Szegedy, "Batch normalization", ICML 2015.
batch_norm = Op(
    "batch_norm",
    _batch_norm_spec,
    _batch_norm_vjp,
    "012y",
    _batch_norm,
    traits=Traits(images=Images((0,), (0,), fits=by_channel)),
)


def _batch_norm_grad_spec(
    g: Spec, x: Spec, scale: Spec | None, mean: Spec, variance: Spec, axes: tuple[int, ...], epsilon: float
) -> tuple[Spec, ...]:
    shape = _kept("batch_norm_grad", x, axes)
    check_parameters("batch_norm_grad", x, (scale,), shape)
    check_gradient("batch_norm_grad", g, x, mean, variance, shape)
    return x, mean, mean


def _batch_norm_grad(
    g: Tensor, x: Tensor, scale: Tensor | None, mean: Tensor, variance: Tensor, axes: tuple[int, ...], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, g, x = x.dtype, widened(g), widened(x)
    inverse = el.rsqrt(_along(variance, x, axes) + epsilon)
    centred = x - _along(mean, x, axes)
    d_offset = sum_(g, axes=axes, keepdims=True)
    d_scale = sum_(g * centred, axes=axes, keepdims=True) * inverse
    # what is the same for all elements of a channel is multiplied before it meets them: XLA would not
    factor = inverse if scale is None else inverse * _along(scale, x, axes)
    count = size_operand(size_along(x, axes), x.dtype)
    dx = factor * (g - d_offset / count - centred * (inverse * d_scale / count))
    return el.cast(dx, dtype=dtype), reshape(d_scale, shape=mean.shape), reshape(d_offset, shape=mean.shape)


# mean, variance: those of x over the axes, as batch_norm gives them, which passes rely on
batch_norm_grad = Op(
    "batch_norm_grad",
    _batch_norm_grad_spec,
    fallback=_batch_norm_grad,
    traits=Traits(images=Images((0, 1), (0,), fits=by_channel)),
)


# ---- layer normalization ---------------------------------------------------------------------------------------------


def _row(name: str, x: Spec, rank: int) -> tuple[Size, ...]:
    """The shape of what is normalized together."""
    if not 0 < rank <= len(x.shape):
        raise ValueError(f"{name}: x of shape {show(x.shape)} has no {rank} last axes.")
    return x.shape[len(x.shape) - rank :]


def _layer_norm_spec(x: Spec, scale: Spec | None, offset: Spec | None, rank: int, epsilon: float) -> tuple[Spec, ...]:
    check_parameters("layer_norm", x, (scale, offset), _row("layer_norm", x, rank))
    row = Spec(reduced(x.shape, _last(x, rank), True), wide_dtype(x.dtype))
    return x, row, row


def _last(x: Spec | Tensor, rank: int) -> tuple[int, ...]:
    return tuple(range(x.ndim - rank, x.ndim))


def _layer_norm(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, rank: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, x = x.dtype, widened(x)
    mean, variance = _moments(x, _last(x, rank))
    inverse = el.rsqrt(variance + epsilon)
    y = (x - mean) * inverse
    if scale is not None:
        y = y * scale
    return el.cast(y if offset is None else y + offset, dtype=dtype), mean, variance


def _layer_norm_vjp(
    g: Sequence[Tensor | None],
    out: tuple[Tensor, ...],
    x: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    rank: int,
    epsilon: float,
) -> tuple[Tensor | None, ...]:
    gy, g_mean, g_variance = g
    if gy is None or g_mean is not None or g_variance is not None:
        return through_fallback(layer_norm, g, (x, scale, offset), dict(rank=rank, epsilon=epsilon))
    dx, d_scale, d_offset = layer_norm_grad(gy, x, scale, *out[1:], rank=rank, epsilon=epsilon)
    return dx, None if scale is None else d_scale, None if offset is None else d_offset


# Over the last `rank` axes: x, scale or None, offset or None -> y, mean, variance (biased; both with axes of size 1).
# Ba, Kiros and Hinton, "Layer normalization", arXiv:1607.06450.
layer_norm = Op("layer_norm", _layer_norm_spec, _layer_norm_vjp, "012y", _layer_norm)


def _layer_norm_grad_spec(
    g: Spec, x: Spec, scale: Spec | None, mean: Spec, variance: Spec, rank: int, epsilon: float
) -> tuple[Spec, ...]:
    vector = Spec(_row("layer_norm_grad", x, rank), wide_dtype(x.dtype))
    check_parameters("layer_norm_grad", x, (scale,), vector.shape)
    check_gradient("layer_norm_grad", g, x, mean, variance, reduced(x.shape, _last(x, rank), True))
    return x, vector, vector


def _layer_norm_grad(
    g: Tensor, x: Tensor, scale: Tensor | None, mean: Tensor, variance: Tensor, rank: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, g, x = x.dtype, widened(g), widened(x)
    last, lead = _last(x, rank), tuple(range(x.ndim - rank))
    inverse = el.rsqrt(variance + epsilon)
    normal = (x - mean) * inverse
    d_offset = sum_(g, axes=lead, keepdims=False)
    d_scale = sum_(g * normal, axes=lead, keepdims=False)
    h = g if scale is None else g * scale
    dx = inverse * (h - _mean(h, last) - normal * _mean(h * normal, last))
    return el.cast(dx, dtype=dtype), d_scale, d_offset


layer_norm_grad = Op("layer_norm_grad", _layer_norm_grad_spec, fallback=_layer_norm_grad)


# ---- root mean square normalization ----------------------------------------------------------------------------------


def _rms_norm_spec(x: Spec, scale: Spec | None, rank: int, epsilon: float) -> tuple[Spec, ...]:
    check_parameters("rms_norm", x, (scale,), _row("rms_norm", x, rank))
    return x, Spec(reduced(x.shape, _last(x, rank), True), wide_dtype(x.dtype))


def _rms_norm(x: Tensor, scale: Tensor | None, rank: int, epsilon: float) -> tuple[Tensor, Tensor]:
    dtype, x = x.dtype, widened(x)
    square = _mean(x * x, _last(x, rank))
    y = x * el.rsqrt(square + epsilon)
    return el.cast(y if scale is None else y * scale, dtype=dtype), square


def _rms_norm_vjp(
    g: Sequence[Tensor | None], out: tuple[Tensor, ...], x: Tensor, scale: Tensor | None, rank: int, epsilon: float
) -> tuple[Tensor | None, ...]:
    gy, g_square = g
    if gy is None or g_square is not None:
        return through_fallback(rms_norm, g, (x, scale), dict(rank=rank, epsilon=epsilon))
    dx, d_scale = rms_norm_grad(gy, x, scale, out[1], rank=rank, epsilon=epsilon)
    return dx, None if scale is None else d_scale


# Over the last `rank` axes: x, scale or None -> y, the mean of squares (with axes of size 1). Zhang and Sennrich, "Root mean square layer
# normalization", NeurIPS 2019.
rms_norm = Op("rms_norm", _rms_norm_spec, _rms_norm_vjp, "01y", _rms_norm)


def _rms_norm_grad_spec(g: Spec, x: Spec, scale: Spec | None, square: Spec, rank: int, epsilon: float) -> tuple[Spec, ...]:
    vector = Spec(_row("rms_norm_grad", x, rank), wide_dtype(x.dtype))
    check_parameters("rms_norm_grad", x, (scale,), vector.shape)
    require("rms_norm_grad", "the gradient", g, x.shape, x.dtype)
    require("rms_norm_grad", "the mean square", square, reduced(x.shape, _last(x, rank), True), wide_dtype(x.dtype))
    return x, vector


def _rms_norm_grad(
    g: Tensor, x: Tensor, scale: Tensor | None, square: Tensor, rank: int, epsilon: float
) -> tuple[Tensor, Tensor]:
    dtype, g, x = x.dtype, widened(g), widened(x)
    inverse = el.rsqrt(square + epsilon)
    normal = x * inverse
    d_scale = sum_(g * normal, axes=tuple(range(x.ndim - rank)), keepdims=False)
    h = g if scale is None else g * scale
    return el.cast(inverse * (h - normal * _mean(h * normal, _last(x, rank))), dtype=dtype), d_scale


rms_norm_grad = Op("rms_norm_grad", _rms_norm_grad_spec, fallback=_rms_norm_grad)
