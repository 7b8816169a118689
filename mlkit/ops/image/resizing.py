"""Images of another size, by separable interpolation: each axis is multiplied with a matrix of weights."""

import functools
import math

from mlkit.core import dtypes
from mlkit.core.spec import is_known, normalize_axes, show
from mlkit.ops import elementwise as el
from mlkit.ops.convert import as_tensor, cast
from mlkit.ops.image.layout import as_batch, check_choice
from mlkit.ops.linear import matmul
from mlkit.ops.movement import inverse_permutation, iota, pad, reshape, slice_, take, transpose
from mlkit.ops.reduction import sum_

__all__ = ["resize", "scale_and_translate"]


# ---- interpolation kernels: weights by distance in samples -----------------------------------------------------------


def _triangle(x):
    return el.maximum(1 - x, 0.0)


def _cubic(x):
    """R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981), with a = -1/2."""
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return el.where(x >= 2, 0.0, el.where(x >= 1, far, near))


def _lanczos(radius, x):
    """C. E. Duchon, "Lanczos filtering in one and two dimensions", J. Applied Meteorology 18 (1979)."""
    safe = el.where(x > 1e-3, x, 1.0)
    y = radius * el.sin(math.pi * safe) * el.sin(math.pi * safe / radius) / (math.pi**2 * safe * safe)
    return el.where(x > radius, 0.0, el.where(x > 1e-3, y, 1.0))


_KERNELS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _triangle),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _cubic),
    "lanczos3": functools.partial(_lanczos, 3),
    "lanczos5": functools.partial(_lanczos, 5),
}
_RESIZE = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")


def _weights(size, new_size, scale, translation, kernel, antialias, dtype):
    """Matrix (size, new_size) whose columns are the weights of a new sample; 0 for samples outside the image.

    antialias: when shrinking, the kernel is as much wider as the new samples are farther apart.
    """
    step = 1 / scale
    place = (iota(size=new_size, dtype=dtype) + 0.5) * step - translation * step - 0.5
    distance = abs(place - reshape(iota(size=size, dtype=dtype), shape=(size, 1)))
    if antialias:
        distance = distance / (el.maximum(step, 1.0) if not isinstance(step, float) else max(step, 1.0))
    w = kernel(distance)
    total = sum_(w, axes=(0,), keepdims=True)
    w = el.where(abs(total) > 1000 * 2.0**-23, w / el.where(el.equal(total, 0), 1.0, total), 0.0)
    end = size - 0.5 if is_known(size) else 0.0  # unknown while symbolic, where only shapes count
    inside = el.and_(place >= -0.5, place <= end)
    return el.where(inside, w, 0.0)


def _multiply_along(x, axis, matrix):
    """Contract one axis with the rows of a matrix."""
    order = (*(i for i in range(x.ndim) if i != axis), axis)
    return transpose(matmul(transpose(x, perm=order), matrix), perm=inverse_permutation(order))


# ---- resize ----------------------------------------------------------------------------------------------------------


