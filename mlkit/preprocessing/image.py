"""Images between files, Pillow and arrays, as in `keras.preprocessing.image`."""

import io
import os
import warnings

import numpy as np
from PIL import Image

from mlkit import ops
from mlkit.core import dtypes
from mlkit.core.settings import image_data_format
from mlkit.data.decode import central_box, convert_mode, resampling


def load_img(
    path, color_mode: str | None = "rgb", target_size=None, interpolation: str = "nearest", keep_aspect_ratio: bool = False
):
    """Read an image file as a Pillow image.

    Args:
        path: path, or an open binary file such as `io.BytesIO`.
        color_mode: "grayscale", "rgb" or "rgba".
        target_size: (height, width) in pixels, or None for the size of the file.
        interpolation: "nearest", "bilinear", "bicubic", "box", "hamming" or "lanczos".
        keep_aspect_ratio: whether to cut the middle part of the right aspect ratio out, and not to distort.

    Returns:
        A `PIL.Image.Image`.
    """
    if not isinstance(path, (str, bytes, os.PathLike, io.IOBase)):
        raise TypeError(f"load_img: `path` must be a path or an open binary file, but is of type {type(path).__name__}.")
    with Image.open(path) as image:
        image.load()
        # 16-bit grey keeps its depth where grey is asked for, as in Keras
        image = image.copy() if color_mode == "grayscale" and image.mode in ("I;16", "I") else convert_mode(image, color_mode)
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    size = (target_size[1], target_size[0])
    return image.resize(size, resampling(interpolation), box=central_box(image.size, size) if keep_aspect_ratio else None)


def img_to_array(img, data_format: str | None = None, dtype=None):
    """A Pillow image as an array.

    Args:
        img: `PIL.Image.Image`, or an array (height, width) or (height, width, channels).
        data_format: "channels_last" or "channels_first"; `mlkit.config.image_data_format()` unless given.
        dtype: the default float type unless given.

    Returns:
        Array (height, width, channels) or (channels, height, width).

    >>> img_to_array(np.zeros((4, 6))).shape
    (4, 6, 1)
    """
    x = np.asarray(img, dtype=dtypes.as_numpy(dtypes.standardize_dtype(dtype or dtypes.floatx())))
    if x.ndim not in (2, 3):
        raise ValueError(f"img_to_array: expected (height, width) or (height, width, channels), but got shape {x.shape}.")
    x = x[:, :, None] if x.ndim == 2 else x
    return x.transpose(2, 0, 1) if _channels_first(data_format) else x


def array_to_img(x, data_format: str | None = None, scale=True, dtype=None):
    """An array as a Pillow image.

    Args:
        x: array (height, width, channels), or (channels, height, width), with 1, 3 or 4 channels.
        data_format: "channels_last" or "channels_first"; `mlkit.config.image_data_format()` unless given.
        scale: whether to stretch the values so that they span 0 to 255.
        dtype: type to calculate in; the default float type unless given.

    Returns:
        A `PIL.Image.Image`.
    """
    x = np.asarray(x, dtype=dtypes.as_numpy(dtypes.standardize_dtype(dtype or dtypes.floatx())))
    if x.ndim != 3:
        raise ValueError(f"array_to_img: expected one image (height, width, channels), but got an array of shape {x.shape}.")
    x = x.transpose(1, 2, 0) if _channels_first(data_format) else x
    if scale:
        x = x - x.min()
        x = x / (x.max() or 1) * 255
    channels = x.shape[2]
    if channels not in (1, 3, 4):
        raise ValueError(f"array_to_img: expected 1, 3 or 4 channels, but the array has {channels}.")
    if channels == 1:
        x = x[:, :, 0]
        return Image.fromarray(x.astype("int32" if x.max() > 255 else "uint8"))
    return Image.fromarray(x.astype("uint8"))


def save_img(path, x, data_format: str | None = None, file_format=None, scale=True, **kwargs):
    """Write an array as an image file.

    Args:
        path: path, or an open binary file.
        x: array (height, width, channels), or (channels, height, width).
        data_format: "channels_last" or "channels_first"; `mlkit.config.image_data_format()` unless given.
        file_format: "png", "jpeg" ...; by the ending of the path unless given.
        scale: whether to stretch the values so that they span 0 to 255.
        **kwargs: options of `PIL.Image.Image.save`, such as `quality`.
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(path)[1][1:]
    file_format = "jpeg" if file_format and file_format.lower() == "jpg" else file_format
    image = array_to_img(x, data_format=data_format, scale=scale)
    if image.mode == "RGBA" and file_format and file_format.lower() == "jpeg":
        warnings.warn("JPEG files have no alpha channel: the image is saved without it.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def smart_resize(x, size, interpolation: str = "bilinear", data_format: str | None = "channels_last"):
    """Resize images without distortion: the largest middle part of the right aspect ratio is cut out and resized.

    Args:
        x: images (height, width, channels) or (batch, height, width, channels), channels first if so said.
        size: (height, width).
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        data_format: "channels_last" or "channels_first".

    Returns:
        Images of that size; a NumPy array where x is one, else a tensor.
    """
    if len(size) != 2:
        raise ValueError(f"smart_resize: `size` must be (height, width), but is {size!r}.")
    if len(x.shape) not in (3, 4):
        raise ValueError(f"smart_resize: expected an image or a batch of images, but got shape {tuple(x.shape)}.")
    made = ops.image.resize(x, size, interpolation=interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return ops.convert_to_numpy(made) if isinstance(x, np.ndarray) else made


def _channels_first(data_format):
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"`data_format` must be 'channels_last' or 'channels_first', but is {data_format!r}.")
    return data_format == "channels_first"
