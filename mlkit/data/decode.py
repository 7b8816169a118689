"""Image files of any common kind as uint8 arrays of one size."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred

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
    file: Any, size: Sequence[int] | None, color_mode: str | None = "rgb", interpolation: str = "bilinear", fit: str = "stretch"
) -> np.ndarray:
    """Read an image file, turn it as its EXIF orientation says, and bring it to a size.

    Large JPEG photos are decoded at a half, quarter or eighth of their size where that still is twice the size wanted. Filters
    take the mean over the pixels that a new one covers, so shrinking does not alias.

    Args:
        file: path or open file.
        size: (height, width).
        color_mode: "grayscale", "rgb" or "rgba"; alpha is dropped in the first two.
        interpolation: "nearest", "bilinear", "bicubic", "area" or "lanczos3".
        fit: "stretch"; "crop", the largest middle part of the aspect ratio wanted; "pad", the whole image with black borders.

    Returns:
        uint8 array (height, width, channels).
    """
    with Image.open(file) as image:
        longest = 2 * max(size)
        image.draft("L" if color_mode == "grayscale" else None, (longest, longest))
        return fitted(image, size, color_mode, interpolation, fit)


def fitted(
    image: Any, size: Sequence[int], color_mode: str, interpolation: str = "bilinear", fit: str = "stretch"
) -> np.ndarray:
    """A Pillow image as `decode_image` gives that of a file."""
    height, width = size
    image = convert_mode(ImageOps.exif_transpose(image), color_mode)
    if image.size != (width, height):
        image = _FITS[fit](image, (width, height), resampling(interpolation))
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


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
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, size)
    canvas.paste(image.resize(inner, resample), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return canvas


_FITS = {"stretch": _stretch, "crop": _crop, "pad": _pad}
