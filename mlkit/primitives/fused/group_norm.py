"""Group normalization of channels that lie last, and its gradient.

Its fallback is layer normalization of rows, for which a sample's channels of a group are brought together: kernels that read them where
they are save both transposes.
"""

from collections.abc import Sequence

from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, is_known, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives.fused.normalization import (
    check_gradient,
    check_parameters,
    layer_norm,
    layer_norm_grad,
    wide_dtype,
    widened,
)
from mlkit.primitives.fused.second_order import through_fallback
from mlkit.primitives.shape import broadcast_to, reshape, sum_, transpose


def _statistics(name: str, x: Spec, groups: int) -> Spec:
    """Those of each group of each sample."""
    if len(x.shape) < 2:
        raise ValueError(f"{name}: x of shape {show(x.shape)} has no axes of samples and channels.")
    if not is_known(x.shape[-1]) or groups < 1 or x.shape[-1] % groups:
        raise ValueError(
            f"{name}: the channels of x of shape {show(x.shape)}, its last axis, do not divide into {groups} groups."
        )
    return Spec((x.shape[0], groups), wide_dtype(x.dtype))


def _group_norm_spec(x: Spec, scale: Spec | None, offset: Spec | None, groups: int, epsilon: float) -> tuple[Spec, ...]:
    statistics = _statistics("group_norm", x, groups)
    check_parameters("group_norm", x, (scale, offset), x.shape[-1:])
    return x, statistics, statistics


def _rows(x: Tensor, groups: int) -> Tensor:
    """(samples, groups, elements of a group): channels come first."""
    samples, positions, channels = _sizes(x)
    by_channel = transpose(reshape(x, shape=(samples, positions, channels)), perm=(0, 2, 1))
    return reshape(by_channel, shape=(samples, groups, channels // groups * positions))


def _like(rows: Tensor, x: Tensor) -> Tensor:
    """`_rows` undone."""
    samples, positions, channels = _sizes(x)
    return reshape(transpose(reshape(rows, shape=(samples, channels, positions)), perm=(0, 2, 1)), shape=x.shape)


def _sizes(x: Tensor) -> tuple[Size, Size, int]:
    """(samples, positions, channels)"""
    return x.shape[0], size_of(x.shape[1:-1]), x.shape[-1]


def _group_norm(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, groups: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, x = x.dtype, widened(x)
    rows, *statistics = layer_norm(_rows(x, groups), None, None, rank=1, epsilon=epsilon)
    y = _like(rows, x)
    if scale is not None:
        y = y * scale
    if offset is not None:
        y = y + offset
    return el.cast(y, dtype=dtype), *(reshape(s, shape=(x.shape[0], groups)) for s in statistics)


def _group_norm_vjp(
    g: Sequence[Tensor | None],
    out: tuple[Tensor, ...],
    x: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    groups: int,
    epsilon: float,
) -> tuple[Tensor | None, ...]:
    gy, g_mean, g_variance = g
    if gy is None or g_mean is not None or g_variance is not None:
        return through_fallback(group_norm, g, (x, scale, offset), dict(groups=groups, epsilon=epsilon))
    dx, d_scale, d_offset = group_norm_grad(gy, x, scale, *out[1:], groups=groups, epsilon=epsilon)
    return dx, None if scale is None else d_scale, None if offset is None else d_offset


# x (samples, ..., channels), scale or None, offset or None -> y, mean and variance (both (samples, groups)), each of neighbouring channels
# at all positions. Wu and He, "Group normalization", arXiv:1803.08494.
group_norm = Op("group_norm", _group_norm_spec, _group_norm_vjp, "012y", _group_norm)


def _group_norm_grad_spec(
    g: Spec, x: Spec, scale: Spec | None, mean: Spec, variance: Spec, groups: int, epsilon: float
) -> tuple[Spec, ...]:
    statistics, vector = _statistics("group_norm_grad", x, groups), Spec(x.shape[-1:], wide_dtype(x.dtype))
    check_parameters("group_norm_grad", x, (scale,), vector.shape)
    check_gradient("group_norm_grad", g, x, mean, variance, statistics.shape)
    return x, vector, vector


def _group_norm_grad(
    g: Tensor, x: Tensor, scale: Tensor | None, mean: Tensor, variance: Tensor, groups: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, g, x = x.dtype, widened(g), widened(x)
    mean, variance = (reshape(s, shape=(x.shape[0], groups, 1)) for s in (mean, variance))
    slopes, own = (reshape(v, shape=_sizes(x)) for v in (g, x))
    normal = (own - _of_channels(mean, x)) * _of_channels(el.rsqrt(variance + epsilon), x)
    d_offset, d_scale = (sum_(v, axes=(0, 1), keepdims=False) for v in (slopes, slopes * normal))
    rows = _rows(g if scale is None else g * scale, groups), _rows(x, groups)
    dx, _, _ = layer_norm_grad(*rows, None, mean, variance, rank=1, epsilon=epsilon)
    return el.cast(_like(dx, x), dtype=dtype), d_scale, d_offset


def _of_channels(statistics: Tensor, x: Tensor) -> Tensor:
    """(samples, groups, 1) -> (samples, 1, channels)"""
    samples, groups, _ = statistics.shape
    return reshape(broadcast_to(statistics, shape=(samples, groups, x.shape[-1] // groups)), shape=(samples, 1, x.shape[-1]))


group_norm_grad = Op("group_norm_grad", _group_norm_grad_spec, fallback=_group_norm_grad)
