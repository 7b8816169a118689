"""Changes of tones: contrast stretched, histograms equalized, edges sharpened or blurred, bright pixels inverted."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops, random
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, IntOrSequence
from mlkit.layers.argument_checks import as_tuple, positive
from mlkit.layers.augmentation import Augmentation, bounds, chosen, per_image, value_range_of
from mlkit.layers.color import rescaled
from mlkit.objects.seed_generator import Seed


class AutoContrast(Augmentation):
    """Stretches each channel of an image to the whole value range, in inference too."""

    draws, always = False, True

    def __init__(self, value_range: FloatOrSequence = (0, 255), **kwargs: Any):
        super().__init__(**kwargs)
        self.value_range = value_range_of(self, value_range)

    def changed(self, images: Tensor) -> Any:
        axes = (self.rows_axis, self.rows_axis + 1)
        low, high = ops.min(images, axis=axes, keepdims=True), ops.max(images, axis=axes, keepdims=True)
        flat = high == low  # channels of one value stay as they are
        stretched = (images - low) / ops.where(flat, ops.ones_like(low), high - low)
        return ops.where(flat, images, rescaled(stretched, (0, 1), self.value_range))


class Equalization(Augmentation):
    """Spreads values so that their histogram, taken over the channel of all images of the batch, is flat.

    Args:
        bins: number of bins of the histogram.
    """

    draws = False

    def __init__(self, value_range: FloatOrSequence = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range, self.bins = value_range_of(self, value_range), positive(self, bins=bins)

    def changed(self, images: Tensor) -> Any:
        levels = rescaled(images, self.value_range, (0, 255))
        channels = ops.unstack(levels, axis=self.channel_axis)
        equal = ops.stack([self._equalized(c) for c in channels], axis=self.channel_axis)
        return rescaled(ops.cast(equal, images.dtype), (0, 255), self.value_range)

    def _equalized(self, channel):
        bin_of = ops.cast(ops.clip(channel * ((self.bins - 1) / 255), 0, self.bins - 1), "int32")
        flat = ops.reshape(bin_of, (-1,))
        counts = ops.segment_sum(ops.ones_like(flat), flat, num_segments=self.bins)
        below = ops.cumsum(counts)
        first = ops.take(below, ops.argmax(below > 0))
        span = ops.cast(below[-1] - first, "float32")
        table = ops.round(ops.cast(below - first, "float32") * 255 / ops.maximum(span, 1))
        single = ops.sum(ops.cast(counts > 0, "int32")) <= 1
        return ops.where(single, channel, ops.cast(ops.take(table, bin_of), channel.dtype))


class ContrastLimitedAdaptiveHistogramEqualization(Augmentation):
    """Spreads values by the histograms of tiles of each image, blended between tiles, in inference too (CLAHE: Zuiderveld,
    Contrast limited adaptive histogram equalization, 1994).

    Args:
        clip_limit: bins are cut at this many times their mean, and what is cut off is spread over all; 0: no limit.
        tile_grid_size: number of tiles vertically and horizontally.
    """

    draws, always = False, True

    def __init__(
        self,
        value_range: FloatOrSequence = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Sequence[int] = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range_of(self, value_range)
        self.clip_limit, self.tile_grid_size = clip_limit, tile_grid_size

    def changed(self, images: Tensor) -> Any:
        first = self.data_format == "channels_first"
        x = ops.transpose(images, (0, 2, 3, 1)) if first else images
        levels = ops.cast(rescaled(x, self.value_range, (0, 255)), "float32")
        out = rescaled(ops.cast(self._spread(levels), images.dtype), (0, 255), self.value_range)
        return ops.transpose(out, (0, 3, 1, 2)) if first else out

    def _spread(self, levels):
        batch, height, width, channels = levels.shape
        (down, across), tile = self.tile_grid_size, (-(-height // self.tile_grid_size[0]), -(-width // self.tile_grid_size[1]))
        margins = [(0, 0), (0, tile[0] * down - height), (0, tile[1] * across - width), (0, 0)]
        levels = ops.cast(ops.clip(ops.pad(levels, margins, mode="symmetric"), 0, 255), "int32")
        image = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1, 1)) * (down * across * channels)
        channel = ops.arange(channels, dtype="int32")

        def place(row, column):
            """Where the tables of these tiles, one for each channel of an image, have the pixels' entries."""
            tiles = ops.reshape(row, (-1, 1, 1)) * across + ops.reshape(column, (-1, 1))
            return (image + tiles * channels + channel) * 256 + levels

        rows, columns = (ops.arange(n * size, dtype="int32") for n, size in zip((down, across), tile))
        own = ops.reshape(place(rows // tile[0], columns // tile[1]), (-1,))
        counts = ops.segment_sum(
            ops.ones_like(own, dtype="float32"), own, num_segments=batch * (down * across * channels * 256)
        )
        table = ops.reshape(self._tables(ops.reshape(counts, (-1, 256)), tile[0] * tile[1]), (-1,))
        (top, bottom, y), (left, right, x) = _neighbours(rows, tile[0], down), _neighbours(columns, tile[1], across)
        y, x = ops.reshape(y, (-1, 1, 1)), ops.reshape(x, (-1, 1))
        upper, lower = (ops.take(table, place(r, left)) * (1 - x) + ops.take(table, place(r, right)) * x for r in (top, bottom))
        return (upper * (1 - y) + lower * y)[:, :height, :width]

    def _tables(self, counts, pixels):
        """For each histogram of a tile: the new value of each old one."""
        if self.clip_limit > 0:
            cut = ops.minimum(counts, self.clip_limit * pixels / 256)
            counts = cut + ops.sum(counts - cut, axis=-1, keepdims=True) / 256
        below = ops.cumsum(counts, axis=-1)
        least = below[:, :1]
        span = pixels - least
        return ops.clip((below - least) * 255 / ops.where(span == 0, ops.ones_like(span), span), 0, 255)


def _neighbours(places, size, number):
    """(tile before, tile after, weight of the one after) for pixels at these places, by the middles of tiles."""
    at = (ops.cast(places, "float32") - size / 2) / size
    before = ops.floor(at)
    first, second = (ops.cast(ops.clip(tile, 0, number - 1), "int32") for tile in (before, before + 1))
    return first, second, at - before


class RandomSharpness(Augmentation):
    """Moves images away from (factor above 0.5) or towards (below) a smoothed version of themselves.

    Args:
        factor: strength of the change: a number, or a pair (least, greatest) it is drawn from.
    """

    def __init__(
        self,
        factor: FloatOrSequence,
        value_range: FloatOrSequence = (0, 255),
        data_format: str | None = None,
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.value_range = bounds(self, factor, 0), value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        return {"factor": random.uniform((batch,), *self.factor, seed=seed)}

    def changed(self, images: Tensor, factor: Any) -> Any:
        a, b = 1 / 13, 5 / 13
        kernel = ops.convert_to_tensor([[a, a, a], [a, b, a], [a, a, a]], dtype=images.dtype)
        kernel = ops.tile(ops.reshape(kernel, (3, 3, 1, 1)), (1, 1, images.shape[self.channel_axis], 1))
        smooth = ops.depthwise_conv(images, kernel, padding="same", data_format=self.data_format)
        amount = 1 - per_image(ops.cast(factor, images.dtype)) * 2
        return ops.clip(images + amount * (smooth - images), *self.value_range)


class RandomGaussianBlur(Augmentation):
    """Blurs images with a Gaussian, each with a random probability in `factor`.

    Args:
        kernel_size: odd size of the window, or a pair (horizontal, vertical).
        sigma: the standard deviation in pixels is at most this, or between the two of a pair; at most 1.
        factor: probability that an image is changed, a number or a pair.
    """

    def __init__(
        self,
        factor: FloatOrSequence = 1.0,
        kernel_size: IntOrSequence = 3,
        sigma: FloatOrSequence = 1.0,
        value_range: FloatOrSequence = (0, 255),
        data_format: str | None = None,
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.sigma = bounds(self, factor, 0), bounds(self, sigma, 0, name="sigma")
        self.value_range = value_range_of(self, value_range)
        self.kernel_size = as_tuple(kernel_size, 2, "kernel_size")
        if any(n % 2 == 0 for n in self.kernel_size):
            raise ValueError(f"RandomGaussianBlur: `kernel_size` must be an odd number or two, but got {kernel_size!r}.")

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        sigma = random.uniform((2,), *self.sigma, seed=seed) + 1e-6
        return {"should_apply_blur": chosen(batch, self.factor, seed), "blur_factor": sigma}

    def changed(self, images: Tensor, should_apply_blur: Tensor, blur_factor: Tensor) -> Any:
        options = {"kernel_size": self.kernel_size, "data_format": self.data_format}
        blurred = ops.image.gaussian_blur(images, sigma=ops.cast(blur_factor, images.dtype), **options)
        return ops.clip(ops.where(per_image(should_apply_blur), blurred, images), *self.value_range)


class Solarization(Augmentation):
    """Adds a random amount and inverts pixels that are then above a random threshold; both are parts of the value range.

    Args:
        addition_factor: what is added at most, as a part of the value range: a number f for (0, f), or a pair, in [0, 1].
        threshold_factor: likewise, the threshold from which on pixels are inverted.
    """

    def __init__(
        self,
        addition_factor: float = 0.0,
        threshold_factor: float = 0.0,
        value_range: FloatOrSequence = (0, 255),
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, **kwargs)
        self.addition_factor = bounds(self, addition_factor, 0, name="addition_factor")
        self.threshold_factor = bounds(self, threshold_factor, 0, name="threshold_factor")
        self.value_range = value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        factors = {"additions": self.addition_factor, "thresholds": self.threshold_factor}
        return {name: 255 * per_image(random.uniform((batch,), *f, seed=seed)) for name, f in factors.items()}

    def changed(self, images: Tensor, additions: Tensor, thresholds: Tensor) -> Any:
        levels = ops.clip(rescaled(images, self.value_range, (0, 255)) + ops.cast(additions, images.dtype), 0, 255)
        levels = ops.where(levels < ops.cast(thresholds, images.dtype), levels, 255 - levels)
        return rescaled(levels, (0, 255), self.value_range)
