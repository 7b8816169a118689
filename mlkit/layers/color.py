"""Random changes of colors: brightness, contrast, hue, saturation and the like. Positions stay as they are."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops, random
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence
from mlkit.layers.augmentation import Augmentation, bounds, chosen, per_image, value_range_of
from mlkit.objects.seed_generator import Seed


def rescaled(images: Tensor, source: Sequence[float], target: Sequence[float]) -> Tensor:
    """Values of the range `source` mapped to the range `target`."""
    if tuple(source) == tuple(target):
        return images
    (a, b), (c, d) = source, target
    return (images - a) * ((d - c) / (b - a)) + c


class RandomBrightness(Augmentation):
    """Adds a random number to all pixels of an image: a part of the value range between -factor and factor.

    Args:
        factor: strength of the change: a number, or a pair (least, greatest) it is drawn from.
    """

    def __init__(self, factor: FloatOrSequence, value_range: FloatOrSequence = (0, 255), seed: Seed = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self.factor, self.value_range = bounds(self, factor), value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        low, high = self.value_range
        return {"rgb_delta": per_image(random.uniform((batch,), *self.factor, seed=seed)) * (high - low)}

    def changed(self, images: Tensor, rgb_delta: Tensor) -> Any:
        return ops.clip(images + ops.cast(rgb_delta, images.dtype), *self.value_range)


class RandomContrast(Augmentation):
    """Scales the distance of pixels from the mean of their channel by a random factor in (1 - low, 1 + high).

    Args:
        factor: strength of the change: a number, or a pair (least, greatest) it is drawn from.
    """

    def __init__(self, factor: FloatOrSequence, value_range: FloatOrSequence = (0, 255), seed: Seed = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self.factor, self.value_range = bounds(self, factor, 0), value_range_of(self, value_range)
        self._span = (1.0 - self.factor[0], 1.0 + self.factor[1])

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        return {"contrast_factor": per_image(random.uniform((batch,), *self._span, seed=seed))}

    def changed(self, images: Tensor, contrast_factor: Tensor) -> Any:
        mean = ops.mean(images, axis=(self.rows_axis, self.rows_axis + 1), keepdims=True)
        return ops.clip((images - mean) * ops.cast(contrast_factor, images.dtype) + mean, *self.value_range)


class RandomColorDegeneration(Augmentation):
    """Fades colors: 0 keeps the image, 1 makes it gray, by a random factor.

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
        self.factor, self.value_range = bounds(self, factor), value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        return {"factor": per_image(random.uniform((batch,), *self.factor, seed=seed))}

    def changed(self, images: Tensor, factor: Tensor) -> Any:
        gray = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        return ops.clip(images + ops.cast(factor, images.dtype) * (gray - images), *self.value_range)


class RandomGrayscale(Augmentation):
    """Makes images gray with the probability `factor`; they keep three channels.

    Args:
        factor: the probability.
    """

    def __init__(self, factor: FloatOrSequence = 0.5, data_format: str | None = None, seed: Seed = None, **kwargs: Any):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        bounds(self, factor, 0)
        self.factor = factor

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        return {"chosen": random.uniform((batch,), seed=seed) < self.factor}

    def changed(self, images: Tensor, chosen: Tensor) -> Any:
        return ops.where(per_image(chosen), ops.image.rgb_to_grayscale(images, data_format=self.data_format), images)


