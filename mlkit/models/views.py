"""Augmentation at test time: an image is judged in several views, and what is said of them is averaged."""

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["check_views", "views"]


def check_views(augment: Any, times: int) -> None:
    """Raise ValueError for what `views` cannot do."""
    if isinstance(augment, str) and augment != "flip":
        raise ValueError(f"augment must be None, 'flip', a layer or a list of layers, but is {augment!r}.")
    if not isinstance(times, (int, np.integer)) or times < 1:
        raise ValueError(f"times must be a whole number from 1 on, but is {times!r}.")


def views(images: Any, augment: Any, times: int = 4) -> Iterator[Any]:
    """The images, and then what augmentation makes of them.

    augment: None for the images alone; "flip" for their mirror images besides; a layer, or a list of layers, for `times - 1` changes.

    >>> [v.ravel().tolist() for v in views(np.arange(2.0).reshape(1, 1, 2, 1), "flip")]
    [[0.0, 1.0], [1.0, 0.0]]
    """
    yield images
    if augment is None:
        return
    if isinstance(augment, str):
        yield np.ascontiguousarray(np.asarray(images)[:, :, ::-1])
        return
    for _ in range(times - 1):
        changed = images
        for layer in augment if isinstance(augment, (list, tuple)) else [augment]:
            changed = layer(changed, training=True)
        yield np.asarray(changed)
