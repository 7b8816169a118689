"""Convolutions of `keras.ops.nn`. The mathematics: Dumoulin and Visin, A guide to convolution arithmetic for deep learning,
2016."""

from typing import Any

from mlkit.core.spec import Size, is_known, same_size, show, wholes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import IntOrSequence, TensorLike
from mlkit.ops.nn.spatial import check_padding, from_last, is_channels_last, per_axis, spatial_rank, to_last
from mlkit.primitives import window
from mlkit.primitives.convert import promote_tensors
from mlkit.primitives.movement import pad
from mlkit.primitives.shape import reshape

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]


def conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: IntOrSequence = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: IntOrSequence = 1,
) -> Tensor:
    """Convolution in one to three spatial dimensions.

    Args:
        inputs: (batch, *spatial, channels), for data_format="channels_first" (batch, channels, *spatial).
        kernel: (*window, channels / groups, filters); where its channels are a fraction of those of the inputs, the convolution
            is grouped.
        strides, dilation_rate: int, or one per spatial axis.
        padding: "valid" or "same".

    Returns (batch, *new_spatial, filters), in the data format of the inputs. Raises ValueError if rank or channels do not fit.

    >>> import mlkit
    >>> conv(mlkit.ops.ones((1, 5, 5, 3)), mlkit.ops.ones((3, 3, 3, 8)), padding="same").shape
    (1, 5, 5, 8)
    """
    x, w = promote_tensors(inputs, kernel)
    last = is_channels_last("conv", data_format)
    x = to_last(_checked("conv", x, w), last)
    channels, each = x.shape[-1], w.shape[-2]
    if not is_known(channels) or not channels or not each or channels % each:
        raise ValueError(
            f"conv: the inputs have {show((channels,))[0]} channels (shape {show(x.shape)}, channels last), which the {each} "
            f"input channels of the kernel of shape {show(w.shape)} do not divide. A kernel is (*window, channels / groups, "
            "filters)."
        )
    p = _parameters("conv", x, strides, padding, dilation_rate)
    return from_last(window.conv(x, w, groups=channels // each, **p), last)


def depthwise_conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: IntOrSequence = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: IntOrSequence = 1,
) -> Tensor:
    """Convolution of each channel with filters of its own.

    Args:
        inputs: (batch, *spatial, channels).
        kernel: (*window, channels, multiplier).
        strides: int, or one per spatial axis.
        padding: "valid" or "same".
        dilation_rate: distance of a window's cells, int or one per spatial axis.

    Returns (batch, *new_spatial, channels * multiplier): the results of one channel stand together.

    >>> import mlkit
    >>> depthwise_conv(mlkit.ops.ones((1, 5, 5, 3)), mlkit.ops.ones((3, 3, 3, 2))).shape
    (1, 3, 3, 6)
    """
    x, w = promote_tensors(inputs, kernel)
    last = is_channels_last("depthwise_conv", data_format)
    x = to_last(_checked("depthwise_conv", x, w), last)
    *size, channels, multiplier = w.shape
    _check_channels("depthwise_conv", x, w, channels, "(*window, channels, multiplier)")
    w = reshape(w, shape=(*size, 1, channels * multiplier))
    y = window.conv(x, w, groups=channels, **_parameters("depthwise_conv", x, strides, padding, dilation_rate))
    return from_last(y, last)


def separable_conv(
    inputs: TensorLike,
    depthwise_kernel: TensorLike,
    pointwise_kernel: TensorLike,
    strides: IntOrSequence = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: IntOrSequence = 1,
) -> Tensor:
    """`depthwise_conv`, then a convolution with a window of one cell that mixes the channels.

    Args:
        depthwise_kernel: (*window, channels, multiplier).
        pointwise_kernel: (*ones, channels * multiplier, filters).
        inputs: (batch, *spatial, channels).
        strides: int, or one per spatial axis.
        padding: "valid" or "same".
        dilation_rate: distance of a window's cells, int or one per spatial axis.

    >>> import mlkit
    >>> ones = mlkit.ops.ones
    >>> separable_conv(ones((1, 5, 5, 3)), ones((3, 3, 3, 2)), ones((1, 1, 6, 4))).shape
    (1, 3, 3, 4)
    """
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, data_format=data_format)


