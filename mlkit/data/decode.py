"""Image files of any common kind as arrays of one size."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred, is_installed
from mlkit.data import jpeg
from mlkit.data.pixels import SAMPLED, resized

Image, ImageOps = Deferred("PIL.Image"), Deferred("PIL.ImageOps")  # what knows of photos need not have any

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_FILTERS = {
    "nearest": "NEAREST",
    "bilinear": "BILINEAR",
    "bicubic": "BICUBIC",
    "hamming": "HAMMING",
    "box": "BOX",
    "area": "BOX",
    "lanczos": "LANCZOS",
    "lanczos3": "LANCZOS",
}


def resampling(interpolation):
    """Pillow's filter of this name."""
    name = _FILTERS.get(str(interpolation).lower())
    if name is None:
        raise ValueError(f"interpolation={interpolation!r} is not supported. Expected one of: {', '.join(_FILTERS)}.")
    return getattr(Image.Resampling, name)


def check_interpolation(interpolation: str, antialias: bool) -> None:
    """Raise ValueError unless images can be brought to another size this way."""
    if antialias:
        resampling(interpolation)
    elif interpolation not in SAMPLED:
        raise ValueError(f"interpolation={interpolation!r} is not supported. Expected one of: {', '.join(SAMPLED)}.")


def unreadable():
    """The exceptions that Pillow raises for broken files."""
    return OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError


def check_color_mode(color_mode: str) -> None:
    """Raise ValueError unless it is one of the three colour modes."""
    if color_mode not in _MODES:
        raise ValueError(f"`color_mode` must be 'grayscale', 'rgb' or 'rgba', but is {color_mode!r}.")


def convert_mode(image, color_mode):
    """A Pillow image in one of the three colour modes: palettes, CMYK, alpha and 16 bits are resolved."""
    check_color_mode(color_mode)
    if image.mode.startswith("I;16"):  # Pillow would clip 16-bit grey at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
    if image.mode == "P" and "transparency" in image.info and color_mode != "rgba":
        image = image.convert("RGBA")  # else Pillow warns; alpha is dropped below
    return image if image.mode == _MODES[color_mode] else image.convert(_MODES[color_mode])


def decode_image(
    file: Any,
    size: Sequence[int],
    color_mode: str = "rgb",
    interpolation: str = "bilinear",
    fit: str = "stretch",
    antialias: bool = True,
) -> np.ndarray:
    """Read an image file, turn it as its EXIF orientation says, and bring it to a size.

    JPEG files are read by simplejpeg where that is installed, which gives what Pillow gives.

    Args:
        file: path or open file.
        size: (height, width).
        color_mode: "grayscale", "rgb" or "rgba"; alpha is dropped in the first two.
        interpolation: "nearest", "bilinear", "bicubic", "area" or "lanczos3".
        fit: "stretch"; "crop", the largest middle part of the aspect ratio wanted; "pad", the whole image with black borders.
        antialias: whether filters take the mean over the pixels that a new one covers. Large JPEG photos are then decoded at a
            half, quarter or eighth of their size where that still is twice the size wanted. Else a new pixel is sampled from the
            few around its place, as in Keras.

    Returns:
        Array (height, width, channels): float32 where pixels were sampled, else uint8.
    """
    least = 2 * max(size) if antialias else None
    if is_installed("simplejpeg") and isinstance(file, (str, bytes, os.PathLike)):
        pixels = jpeg.jpeg_pixels(file, color_mode, least)
        if pixels is not None:
            if not antialias:
                return _sampled(pixels, size, interpolation, fit)
            image = Image.fromarray(pixels.squeeze(2) if color_mode == "grayscale" else pixels)
            return fitted(image, size, color_mode, interpolation, fit)
    with Image.open(file) as image:
        image.draft("L" if color_mode == "grayscale" else None, (least, least) if least else None)
        return fitted(image, size, color_mode, interpolation, fit, antialias)


def fitted(
    image: Any,
    size: Sequence[int],
    color_mode: str,
    interpolation: str = "bilinear",
    fit: str = "stretch",
    antialias: bool = True,
) -> np.ndarray:
    """A Pillow image as `decode_image` gives that of a file."""
    height, width = size
    image = convert_mode(ImageOps.exif_transpose(image), color_mode)
    if antialias and image.size != (width, height):
        image = _FITS[fit](image, (width, height), resampling(interpolation))
    array = np.asarray(image)
    array = array[:, :, None] if array.ndim == 2 else array
    return array if antialias else _sampled(array, size, interpolation, fit)


def _stretch(image, size, resample):
    return image.resize(size, resample)


def _crop(image, size, resample):
    return image.resize(size, resample, box=central_box(image.size, size))


def central_box(size, target):
    """(left, top, right, bottom) of the largest middle part of an image that has the aspect ratio of `target`.

    >>> central_box((400, 200), (100, 100))
    (100, 0, 300, 200)
    """
    (width, height), (target_width, target_height) = size, target
    part_width = min(width, max(1, height * target_width // target_height))
    part_height = min(height, max(1, width * target_height // target_width))
    left, top = (width - part_width) // 2, (height - part_height) // 2
    return left, top, left + part_width, top + part_height


def _pad(image, size, resample):
    inner, corner = inner_box(image.size, size)
    canvas = Image.new(image.mode, size)
    canvas.paste(image.resize(inner, resample), corner)
    return canvas


def inner_box(size, target):
    """(width, height) of the largest image of the aspect ratio of `size` within `target`, and its (left, top) there.

    >>> inner_box((400, 200), (100, 100))
    ((100, 50), (0, 25))
    """
    (width, height), (target_width, target_height) = size, target
    narrow, low = width * target_height, height * target_width  # equal where the aspect ratio is the one wanted
    if narrow <= low:
        return (max(1, narrow // height), target_height), ((low - narrow) // (2 * height), 0)
    return (target_width, max(1, low // width)), (0, (narrow - low) // (2 * width))


_FITS = {"stretch": _stretch, "crop": _crop, "pad": _pad}


def _sampled(pixels, size, interpolation, fit):
    """Pixels (height, width, channels) of one of the `_FITS`, sampled."""
    (height, width, channels), target = pixels.shape, (size[1], size[0])
    if fit == "crop":
        left, top, right, bottom = central_box((width, height), target)
        pixels = np.ascontiguousarray(pixels[top:bottom, left:right])
    if fit != "pad":
        return resized(pixels, size, interpolation)
    inner, (left, top) = inner_box((width, height), target)
    canvas = np.zeros((*size, channels), "float32")
    canvas[top : top + inner[1], left : left + inner[0]] = resized(pixels, inner[::-1], interpolation)
    return canvas