class RandomHue(Augmentation):
    """Turns hues by a random part of half a turn, up to `factor` in either direction.

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
        sign = ops.where(random.uniform((batch,), seed=seed) > 0.5, -1.0, 1.0)
        return {"factor": sign * random.uniform((batch,), *self.factor, seed=seed) * 0.5}

    def changed(self, images: Tensor, factor: Tensor) -> Any:
        images = ops.image.rgb_to_hsv(rescaled(images, self.value_range, (0, 1)), data_format=self.data_format)
        hue, *others = ops.split(images, 3, axis=self.channel_axis)
        turned = (hue + per_image(ops.cast(factor, images.dtype))) % 1
        images = ops.image.hsv_to_rgb(ops.concatenate([turned, *others], axis=self.channel_axis), data_format=self.data_format)
        return rescaled(ops.clip(images, 0, 1), (0, 1), self.value_range)


class RandomSaturation(Augmentation):
    """Multiplies saturation by f / (1 - f), f random in `factor`: 0 makes images gray, 0.5 keeps them, 1 saturates them.

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
        self.factor, self.value_range = bounds(self, factor), value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        factor = random.uniform((batch,), *self.factor, seed=seed)
        return {"factor": factor / (1 - factor + 1e-7)}

    def changed(self, images: Tensor, factor: Tensor) -> Any:
        images = ops.image.rgb_to_hsv(rescaled(images, self.value_range, (0, 1)), data_format=self.data_format)
        hue, saturation, value = ops.split(images, 3, axis=self.channel_axis)
        saturation = ops.clip(saturation * per_image(ops.cast(factor, images.dtype)), 0, 1)
        parts = ops.concatenate([hue, saturation, value], axis=self.channel_axis)
        return rescaled(ops.image.hsv_to_rgb(parts, data_format=self.data_format), (0, 1), self.value_range)


class RandomInvert(Augmentation):
    """Turns images into their negatives within `value_range`, each with a random probability in `factor`.

    Args:
        factor: probability that an image is changed, a number or a pair.
    """

    def __init__(
        self,
        factor: FloatOrSequence = 1.0,
        value_range: FloatOrSequence = (0, 255),
        seed: Seed = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.value_range = bounds(self, factor, 0), value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        return {"apply_inversion": chosen(batch, self.factor, seed)}

    def changed(self, images: Tensor, apply_inversion: Tensor) -> Any:
        return ops.where(per_image(apply_inversion), sum(self.value_range) - images, images)


class RandomPosterization(Augmentation):
    """Keeps only the highest bits of each channel's 8, a random number of them in `factor`.

    Args:
        factor: number of bits that stay, a number or a pair.
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
        self.factor, self.value_range = bounds(self, factor, 1, 8), value_range_of(self, value_range)
        if any(f != int(f) for f in self.factor):
            raise ValueError(f"RandomPosterization: `factor` is a number of bits, from 1 to 8, but got {factor!r}.")

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        low, high = self.factor
        bits = random.randint((batch,), low, high, seed=seed) if low != high else ops.full((batch,), low, dtype="int32")
        return {"shift_factor": 8 - bits}

    def changed(self, images: Tensor, shift_factor: Tensor) -> Any:
        step = per_image(ops.cast(2 ** ops.cast(shift_factor, "int32"), images.dtype))
        levels = ops.floor(ops.floor(rescaled(images, self.value_range, (0, 255))) / step) * step
        return rescaled(levels, (0, 255), self.value_range)


class RandomColorJitter(Augmentation):
    """Random brightness, contrast, saturation and hue, one after the other; those whose factor is None are left out.

    Args:
        brightness_factor, contrast_factor, saturation_factor, hue_factor: strength of each, as in the layer of that name; None:
            left out.
    """

    def __init__(
        self,
        value_range: FloatOrSequence = (0, 255),
        brightness_factor: FloatOrSequence | None = None,
        contrast_factor: FloatOrSequence | None = None,
        saturation_factor: FloatOrSequence | None = None,
        hue_factor: FloatOrSequence | None = None,
        seed: Seed = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = value_range_of(self, value_range)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        classes = (RandomBrightness, RandomContrast, RandomSaturation, RandomHue)
        factors = (brightness_factor, contrast_factor, saturation_factor, hue_factor)
        options = {"value_range": value_range, "seed": seed, "data_format": data_format, "dtype": self.working_policy}
        self.random_brightness, self.random_contrast, self.random_saturation, self.random_hue = (
            None if factor is None else cls(factor, **options) for cls, factor in zip(classes, factors)
        )

    def changed(self, images: Tensor) -> Any:
        for layer in (self.random_brightness, self.random_contrast, self.random_saturation, self.random_hue):
            images = images if layer is None else layer(images, training=True)
        return images
