"""Colour spaces."""

from mlkit.core import dtypes
from mlkit.core.spec import is_known, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.ops.image.layout import channels_last
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, cast
from mlkit.primitives.movement import concat, slice_along

__all__ = ["hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv"]

_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}


def _planes(name: str, images: TensorLike, data_format: str | None, floating: bool = True) -> tuple[Tensor, int, list[Tensor]]:
    """(the three colour planes, each with an axis of size 1 for the channel; that axis)"""
    x = as_tensor(images)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: expected an image of 3 dimensions or a batch of 4, but got shape {show(x.shape)}.")
    if floating and x.dtype not in dtypes.FLOATS:
        raise ValueError(f"{name}: expected images of a float dtype, but got {x.dtype}.")
    axis = x.ndim - 1 if channels_last(name, data_format) else x.ndim - 3
    if is_known(x.shape[axis]) and x.shape[axis] not in ((3,) if floating else (1, 3)):
        raise ValueError(f"{name}: expected 3 channels in axis {axis}, but got shape {show(x.shape)}.")
    return x, axis, [slice_along(x, axis, i, i + 1) for i in range(3)] if x.shape[axis] != 1 else [x]


def rgb_to_grayscale(images: TensorLike, data_format: str | None = None) -> Tensor:
    """The luminance 0.2989 R + 0.587 G + 0.114 B as a single channel; grey images are returned as they are.

    Args:
        images: (height, width, 3), (batch, height, width, 3), or with channels first.
    """
    x, _axis, planes = _planes("rgb_to_grayscale", images, data_format, floating=False)
    if len(planes) == 1:
        return x
    red, green, blue = (cast(p, dtypes.float_of(x.dtype)) for p in planes)
    return cast(red * 0.2989 + green * 0.587 + blue * 0.114, x.dtype)


def rgb_to_hsv(images: TensorLike, data_format: str | None = None) -> Tensor:
    """Red, green and blue in [0, 1] -> hue, saturation and value in [0, 1]. A. R. Smith, SIGGRAPH 1978."""
    x, axis, planes = _planes("rgb_to_hsv", images, data_format)
    r, g, b = (el.where(abs(p) < _EPSILON[x.dtype], 0.0, p) for p in planes)
    value = el.maximum(el.maximum(r, g), b)
    spread = value - el.minimum(el.minimum(r, g), b)
    bright, coloured = value > 0, spread > 0
    saturation = el.where(bright, spread / el.where(bright, value, 1.0), 0.0)
    norm = 1 / (6 * el.where(coloured, spread, 1.0))
    hue = el.where(el.equal(value, g), norm * (b - r) + 2 / 6, norm * (r - g) + 4 / 6)
    hue = el.where(el.equal(value, r), norm * (g - b), hue)
    hue = el.where(coloured, hue, 0.0) + cast(hue < 0, hue.dtype)
    return concat(hue, saturation, value, axis=axis)


def hsv_to_rgb(images: TensorLike, data_format: str | None = None) -> Tensor:
    """The inverse of `rgb_to_hsv`."""
    _x, axis, (hue, saturation, value) = _planes("hsv_to_rgb", images, data_format)
    sector = el.mod(hue, 1.0) * 6

    def channel(strength: Tensor) -> Tensor:
        strength = el.minimum(el.maximum(strength, 0.0), 1.0)
        return value * (1 - saturation + saturation * strength)

    red, green, blue = abs(sector - 3) - 1, 2 - abs(sector - 2), 2 - abs(sector - 4)
    return concat(*map(channel, (red, green, blue)), axis=axis)
