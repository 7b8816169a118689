"""Random changes of positions: flips, rotations, zooms, shifts, shears, perspectives and elastic distortions of images."""

import math
from collections.abc import Iterator
from typing import Any

from mlkit import ops, random
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, TensorLike
from mlkit.layers.augmentation import Augmentation, bounds, chosen, per_image, value_range_of
from mlkit.objects.seed_generator import Seed
from mlkit.ops.image.warping import homography


class RandomFlip(Augmentation):
    """Mirrors images at random.

    Args:
        mode: "horizontal", "vertical" or "horizontal_and_vertical".
    """

    geometric = moves = True

    def __init__(self, mode: str = "horizontal_and_vertical", seed: Seed = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                f"RandomFlip: `mode` must be 'horizontal', 'vertical' or 'horizontal_and_vertical', but got {mode!r}."
            )
        self.mode = mode

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        return {"flips": random.uniform((batch, 1, 1, len(self._directions)), seed=seed) < 0.5}

    @property
    def _directions(self) -> list[str]:
        return [word for word in ("horizontal", "vertical") if word in self.mode]

    def _flipped(self, flips: Tensor) -> Iterator[tuple[str, Tensor]]:
        """(direction, which images are flipped in it). The last axis of `flips` counts directions, or has one entry for all."""
        each = ops.reshape(flips, (-1, flips.shape[-1]))
        for i, word in enumerate(self._directions):
            yield word, each[:, min(i, each.shape[1] - 1)]

    def changed(self, images: Tensor, flips: Tensor) -> Any:
        for word, flip in self._flipped(flips):
            axis = self.rows_axis + (word == "horizontal")
            images = ops.where(per_image(flip), ops.flip(images, axis=axis), images)
        return images

    def changed_masks(self, masks: Tensor, flips: Tensor) -> Any:
        return self.changed(masks, flips)

    def changed_boxes(self, boxes: Any, height: Any, width: Any, flips: Tensor) -> Any:
        x1, y1, x2, y2 = ops.split(boxes, 4, axis=-1)
        for word, flip in self._flipped(flips):
            flip = ops.reshape(flip, (-1, *(1,) * (boxes.ndim - 1)))
            if word == "horizontal":
                x1, x2 = ops.where(flip, width - x2, x1), ops.where(flip, width - x1, x2)
            else:
                y1, y2 = ops.where(flip, height - y2, y1), ops.where(flip, height - y1, y2)
        return ops.concatenate([x1, y1, x2, y2], axis=-1)


def box_corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of the four corners of boxes (..., 4)."""
    x1, y1, x2, y2 = ops.split(boxes, 4, axis=-1)
    return ops.concatenate([x1, x2, x2, x1], axis=-1), ops.concatenate([y1, y1, y2, y2], axis=-1)


def box_around(x: Tensor, y: Tensor) -> Tensor:
    """The boxes (..., 4) around points whose x and y are these."""
    return ops.stack([edge(m, axis=-1) for edge in (ops.min, ops.max) for m in (x, y)], axis=-1)


class _Warp(Augmentation):
    """Base of layers that look up each pixel elsewhere. `warped(images, interpolation, ...)` takes the change's numbers."""

    geometric = True
    fill_modes = ("reflect", "wrap", "constant", "nearest")

    def __init__(self, fill_mode, interpolation, seed: Seed, fill_value, data_format, **kwargs: Any):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        for name, value, choices in (
            ("fill_mode", fill_mode, self.fill_modes),
            ("interpolation", interpolation, ("nearest", "bilinear")),
        ):
            if value not in choices:
                raise ValueError(f"{type(self).__name__}: `{name}` must be one of {choices}, but got {value!r}.")
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    def changed(self, images: Tensor, **change: Any) -> Any:
        alone = images.ndim == 3
        out = self.warped(ops.expand_dims(images, 0) if alone else images, self.interpolation, **change)
        return ops.squeeze(out, 0) if alone else out

    def changed_masks(self, masks: Tensor, **change: Any) -> Any:
        return self.warped(masks, "nearest", **change)


