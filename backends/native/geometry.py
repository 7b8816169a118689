"""Where the windows of convolution and pooling lie."""

import itertools

from mlkit.core.machine import threshold
from mlkit.core.spec import window_padding

BLOCK_BYTES = threshold("columns_at_a_time")


class Geometry:
    """Where the windows of a convolution lie: padding and sizes for one input shape."""

    def __init__(self, shape, window, strides, padding, dilation):
        self.shape, self.window, self.strides, self.dilation = shape, window, strides, dilation
        axes = list(enumerate(zip(shape[1:-1], window, strides, dilation)))
        self.pads = [window_padding(padding, i, n, k, s, d) for i, (n, k, s, d) in axes]
        self.padded = tuple(n + a + b for n, (a, b) in zip(shape[1:-1], self.pads))
        self.out = tuple((m - (k - 1) * d - 1) // s + 1 for m, k, s, d in zip(self.padded, window, strides, dilation))
        if any(n < 1 for n in self.out) and 0 not in shape:
            raise ValueError(f"the window {tuple(window)} does not fit into the input of shape {tuple(shape)}")

    @property
    def is_padded(self):
        return any(a or b for a, b in self.pads)

    def pad(self, xp, x, value=0):
        """x with its margins."""
        if not self.is_padded:
            return x
        out = xp.full((x.shape[0], *self.padded, x.shape[-1]), value, x.dtype)
        out[self.inner] = x
        return out

    def zeros(self, xp, x):
        """Zeros in the padded size of x: x itself if there are no margins."""
        if self.is_padded:
            return xp.zeros((x.shape[0], *self.padded, x.shape[-1]), x.dtype)
        x.fill(0)
        return x

    def crop_into(self, x, padded):
        """Copy what lies between the margins to x."""
        if self.is_padded:
            x[...] = padded[self.inner]

    @property
    def inner(self):
        """Index of the unpadded part."""
        return (slice(None), *(slice(a, a + n) for n, (a, _) in zip(self.shape[1:-1], self.pads)))

    def taps(self):
        """For each cell of the window: its position, and the index of the padded elements that it meets."""
        for tap in itertools.product(*map(range, self.window)):
            places = zip(tap, self.out, self.strides, self.dilation)
            yield tap, (slice(None), *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in places))

    def blocks(self, images, bytes_per_image):
        """Slices of the batch whose columns fit in the cache."""
        step = max(1, BLOCK_BYTES // max(bytes_per_image, 1))
        return [slice(i, min(i + step, images)) for i in range(0, images, step)]

    def windows(self, xp, x, order="positions"):
        """A view of (padded) x with an axis for each spatial axis of the window: (batch, *positions, *window, channels), or in
        the order "window" (*window, channels, batch, *positions)."""
        steps = tuple(a * s for a, s in zip(x.strides[1:-1], self.strides))
        inner = tuple(a * d for a, d in zip(x.strides[1:-1], self.dilation))
        outer = (x.shape[0], *self.out), (x.strides[0], *steps)
        cell = (*self.window, x.shape[-1]), (*inner, x.strides[-1])
        first, second = (outer, cell) if order == "positions" else (cell, outer)
        return xp.lib.stride_tricks.as_strided(x, first[0] + second[0], first[1] + second[1])

    @property
    def is_disjoint(self):
        """Whether no two windows share a cell."""
        return all(s >= (k - 1) * d + 1 for k, s, d in zip(self.window, self.strides, self.dilation))


def writing(function):
    """A kernel from a function whose `out` may be given memory for the result."""

    def kernel(*args, **params):
        return function(*args, **params)

    kernel.into = function
    return kernel
