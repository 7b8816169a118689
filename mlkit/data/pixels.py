"""Arrays of pixels brought to another size by sampling between them, with the numbers that Keras gives."""

import functools
import math
import threading

import numpy as np

from mlkit.ops import convert_to_tensor
from mlkit.primitives.interpolation import KERNELS

RADIUS = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
SAMPLED = ("nearest", *RADIUS, "area")

_CACHED = 1 << 16  # weights that stay in a core's cache


def resized(pixels: np.ndarray, size: tuple[int, int], interpolation: str, out: np.ndarray | None = None) -> np.ndarray:
    """Pixels (height, width, channels) as float32 of another size (height, width), in `out` if given.

    Each new pixel is weighted from the few around its place, however much the image shrinks, as in Keras's
    `image_dataset_from_directory` and `ops.image.resize(antialias=False)`; with "area" it is the mean of what it covers.

    >>> resized(np.array([[[0], [100]]], "uint8"), (1, 4), "bilinear")[0, :, 0].tolist()
    [0.0, 25.0, 75.0, 100.0]
    """
    kind = (pixels.shape, pixels.dtype, size, interpolation)
    if getattr(_last, "kind", None) != kind:
        _last.kind, _last.way = kind, _Way(*kind)
    out = np.empty((*size, pixels.shape[2]), "float32") if out is None else out
    _last.way(pixels, out)
    return out


_last = threading.local()  # images of a folder are often of one size: what one needs on its way lies ready for the next


class _Way:
    """How images of one shape become images of another, with memory for what lies between: some rows at a time, which a cache holds.
    For one thread."""

    def __init__(self, shape, dtype, size, interpolation):
        height, width, channels = shape
        self.flat, self.size = (height, width * channels), (size[0], size[1] * channels)
        self.step = min(size[0], max(1, _CACHED // self.flat[1]))
        self.rows = self._of_rows(height, size[0], interpolation) if height != size[0] else None
        self.columns = _taps(width, size[1], interpolation, channels) if width != size[1] else None
        self.taken = np.empty((self.step, self.flat[1]), dtype)
        self.part, self.between = np.empty((2, *self.taken.shape), "float32")
        self.piece = np.empty((self.step, self.size[1]), "float32")

    def _of_rows(self, old, new, interpolation):
        places, weights = _taps(old, new, interpolation, 1)
        weights = weights[:, :, None]
        # twice as fast as weights that are broadcast, where a cache holds all of them
        return places, np.repeat(weights, self.flat[1], 2) if self.step == new else weights

    def __call__(self, pixels, out):
        rows, result = pixels.reshape(self.flat), out.reshape(self.size)
        for start in range(0, self.size[0], self.step):
            stop = min(start + self.step, self.size[0])
            self._to_width(self._of_height(rows, start, stop, result[start:stop]), result[start:stop])

    def _of_height(self, rows, start, stop, result):
        """Rows from start to stop of the new height, in the old width; result: where they go if that is the new one."""
        if self.rows is None:
            return rows[start:stop]
        count, places, weights = stop - start, *self.rows
        total = self.between[:count] if self.columns is not None else result
        for i, (place, weight) in enumerate(zip(places, weights)):
            part, taken = self.part[:count] if i else total, self.taken[:count]
            rows.take(place[start:stop], 0, taken, "clip")
            np.copyto(part, taken)
            part *= weight[start:stop]
            if i:
                total += part
        return total

    def _to_width(self, rows, result):
        if self.columns is None:
            if self.rows is None:
                np.copyto(result, rows)
            return
        if rows.dtype != np.float32:
            np.copyto(self.between[: len(rows)], rows)
            rows = self.between[: len(rows)]
        for i, (place, weight) in enumerate(zip(*self.columns)):
            part = self.piece[: len(rows)] if i else result
            rows.take(place, 1, part, "clip")
            part *= weight
            if i:
                result += part


@functools.lru_cache(maxsize=512)
def _taps(old, new, interpolation, channels):
    """Where new samples come from, and with which weights: two arrays (samples that one is made of, new samples * channels)."""
    step = old / new
    centre = (np.arange(new) + 0.5) * step - 0.5
    if interpolation == "nearest":
        places, weights = np.floor(centre + 0.5)[None], np.ones((1, new))
    elif interpolation == "area":
        low, high = np.arange(new) * step, np.arange(1, new + 1) * step
        places = np.floor(low) + np.arange(math.ceil(step) + 1)[:, None]
        weights = np.clip(np.minimum(places + 1, high) - np.maximum(places, low), 0, None)
    else:
        radius = RADIUS[interpolation]
        places = np.floor(centre) + np.arange(1 - radius, radius + 1)[:, None]
        weights = KERNELS[interpolation](convert_to_tensor(np.abs(places - centre).astype("float32"))).numpy().astype("float64")
        if interpolation != "bilinear":  # its samples beyond the edge are the edge
            weights *= (places >= 0) & (places < old)
    places = np.clip(places, 0, old - 1).astype("intp")
    weights = (weights / weights.sum(axis=0)).astype("float32")
    places = (places[..., None] * channels + np.arange(channels)).reshape(len(places), -1)
    return places, np.repeat(weights, channels, axis=1)