class _Affine(_Warp):
    """Base of affine changes: `matrix(height, width, ...)` maps positions of the output to positions of the input."""

    def warped(self, images: Tensor, interpolation: str, **change: Any) -> Tensor:
        rows = self.matrix(images.shape[self.rows_axis], images.shape[self.rows_axis + 1], **change)
        zero = ops.zeros_like(rows[0])
        return ops.image.affine_transform(
            images,
            ops.stack([*rows, zero, zero], axis=-1),
            interpolation=interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def changed_boxes(self, boxes: Any, height: Any, width: Any, **change: Any) -> Any:
        """The boxes around the moved corners."""
        a, b, c, d, e, f = (ops.reshape(n, (-1, 1, 1)) for n in self.matrix(height, width, **change))
        x, y = box_corners(boxes)
        x, y = (
            x - 0.5 - c,
            y - 0.5 - f,
        )  # the matrix is about middles of pixels, half a pixel from their corners; it is inverted here
        scale = a * e - b * d
        return box_around((e * x - b * y) / scale + 0.5, (a * y - d * x) / scale + 0.5)


class RandomRotation(_Affine):
    """Rotates images about their middle by a random part of a full turn, between -factor and factor (or in a pair of
    bounds).

    Args:
        factor: the angle as a part of a full turn, a number f for (-f, f) or a pair; positive ones turn counter-clockwise.
    """

    def __init__(
        self,
        factor: FloatOrSequence,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Seed = None,
        fill_value: TensorLike = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = bounds(self, factor)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        return {"angle": random.uniform((batch,), *self.factor, seed=seed) * (2 * math.pi)}

    def matrix(self, height: Any, width: Any, angle: Tensor) -> Tensor:
        cos, sin = ops.cos(angle), ops.sin(angle)
        w, h = width - 1, height - 1
        x = (w - (cos * w - sin * h)) * 0.5
        y = (h - (sin * w + cos * h)) * 0.5
        return cos, -sin, x, sin, cos, y


class RandomZoom(_Affine):
    """Enlarges or shrinks images: factors above 0 show more (zoom out), below 0 less. width_factor None keeps the ratio.

    Args:
        height_factor: how much more of the height is seen: a number f for (-f, f), or a pair, in [-1, 1]; -0.2 enlarges so
            that 80 % are seen.
        width_factor: likewise of the width; None: as much as of the height.
    """

    def __init__(
        self,
        height_factor: FloatOrSequence,
        width_factor: FloatOrSequence | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Seed = None,
        fill_value: TensorLike = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = bounds(self, height_factor, name="height_factor")
        self._width = None if width_factor is None else bounds(self, width_factor, name="width_factor")

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        height = random.uniform((batch,), *self._height, seed=seed) + 1
        width = height if self._width is None else random.uniform((batch,), *self._width, seed=seed) + 1
        return {"height_zoom": height, "width_zoom": width}

    def matrix(self, height: Any, width: Any, height_zoom: Tensor, width_zoom: Tensor) -> Tensor:
        zero = ops.zeros_like(height_zoom)
        x, y = (1 - width_zoom) * (width - 1) * 0.5, (1 - height_zoom) * (height - 1) * 0.5
        return width_zoom, zero, x, zero, height_zoom, y


class RandomTranslation(_Affine):
    """Shifts images by random parts of their height and width.

    Args:
        height_factor: how far down, as a part of the height: a number f for (-f, f), or a pair, in [-1, 1]; below 0 up.
        width_factor: likewise to the right, as a part of the width.
    """

    def __init__(
        self,
        height_factor: FloatOrSequence,
        width_factor: FloatOrSequence,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Seed = None,
        fill_value: TensorLike = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = bounds(self, height_factor, name="height_factor")
        self._width = bounds(self, width_factor, name="width_factor")

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        height = random.uniform((batch,), *self._height, seed=seed)
        return {"height_shift": height, "width_shift": random.uniform((batch,), *self._width, seed=seed)}

    def matrix(self, height: Any, width: Any, height_shift: Tensor, width_shift: Tensor) -> Tensor:
        one, zero = ops.ones_like(height_shift), ops.zeros_like(height_shift)
        return one, zero, -width_shift * width, zero, one, -height_shift * height


class RandomShear(_Affine):
    """Slants images: rows and columns are shifted in proportion to their distance from the corner.

    Args:
        x_factor: how far a row is shifted, in pixels for each pixel of height: a number f for (-f, f), or a pair, in [0,
            1].
        y_factor: likewise of columns.
    """

    def __init__(
        self,
        x_factor: FloatOrSequence = 0.0,
        y_factor: FloatOrSequence = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: TensorLike = 0.0,
        data_format: str | None = None,
        seed: Seed = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.x_factor, self.y_factor = (
            tuple(sorted(f)) if isinstance(f, (tuple, list)) else (-f, f) for f in (x_factor, y_factor)
        )
        bounds(self, x_factor, 0, name="x_factor")
        bounds(self, y_factor, 0, name="y_factor")

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        sign = ops.where(random.uniform((batch, 1), seed=seed) > 0.5, -1.0, 1.0)
        sizes = [random.uniform((batch, 1), *f, seed=seed) for f in (self.x_factor, self.y_factor)]
        return {"shear_factor": ops.concatenate(sizes, axis=1) * sign}

    def matrix(self, height: Any, width: Any, shear_factor: Tensor) -> Tensor:
        shear_x, shear_y = shear_factor[:, 0], shear_factor[:, 1]
        one, zero = ops.ones_like(shear_x), ops.zeros_like(shear_x)
        return one, shear_x, zero, shear_y, one, zero

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "RandomShear":
        """A config holds the pairs (-f, f) of numbers f."""
        plain = {k: config[k][1] for k in ("x_factor", "y_factor") if k in config and config[k][0] == -config[k][1]}
        return super().from_config({**config, **plain}, custom_objects)


class RandomPerspective(_Warp):
    """Looks at images from another side: their corners are moved by random parts of the size up to `scale`, with a random
    probability in `factor`.

    Args:
        factor: probability that an image is changed, a number or a pair.
        scale: how far corners move, as a part of the image's size.
    """

    def __init__(
        self,
        factor: FloatOrSequence = 1.0,
        scale: FloatOrSequence = 1.0,
        interpolation: str = "bilinear",
        fill_value: TensorLike = 0.0,
        seed: Seed = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__("constant", interpolation, seed, fill_value, data_format, **kwargs)
        self.factor, self.scale = bounds(self, factor, 0), scale
        bounds(self, scale, 0, name="scale")

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        alone = len(images.shape) == 3
        height, width = images.shape[self.rows_axis - alone], images.shape[self.rows_axis + 1 - alone]
        corners = [[0.0, 0.0], [width - 1, 0.0], [0.0, height - 1], [width - 1, height - 1]]
        start = ops.tile(ops.convert_to_tensor([corners], dtype="float32"), (batch, 1, 1))
        part = random.uniform((batch, 4, 2), -0.5 * self.scale, 0.5 * self.scale, seed=seed)
        return {"apply_perspective": chosen(batch, self.factor, seed), "start_points": start, "end_points": start * (1 + part)}

    def warped(
        self, images: Tensor, interpolation: str, apply_perspective: Tensor, start_points: Tensor, end_points: Tensor
    ) -> Tensor:
        options = {"interpolation": interpolation, "fill_value": self.fill_value, "data_format": self.data_format}
        moved = ops.image.perspective_transform(images, start_points, end_points, **options)
        return ops.where(per_image(apply_perspective), moved, images)

    def changed_boxes(
        self, boxes: Any, height: Any, width: Any, apply_perspective: Tensor, start_points: Tensor, end_points: Tensor
    ) -> Any:
        start, end = (ops.cast(points, boxes.dtype) for points in (start_points, end_points))
        x, y = box_corners(boxes)
        a, b, c, d, e, f, g, h = ops.split(ops.expand_dims(homography(end, start), 1), 8, axis=-1)
        k = g * x + h * y + 1
        moved = box_around((a * x + b * y + c) / k, (d * x + e * y + f) / k)
        return ops.where(ops.reshape(apply_perspective, (-1, 1, 1)), moved, boxes)


class RandomElasticTransform(_Warp):
    """Distorts images like a sheet of rubber, each with a random probability in `factor`; scale: strength, at most 1.

    Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks", ICDAR 2003.

    Args:
        factor: probability that an image is changed, a number or a pair.
        scale: strength of the displacement.
    """

    fill_modes = ("constant", "nearest", "wrap", "mirror", "reflect")

    def __init__(
        self,
        factor: FloatOrSequence = 1.0,
        scale: FloatOrSequence = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: TensorLike = 0.0,
        value_range: FloatOrSequence = (0, 255),
        seed: Seed = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor, self.scale = bounds(self, factor, 0), bounds(self, scale, 0, name="scale")
        self.value_range = value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        strength = random.uniform((), *self.scale, seed=seed)
        noise_seed = random.randint((2,), 0, 2**30, seed=seed)  # one field of shifts for images and masks
        return {"apply_transform": chosen(batch, self.factor, seed), "distortion_factor": strength, "seed": noise_seed}

    def warped(
        self, images: Tensor, interpolation: str, apply_transform: Tensor, distortion_factor: Tensor, seed: Any
    ) -> Tensor:
        height, width = images.shape[self.rows_axis], images.shape[self.rows_axis + 1]
        moved = ops.image.elastic_transform(
            images,
            alpha=distortion_factor * (0.1 * max(height, width)),
            sigma=distortion_factor * (0.05 * min(height, width)),
            interpolation=interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            seed=seed,
            data_format=self.data_format,
        )
        return ops.clip(ops.where(per_image(apply_transform), moved, images), *self.value_range)