def resize(
    images,
    size,
    interpolation="bilinear",
    antialias=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    fill_mode="constant",
    fill_value=0.0,
    data_format=None,
):
    """Images of size (height, width).

    images: (height, width, channels), (batch, height, width, channels), or with channels first. interpolation: "bilinear",
    "nearest", "bicubic", "lanczos3" or "lanczos5". antialias: average over the pixels that shrinking merges.
    crop_to_aspect_ratio: cut the image to the aspect ratio of `size` first; pad_to_aspect_ratio: or fill it up with fill_value.
    Integer images are rounded.

    >>> resize([[[0.0], [1.0]]], (1, 4)).numpy()[0, :, 0]
    array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    check_choice("resize", "interpolation", interpolation, _RESIZE)
    check_choice("resize", "fill_mode", fill_mode, ("constant",))
    if len(size) != 2 or any(is_known(s) and s <= 0 for s in size):
        raise ValueError(f"resize: `size` must be two positive numbers (height, width), but got {size}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True.")
    x, restore = as_batch("resize", images, data_format)
    dtype = x.dtype
    if is_known(*x.shape[1:3], *size):  # else only the shape of the result is asked for
        if crop_to_aspect_ratio:
            x = _crop_to_aspect(x, *size)
        elif pad_to_aspect_ratio:
            x = _pad_to_aspect(x, *size, fill_value)
    if interpolation != "nearest":
        wide = dtypes.float_of(dtype)
        x = cast(x, "float32" if wide in ("float16", "bfloat16") else wide)
    for axis, new_size in zip((1, 2), size):
        if x.shape[axis] != new_size:
            x = _resize_axis(x, axis, new_size, interpolation, antialias)
    return restore(_back_to(x, dtype))


def _resize_axis(x, axis, new_size, interpolation, antialias):
    size = x.shape[axis]
    ratio = new_size / size if is_known(size, new_size) else 1.0  # unknown while symbolic, where only shapes count
    if interpolation == "nearest":
        place = el.floor((iota(size=new_size, dtype="float32") + 0.5) * (1 / ratio))
        return take(x, el.minimum(cast(place, "int32"), size - 1 if is_known(size) else 0), axis=axis)
    return _multiply_along(x, axis, _weights(size, new_size, ratio, 0.0, _KERNELS[interpolation], antialias, x.dtype))


def _back_to(x, dtype):
    """The images in their own dtype: integers are rounded and kept in range."""
    if x.dtype == dtype:
        return x
    if dtype in dtypes.INTS + dtypes.UINTS:
        low, high = dtypes.limits(dtype)
        x = el.minimum(el.maximum(el.round_(x), float(low)), float(high))
    return cast(x, dtype)


def _crop_to_aspect(x, new_height, new_width):
    n, height, width, c = x.shape
    tall = max(min(height, int(width * new_height / new_width)), 1)
    wide = max(min(width, int(height * new_width / new_height)), 1)
    top, left = (height - tall) // 2, (width - wide) // 2
    return slice_(x, starts=(0, top, left, 0), stops=(n, top + tall, left + wide, c), strides=(1,) * 4)


def _pad_to_aspect(x, new_height, new_width, fill_value):
    _, height, width, _ = x.shape
    top = (max(height, int(width * new_height / new_width)) - height) // 2
    left = 0 if top else (max(width, int(height * new_width / new_height)) - width) // 2
    margins = (0, top, left, 0)
    return pad(x, value=fill_value, low=margins, high=margins, interior=(0,) * 4) if top or left else x


# ---- scale and translate ---------------------------------------------------------------------------------------------


def scale_and_translate(images, output_shape, scale, translation, spatial_dims, method, antialias=True):
    """Images stretched by `scale` and moved by `translation` along the axes `spatial_dims`: new = old * scale + translation.

    images: any shape. output_shape: shape of the result. scale, translation: vectors, one number for each of spatial_dims.
    method: "linear", "cubic" (or with bi or tri before), "lanczos3" or "lanczos5". antialias: average over the pixels that
    shrinking merges.
    """
    check_choice("scale_and_translate", "method", method, tuple(_KERNELS))
    x, scale, translation = as_tensor(images), as_tensor(scale), as_tensor(translation)
    dtype = dtypes.float_of(x.dtype)
    if len(output_shape) != x.ndim:
        raise ValueError(
            f"scale_and_translate: `output_shape` {tuple(output_shape)} must have the rank of images of shape {show(x.shape)}."
        )
    axes = [normalize_axes("scale_and_translate", a, x.ndim)[0] for a in spatial_dims]
    if scale.shape != (len(axes),) or translation.shape != (len(axes),):
        raise ValueError(
            f"scale_and_translate: `scale` and `translation` must have shape ({len(axes)},), one number for each of "
            "`spatial_dims`, but have "
            f"{show(scale.shape)} and {show(translation.shape)}."
        )
    x, scale, translation = (cast(t, dtype) for t in (x, scale, translation))
    for i, axis in enumerate(axes):
        matrix = _weights(x.shape[axis], output_shape[axis], scale[i], translation[i], _KERNELS[method], antialias, dtype)
        x = _multiply_along(x, axis, matrix)
    return x
