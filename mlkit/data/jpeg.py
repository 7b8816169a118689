"""JPEG files by simplejpeg, an optional package: the pixels that Pillow makes of them, in half the time."""

import math

import numpy as np

from mlkit.core.deferred import Deferred

Image, simplejpeg = Deferred("PIL.Image"), Deferred("simplejpeg")  # what knows of photos need not have any

_COLORSPACES = {"grayscale": "Gray", "rgb": "RGB", "rgba": "RGBA"}
_ORIENTATION = 0x0112
_HEAD = 1 << 16  # bytes: all of a small file


def jpeg_pixels(path, color_mode: str, least: int | None) -> np.ndarray | None:
    """The pixels (height, width, channels) of a JPEG file, or None where Pillow should read it.

    That is so where the file is broken, of another kind, has other colours than most, is to be turned, or is larger than Pillow allows.
    least: pixels that both sides need, so that an image may be decoded at a half, quarter or eighth of its size; None: in full.
    """
    with open(path, "rb", buffering=0) as file:
        data = file.read(_HEAD)
        if not data.startswith(b"\xff\xd8"):
            return None
        if len(data) == _HEAD:
            data += file.readall()
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        usual = colorspace in ("YCbCr", "Gray") and height * width <= (Image.MAX_IMAGE_PIXELS or math.inf)
        if not usual or _is_turned(data):
            return None
        part = 1 if least is None else _part(min(height, width) // least)
        if part == 1:
            return simplejpeg.decode_jpeg(data, _COLORSPACES[color_mode])
        return simplejpeg.decode_jpeg(
            data, _COLORSPACES[color_mode], min_height=-(-height // part), min_width=-(-width // part), min_factor=1
        )
    except ValueError:  # Pillow decides, and says what is wrong
        return None


def _part(most):
    """The largest of 1, 2, 4 and 8 up to a number."""
    return next(n for n in (8, 4, 2, 1) if n <= max(most, 1))


def _is_turned(data):
    """Whether what is said of the image, before it begins, tells which way is up. (XMP may, in words.)"""
    start = 2
    while start + 4 <= len(data) and data[start] == 0xFF and data[start + 1] != 0xDA:
        kind, length = data[start + 1], int.from_bytes(data[start + 2 : start + 4], "big")
        segment = data[start + 4 : start + 2 + length]
        if kind == 0xE1:
            if not segment.startswith(b"Exif\0\0"):
                return b"Orientation" in segment
            exif = Image.Exif()
            exif.load(segment)
            if exif.get(_ORIENTATION, 1) != 1:
                return True
        start += 2 + length
    return False
