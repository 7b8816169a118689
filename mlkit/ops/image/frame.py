"""Margins of images: added and cut off."""

from collections.abc import Iterator, Sequence
from typing import Any

from mlkit.core.spec import Size, is_known, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.ops.image.layout import as_batch
from mlkit.primitives.movement import pad, slice_
from mlkit.primitives.shape import reshape

__all__ = ["crop_images", "pad_images"]


def _two(name: str, **sizes: int | None) -> Iterator[Any]:
    """The two margins and the target size of an axis, of which exactly two are given, and None."""
    if list(sizes.values()).count(None) != 1:
        listed = ", ".join(f"{k}={v}" for k, v in sizes.items())
        raise ValueError(f"{name}: exactly two of {', '.join(sizes)} must be given, but got {listed}.")
    return (None if v is None else whole(name, f"`{k}`", v, least=0) for k, v in sizes.items())


def _check_margins(name: str, margins: Sequence[Size], x: Tensor) -> None:
    if any(is_known(m) and m < 0 for m in margins):
        raise ValueError(
            f"{name}: the target does not fit images of {x.shape[1]} x {x.shape[2]} pixels: margins {margins} would be "
            "negative."
        )


def pad_images(
    images: TensorLike,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Zeros around images. Of (top_padding, bottom_padding, target_height) two are given, and so of the other three.

    Args:
        top_padding, left_padding, bottom_padding, right_padding: rows or columns of zeros to add.
        target_height, target_width: pixels of the result.

    >>> pad_images([[[1.0]]], top_padding=1, left_padding=0, target_height=2, target_width=2).numpy()[..., 0]
    array([[0., 0.],
           [1., 0.]], dtype=float32)
    """
    x, restore = as_batch("pad_images", images, data_format)
    tall = _two("pad_images", top_padding=top_padding, bottom_padding=bottom_padding, target_height=target_height)
    wide = _two("pad_images", left_padding=left_padding, right_padding=right_padding, target_width=target_width)
    (top, bottom, height), (left, right, width) = _solve(x.shape[1], *tall), _solve(x.shape[2], *wide)
    _check_margins("pad_images", (top, bottom, left, right), x)
    y = pad(x, value=0, low=(0, top, left, 0), high=(0, bottom, right, 0), interior=(0,) * 4)
    return restore(reshape(y, shape=(x.shape[0], height, width, x.shape[3])))


def _solve(size: Size, before: Any, after: Any, target: Any) -> tuple[Any, Any, Any]:
    """before + size + after = target, for the one that is None."""
    if target is None:
        return before, after, before + size + after
    if before is None:
        return target - after - size, after, target
    return before, target - before - size, target


def crop_images(
    images: TensorLike,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without margins. Of (top_cropping, bottom_cropping, target_height) two are given, and so of the other three.

    Args:
        top_cropping, left_cropping, bottom_cropping, right_cropping: rows or columns of pixels to take away.
        target_height, target_width: pixels that remain.
    """
    x, restore = as_batch("crop_images", images, data_format)
    top, bottom, tall = _two(
        "crop_images", top_cropping=top_cropping, bottom_cropping=bottom_cropping, target_height=target_height
    )
    left, right, wide = _two(
        "crop_images", left_cropping=left_cropping, right_cropping=right_cropping, target_width=target_width
    )
    n, height, width, c = x.shape
    top = height - tall - bottom if top is None else top
    left = width - wide - right if left is None else left
    tall = height - bottom - top if tall is None else tall
    wide = width - right - left if wide is None else wide
    _check_margins("crop_images", (top, left, tall, wide, height - top - tall, width - left - wide), x)
    return restore(slice_(x, starts=(0, top, left, 0), stops=(n, top + tall, left + wide, c), strides=(1,) * 4))
