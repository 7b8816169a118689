"""Random changes of images in training: flips, rotations, zooms, shifts, contrast and brightness."""

import math

from mlkit import ops, random
from mlkit.layers.layer import Layer
from mlkit.layers.options import layout

__all__ = ["RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"]


class Augmentation(Layer):
    """Base: `augmented(images)` of a batch in training, the images as they are in inference. Single images (rank 3) are
    allowed.

    Each image gets a change of its own. Integer images become floats of the compute dtype.
    """

    def __init__(self, seed=None, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.seed, self.data_format = seed, layout(data_format)
        self.generator = random.SeedGenerator(seed)
        self.built = True

    def call(self, data, training=True):
        if isinstance(data, dict):
            raise NotImplementedError(f"{type(self).__name__}: dicts with boxes or masks are not supported; pass the images.")
        x = ops.cast(data, self.compute_dtype)
        if not training:
            return x
        if x.ndim == 3:
            return ops.squeeze(self.augmented(ops.expand_dims(x, 0)), 0)
        return self.augmented(x)

    def draw(self, images, low, high, shape=()):
        """Uniform numbers, one set an image: (batch, *shape)."""
        return random.uniform((images.shape[0], *shape), low, high, dtype=images.dtype, seed=self.generator)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}

    @property
    def rows_axis(self):
        """The axis of image rows in a batch; columns follow."""
        return 1 if self.data_format == "channels_last" else 2


def _range(factor, name, least=None):
    """A number f or a pair -> (low, high); f means (-f, f)."""
    low, high = (-factor, factor) if isinstance(factor, (int, float)) else tuple(factor)
    if low > high or (least is not None and low < least):
        raise ValueError(f"`{name}` must be a number or a pair (low, high) with low <= high, but got {factor!r}.")
    return low, high


class RandomFlip(Augmentation):
    """Mirrors images at random: "horizontal", "vertical" or "horizontal_and_vertical"."""

    def __init__(self, mode="horizontal_and_vertical", seed=None, data_format=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                f"RandomFlip: `mode` must be 'horizontal', 'vertical' or 'horizontal_and_vertical', but got {mode!r}."
            )
        self.mode = mode

    def augmented(self, images):
        for word, axis in (("horizontal", self.rows_axis + 1), ("vertical", self.rows_axis)):
            if word in self.mode:
                chosen = self.draw(images, 0.0, 1.0, (1, 1, 1)) < 0.5
                images = ops.where(chosen, ops.flip(images, axis=axis), images)
        return images


class _Warp(Augmentation):
    """Base of affine changes: `matrices(images, height, width)` maps positions of the output to positions of the input."""

    def __init__(self, fill_mode, interpolation, seed, fill_value, data_format, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if fill_mode not in ("reflect", "wrap", "constant", "nearest"):
            raise ValueError(
                f"{type(self).__name__}: `fill_mode` must be 'reflect', 'wrap', 'constant' or 'nearest', but got {fill_mode!r}."
            )
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f"{type(self).__name__}: `interpolation` must be 'nearest' or 'bilinear', but got {interpolation!r}."
            )
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    def augmented(self, images):
        height, width = images.shape[self.rows_axis], images.shape[self.rows_axis + 1]
        rows = self.matrix(images, height, width)
        zero = ops.zeros_like(rows[0])
        return ops.image.affine_transform(
            images,
            ops.stack([*rows, zero, zero], axis=-1),
            interpolation=self.interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )


class RandomRotation(_Warp):
    """Rotates images about their middle by a random part of a full turn, between -factor and factor (or in a pair of
    bounds)."""

    def __init__(
        self, factor, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0, data_format=None, **kwargs
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = _range(factor, "factor")

    def matrix(self, images, height, width):
        angle = self.draw(images, *self.factor) * (2 * math.pi)
        cos, sin = ops.cos(angle), ops.sin(angle)
        w, h = width - 1, height - 1
        x = (w - (cos * w - sin * h)) * 0.5
        y = (h - (sin * w + cos * h)) * 0.5
        return cos, -sin, x, sin, cos, y


class RandomZoom(_Warp):
    """Enlarges or shrinks images: factors above 0 show more (zoom out), below 0 less. width_factor None keeps the ratio."""

    def __init__(
        self,
        height_factor,
        width_factor=None,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = _range(height_factor, "height_factor", -1)
        self._width = None if width_factor is None else _range(width_factor, "width_factor", -1)

    def matrix(self, images, height, width):
        zoom_y = self.draw(images, *self._height) + 1
        zoom_x = zoom_y if self._width is None else self.draw(images, *self._width) + 1
        zero = ops.zeros_like(zoom_y)
        return zoom_x, zero, (1 - zoom_x) * ((width - 1) / 2), zero, zoom_y, (1 - zoom_y) * ((height - 1) / 2)


class RandomTranslation(_Warp):
    """Shifts images by random parts of their height and width."""

    def __init__(
        self,
        height_factor,
        width_factor,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height, self._width = _range(height_factor, "height_factor"), _range(width_factor, "width_factor")

    def matrix(self, images, height, width):
        y = self.draw(images, *self._height) * height
        x = self.draw(images, *self._width) * width
        one, zero = ops.ones_like(y), ops.zeros_like(y)
        return one, zero, -x, zero, one, -y


class RandomContrast(Augmentation):
    """Scales the distance of pixels from the mean of their channel by a random factor in (1 - low, 1 + high)."""

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.factor = low, high = (0, factor) if isinstance(factor, (int, float)) else tuple(factor)
        self.value_range = value_range
        if low < 0 or high < 0 or low > 1:
            raise ValueError(f"RandomContrast: `factor` must be a number or a pair of numbers in [0, 1], but got {factor!r}.")
        self._bounds = (1.0 - low, 1.0 + high)

    def augmented(self, images):
        factor = self.draw(images, *self._bounds, (1, 1, 1))
        axes = (self.rows_axis, self.rows_axis + 1)
        mean = ops.mean(images, axis=axes, keepdims=True)
        return ops.clip((images - mean) * factor + mean, *self.value_range)


class RandomBrightness(Augmentation):
    """Adds a random number to all pixels of an image: a part of the value range between -factor and factor."""

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.factor, self.value_range = _range(factor, "factor", -1), value_range

    def augmented(self, images):
        low, high = self.value_range
        shift = self.draw(images, *self.factor, (1, 1, 1)) * (high - low)
        return ops.clip(images + shift, low, high)
