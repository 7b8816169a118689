"""Images of another size, by separable interpolation."""

from collections.abc import Sequence

from mlkit.core import dtypes
from mlkit.core.spec import Dim, Size, is_known, normalize_axis, require_elements, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import ShapeLike, TensorLike
from mlkit.ops.image.layout import as_batch, check_choice
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_shape, as_tensor, cast, require_real
from mlkit.primitives.fused import resample
from mlkit.primitives.interpolation import KERNELS, multiply_along, weights
from mlkit.primitives.movement import pad, slice_

__all__ = ["resize", "scale_and_translate"]


_RESIZE = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")


# ---- resize ----------------------------------------------------------------------------------------------------------


def resize(
    images: TensorLike,
    size: ShapeLike,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: TensorLike = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images of size (height, width).

    Cubic: Keys, IEEE Trans. ASSP 29 (1981); Lanczos: Duchon, Journal of Applied Meteorology 18 (1979).

    Args:
        images: (height, width, channels), (batch, height, width, channels), or with channels first.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        antialias: average over the pixels that shrinking merges.
        crop_to_aspect_ratio: cut the image to the aspect ratio of `size` first.
        pad_to_aspect_ratio: or fill it up with fill_value.
        size: (height, width) in pixels.
        fill_mode: "constant": what `pad_to_aspect_ratio` fills up with is fill_value.
        fill_value: the value of added pixels.

    Integer images are rounded.

    >>> resize([[[0.0], [1.0]]], (1, 4)).numpy()[0, :, 0]
    array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    check_choice("resize", "interpolation", interpolation, _RESIZE)
    check_choice("resize", "fill_mode", fill_mode, ("constant",))
    size = as_shape("resize", size, least=1)
    if len(size) != 2:
        raise ValueError(f"resize: `size` must be two positive integers (height, width), but got {size}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True.")
    x, restore = as_batch("resize", images, data_format)
    require_real("resize", x)
    dtype = x.dtype
    if is_known(*x.shape[1:3], *size):  # else only the shape of the result is asked for
        if crop_to_aspect_ratio:
            x = _crop_to_aspect(x, *size)
        elif pad_to_aspect_ratio:
            x = _pad_to_aspect(x, *size, fill_value)
    return restore(_back_to(_resized(x, size, interpolation, antialias), dtype))


def _resized(x: Tensor, size: Sequence[Size], interpolation: str, antialias: bool) -> Tensor:
    if tuple(x.shape[1:3]) == size:
        return x
    require_elements("resize", x.shape, (1, 2))
    if interpolation == "nearest":
        return resample(x, size=size, method="nearest")
    pairs, wide = list(zip((1, 2), x.shape[1:3], size)), dtypes.float_of(x.dtype)
    if interpolation == "bilinear" and not (antialias and any(new < old for _, old, new in pairs if is_known(old, new))):
        return resample(cast(x, wide), size=size, method="linear")
    x = cast(x, dtypes.result_type(wide, "float32"))
    for axis, old, new in pairs:
        if old != new:
            scale = new / old if is_known(old, new) else 1.0  # unknown while symbolic, where only shapes count
            x = multiply_along(x, axis, weights(old, new, scale, 0.0, KERNELS[interpolation], antialias, x.dtype))
    return x


def _back_to(x: Tensor, dtype: str) -> Tensor:
    """The images in their own dtype: integers are rounded and kept in range."""
    if x.dtype == dtype:
        return x
    if dtype in dtypes.INTS + dtypes.UINTS:
        low, high = dtypes.limits(dtype)
        x = el.minimum(el.maximum(el.round_(x), float(low)), float(high))
    return cast(x, dtype)


def _crop_to_aspect(x: Tensor, new_height: int, new_width: int) -> Tensor:
    n, height, width, c = x.shape
    tall = max(min(height, int(width * new_height / new_width)), 1)
    wide = max(min(width, int(height * new_width / new_height)), 1)
    top, left = (height - tall) // 2, (width - wide) // 2
    return slice_(x, starts=(0, top, left, 0), stops=(n, top + tall, left + wide, c), strides=(1,) * 4)


def _pad_to_aspect(x: Tensor, new_height: int, new_width: int, fill_value: TensorLike) -> Tensor:
    _, height, width, _ = x.shape
    top = (max(height, int(width * new_height / new_width)) - height) // 2
    left = 0 if top else (max(width, int(height * new_width / new_height)) - width) // 2
    margins = (0, top, left, 0)
    return (
        pad(x, value=dtypes.as_number(fill_value, x.dtype), low=margins, high=margins, interior=(0,) * 4) if top or left else x
    )


# ---- scale and translate ---------------------------------------------------------------------------------------------


def scale_and_translate(
    images: TensorLike,
    output_shape: ShapeLike,
    scale: TensorLike,
    translation: TensorLike,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """Images stretched by `scale` and moved by `translation` along the axes `spatial_dims`: new = old * scale + translation.

    Args:
        images: any shape.
        output_shape: shape of the result.
        scale, translation: vectors, one number for each of spatial_dims.
        method: "linear", "cubic" (or with bi or tri before), "lanczos3" or "lanczos5".
        antialias: average over the pixels that shrinking merges.
        spatial_dims: the axes, a tuple of ints.
    """
    check_choice("scale_and_translate", "method", method, tuple(KERNELS))
    x, scale, translation = as_tensor(images), as_tensor(scale), as_tensor(translation)
    require_real("scale_and_translate", x, scale, translation)
    dtype = dtypes.float_of(x.dtype)
    if isinstance(output_shape, (list, tuple)):
        output_shape = [Dim() if s is None else s for s in output_shape]
    output_shape = as_shape("scale_and_translate", output_shape)
    if len(output_shape) != x.ndim:
        raise ValueError(
            f"scale_and_translate: `output_shape` {tuple(output_shape)} must have the rank of images of shape {show(x.shape)}."
        )
    axes = [normalize_axis("scale_and_translate", a, x.ndim) for a in spatial_dims]
    if scale.shape != (len(axes),) or translation.shape != (len(axes),):
        raise ValueError(
            f"scale_and_translate: `scale` and `translation` must have shape ({len(axes)},), one number for each of "
            "`spatial_dims`, but have "
            f"{show(scale.shape)} and {show(translation.shape)}."
        )
    x, scale, translation = (cast(t, dtype) for t in (x, scale, translation))
    for i, axis in enumerate(axes):
        matrix = weights(x.shape[axis], output_shape[axis], scale[i], translation[i], KERNELS[method], antialias, dtype)
        x = multiply_along(x, axis, matrix)
    return x
