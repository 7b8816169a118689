"""Margins of images: added and cut off."""

from mlkit.core.spec import is_known
from mlkit.ops.image.layout import as_batch
from mlkit.ops.movement import pad, reshape, slice_

__all__ = ["crop_images", "pad_images"]


def _check_two(name, **sizes):
    """Of the two margins and the target size of an axis exactly two are given, and none is negative."""
    listed = ", ".join(f"{k}={v}" for k, v in sizes.items())
    if list(sizes.values()).count(None) != 1:
        raise ValueError(f"{name}: exactly two of {', '.join(sizes)} must be given, but got {listed}.")
    if any(v is not None and v < 0 for v in sizes.values()):
        raise ValueError(f"{name}: sizes must not be negative, but got {listed}.")


def _check_margins(name, margins, x):
    if any(is_known(m) and m < 0 for m in margins):
        raise ValueError(
            f"{name}: the target does not fit images of {x.shape[1]} x {x.shape[2]} pixels: margins {margins} would be "
            "negative."
        )


def pad_images(
    images,
    top_padding=None,
    left_padding=None,
    bottom_padding=None,
    right_padding=None,
    target_height=None,
    target_width=None,
    data_format=None,
):
    """Zeros around images. Of (top_padding, bottom_padding, target_height) two are given, and so of the other three.

    >>> pad_images([[[1.0]]], top_padding=1, left_padding=0, target_height=2, target_width=2).numpy()[..., 0]
    array([[0., 0.],
           [1., 0.]], dtype=float32)
    """
    x, restore = as_batch("pad_images", images, data_format)
    _check_two("pad_images", top_padding=top_padding, bottom_padding=bottom_padding, target_height=target_height)
    _check_two("pad_images", left_padding=left_padding, right_padding=right_padding, target_width=target_width)
    top, bottom, height = _solve(x.shape[1], top_padding, bottom_padding, target_height)
    left, right, width = _solve(x.shape[2], left_padding, right_padding, target_width)
    _check_margins("pad_images", (top, bottom, left, right), x)
    y = pad(x, value=0, low=(0, top, left, 0), high=(0, bottom, right, 0), interior=(0,) * 4)
    return restore(reshape(y, shape=(x.shape[0], height, width, x.shape[3])))


def _solve(size, before, after, target):
    """before + size + after = target, for the one that is None."""
    if target is None:
        return before, after, before + size + after
    if before is None:
        return target - after - size, after, target
    return before, target - before - size, target


def crop_images(
    images,
    top_cropping=None,
    left_cropping=None,
    bottom_cropping=None,
    right_cropping=None,
    target_height=None,
    target_width=None,
    data_format=None,
):
    """Images without margins. Of (top_cropping, bottom_cropping, target_height) two are given, and so of the other three."""
    x, restore = as_batch("crop_images", images, data_format)
    _check_two("crop_images", top_cropping=top_cropping, bottom_cropping=bottom_cropping, target_height=target_height)
    _check_two("crop_images", left_cropping=left_cropping, right_cropping=right_cropping, target_width=target_width)
    n, height, width, c = x.shape
    top = height - target_height - bottom_cropping if top_cropping is None else top_cropping
    left = width - target_width - right_cropping if left_cropping is None else left_cropping
    tall = height - bottom_cropping - top if target_height is None else target_height
    wide = width - right_cropping - left if target_width is None else target_width
    _check_margins("crop_images", (top, left, tall, wide, height - top - tall, width - left - wide), x)
    return restore(slice_(x, starts=(0, top, left, 0), stops=(n, top + tall, left + wide, c), strides=(1,) * 4))