def conv_transpose(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: IntOrSequence = 1,
    padding: str = "valid",
    output_padding: IntOrSequence | None = None,
    data_format: str | None = None,
    dilation_rate: IntOrSequence = 1,
) -> Tensor:
    """The adjoint of a convolution, which enlarges its input by the strides.

    Args:
        inputs: (batch, *spatial, channels).
        kernel: (*window, filters, channels), the kernel of the convolution that maps back.
        output_padding: int or one per spatial axis, cells added at the end to choose among the sizes that the convolution maps
            back to the input's; by default the result has size * stride cells ("same"), or the smallest size that holds all
            windows ("valid").
        strides: int, or one per spatial axis.
        padding: "valid" or "same".
        dilation_rate: distance of a window's cells, int or one per spatial axis.

    Returns (batch, *new_spatial, filters).

    >>> import mlkit
    >>> conv_transpose(mlkit.ops.ones((1, 4, 4, 3)), mlkit.ops.ones((3, 3, 8, 3)), strides=2, padding="same").shape
    (1, 8, 8, 8)
    """
    x, w = promote_tensors(inputs, kernel)
    last = is_channels_last("conv_transpose", data_format)
    x = to_last(_checked("conv_transpose", x, w), last)
    *size, filters, channels = w.shape
    _check_channels("conv_transpose", x, w, channels, "(*window, filters, channels)")
    p = _parameters("conv_transpose", x, strides, padding, dilation_rate)
    extra = output_padding
    if extra is not None:
        extra = wholes("conv_transpose", "`output_padding`", extra, len(size))
    spatial, crops, margins = [], [], []
    for i, (k, s, d) in enumerate(zip(size, p["strides"], p["dilation"])):
        n, crop, margin = _enlarged(x.shape[i + 1], (k - 1) * d + 1, s, p["padding"], None if extra is None else extra[i])
        spatial.append(n)
        crops.append(crop)
        margins.append(margin)
    shape = (x.shape[0], *spatial, filters)
    y = window.conv_input(x, w, shape=shape, strides=p["strides"], padding=tuple(crops), dilation=p["dilation"], groups=1)
    if any(margins):  # cells beyond the reach of every window
        none = (0,) * y.ndim
        y = pad(y, value=0.0, low=none, high=(0, *margins, 0), interior=none)
    return from_last(y, last)


def _enlarged(n: Size, window: int, stride: int, padding: str, extra: int | None) -> tuple[Any, tuple[Any, Any], Any]:
    """Along one axis: the size that windows reach, the cells (before, after) that are cut off it, and zeros to append.

    `window` counts its dilation. All windows together cover (n - 1) * stride + window cells.
    """
    reach = window - stride  # by how much that exceeds n * stride
    if padding == "valid":
        before, after = 0, (min(reach, 0) if extra is None else -extra)
    elif extra is None:
        before = max(reach // 2, 0)
        after = reach - before
    else:
        total = window - window % 2 - extra
        before = max(total // 2, 0)
        after = total - before
    if after <= -stride:  # a whole stride of cells that no window reaches
        margin, after = -after, 0
    else:
        margin = 0
    return (n - 1) * stride + window - before - after, (before, max(after, 0)), margin


def _parameters(name: str, x: Tensor, strides: IntOrSequence, padding: str, dilation: IntOrSequence) -> dict[str, Any]:
    """Parameters of the primitive, after checks."""
    rank = x.ndim - 2
    return dict(
        strides=per_axis(name, "strides", strides, rank),
        padding=check_padding(name, padding),
        dilation=per_axis(name, "dilation_rate", dilation, rank),
    )


def _checked(name: str, x: Tensor, w: Tensor) -> Tensor:
    """x, whose rank must fit the kernel's."""
    rank = spatial_rank(name, x)
    if len(w.shape) != rank + 2:
        raise ValueError(
            f"{name}: inputs of shape {show(x.shape)} have {rank} spatial axes, so the kernel must have {rank + 2} axes, "
            f"but its shape is {show(w.shape)}."
        )
    if 0 in w.shape[:-2]:
        raise ValueError(f"{name}: the window of a kernel must have one cell or more, but its shape is {show(w.shape)}.")
    return x


def _check_channels(name: str, x: Tensor, w: Tensor, channels: Size, layout: str) -> None:
    if not channels or not same_size(x.shape[-1], channels):
        raise ValueError(
            f"{name}: the inputs have {x.shape[-1]} channels (shape {show(x.shape)}, channels last), but the kernel of shape "
            f"{show(w.shape)} is for {channels}. A kernel is {layout}."
        )
