"""Regions of images cut out, erased or exchanged at random: RandomCrop, RandomErasing, CutMix; and whole images mixed:
MixUp."""

import math
from typing import Any

from mlkit import ops, random
from mlkit.core.spec import Dim
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, FloatOrSequence
from mlkit.layers.argument_checks import positive, within
from mlkit.layers.augmentation import (
    Augmentation,
    bounds,
    chosen,
    in_dtype,
    middle_part,
    moved,
    per_image,
    value_range_of,
)
from mlkit.objects.seed_generator import Seed


class RandomCrop(Augmentation):
    """A window of (height, width) at a random place, the same in all images of a batch.

    In inference, and for images smaller than the window: the largest middle part of the window's ratio, resized.

    Args:
        height, width: size of the result, in pixels.
    """

    geometric = always = moves = True

    def __init__(
        self, height: int, width: int, seed: Seed = None, data_format: str | None = None, name: str | None = None, **kwargs: Any
    ):
        super().__init__(seed=seed, data_format=data_format, name=name, **kwargs)
        self.height, self.width = positive(self, height=height), positive(self, width=width)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        alone = len(images.shape) == 3
        rows, columns = images.shape[self.rows_axis - alone], images.shape[self.rows_axis + 1 - alone]
        if Dim not in (type(rows), type(columns)) and (rows <= self.height or columns <= self.width):
            return {}
        places = (rows - self.height + 1, columns - self.width + 1)
        return dict(zip(("top", "left"), (ops.cast(random.uniform((), seed=seed) * n, "int32") for n in places)))

    def changed(self, images: Tensor, top: Any = None, left: Any = None, interpolation: str = "bilinear") -> Any:
        if top is None:
            options = {"interpolation": interpolation, "crop_to_aspect_ratio": True, "data_format": self.data_format}
            return in_dtype(ops.image.resize(images, (self.height, self.width), **options), images.dtype)
        for axis, start, size in ((self.rows_axis, top, self.height), (self.rows_axis + 1, left, self.width)):
            images = ops.take(images, start + ops.arange(size, dtype="int32"), axis=axis)
        return images

    def changed_masks(self, masks: Tensor, **change: Any) -> Any:
        return self.changed(masks, **change, interpolation="nearest")

    def changed_boxes(self, boxes: Any, height: Any, width: Any, top: Any = None, left: Any = None) -> Any:
        if top is not None:
            return moved(boxes, top, left)
        top, left, rows, columns = middle_part(height, width, self.height, self.width)
        return moved(boxes, top, left, self.height / rows, self.width / columns)

    def output_size(self, height: Any, width: Any) -> tuple[Any, Any]:
        return self.height, self.width


class _Boxes(Augmentation):
    """Base of layers that treat a random box of each image in a special way."""

    moves = True

    def _box(self, images: Tensor, batch: Any, widths, heights, seed: Any):
        """(booleans (batch, height, width, 1), the part of the area outside) for boxes of these parts of the sizes."""
        alone = len(images.shape) == 3
        rows, columns = images.shape[self.rows_axis - alone], images.shape[self.rows_axis + 1 - alone]
        inside, area = None, 1.0
        for size, part, shape in ((columns, widths, (1, 1, -1)), (rows, heights, (1, -1, 1))):
            length = part * size
            start = random.uniform((batch,), seed=seed) * (size - length)
            place = ops.reshape(ops.arange(size, dtype="float32"), shape)
            start, end = ops.reshape(start, (-1, 1, 1)), ops.reshape(start + length, (-1, 1, 1))
            between = ops.logical_and(place >= start, place < end)
            inside = between if inside is None else ops.logical_and(inside, between)
            area = area * part
        return ops.expand_dims(inside, self.channel_axis), 1 - area


class RandomErasing(_Boxes):
    """Fills a random box of each image, with a random probability in `factor`.

    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020 (arXiv:1708.04896).

    Args:
        scale: least and greatest part of the area.
        fill_value: a number, or one for each channel; None: noise.
        factor: probability that an image is changed, a number or a pair.
    """

    def __init__(
        self,
        factor: FloatOrSequence = 1.0,
        scale: FloatOrSequence = (0.02, 0.33),
        fill_value: float | None = None,
        value_range: FloatOrSequence = (0, 255),
        seed: Seed = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.scale = bounds(self, factor, 0), bounds(self, scale, 0, name="scale")
        self.fill_value, self.value_range = fill_value, value_range_of(self, value_range)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        parts = ops.sqrt(random.uniform((batch, 2), *self.scale, seed=seed))
        box, _ = self._box(images, batch, parts[:, 0], parts[:, 1], seed)
        if self.fill_value is None:
            shape = images.shape if len(images.shape) == 4 else (1, *images.shape)
            fill = random.normal(shape, seed=seed) * self.value_range[1]
        else:
            fill = ops.convert_to_tensor(self.fill_value, dtype="float32")
            if fill.ndim == 1:
                fill = ops.reshape(fill, (-1,) if self.channel_axis == -1 else (-1, 1, 1))
        return {"apply_erasing": chosen(batch, self.factor, seed), "batch_masks": box, "fill_value": fill}

    def changed(self, images: Tensor, apply_erasing: Tensor, batch_masks: Tensor, fill_value: Any) -> Any:
        erased = ops.logical_and(batch_masks, per_image(apply_erasing))
        fill = ops.clip(ops.cast(fill_value, "float32"), *map(float, self.value_range))
        return ops.where(erased, in_dtype(fill, images.dtype), images)


class MixUp(Augmentation):
    """Averages each image, and its label, with another of the batch (Zhang et al., mixup, 2018).

    Args:
        alpha: the weights are drawn from Beta(alpha, alpha).

    Labels must be vectors, such as one-hot ones.
    """

    def __init__(self, alpha: float = 0.2, data_format: str | None = None, seed: Seed = None, **kwargs: Any):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.alpha = within(self, 1e-6, math.inf, alpha=alpha)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        order = random.shuffle(ops.arange(batch, dtype="int32"), seed=seed)
        return {"mix_weight": random.beta((batch,), self.alpha, self.alpha, seed=seed), "permutation_order": order}

    def changed(self, images: Tensor, mix_weight: Tensor, permutation_order: Tensor) -> Any:
        weight = ops.cast(per_image(mix_weight), images.dtype)
        return weight * images + (1 - weight) * ops.take(images, permutation_order, axis=0)

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        if not training or transformation is None:
            return labels
        return _averaged(labels, transformation["mix_weight"], transformation["permutation_order"], self.float_dtype)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any = None, training: bool = True) -> Any:
        return self.transform_labels(segmentation_masks, transformation, training)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any = None, training: bool = True) -> Any:
        """The boxes of both images: {"boxes": (batch, boxes, 4), "labels": (batch, boxes)}."""
        if not training or transformation is None:
            return bounding_boxes
        order = transformation["permutation_order"]
        boxes = {k: ops.convert_to_tensor(v) for k, v in bounding_boxes.items()}
        return {k: ops.concatenate([v, ops.take(v, order, axis=0)], axis=1) for k, v in boxes.items()}


class CutMix(_Boxes):
    """Replaces a random box of each image by that of another of the batch, and mixes labels by area (Yun et al., 2019).

    Args:
        factor: the part kept is drawn from Beta(f, f), f random in `factor`.

    Labels must be vectors, such as one-hot ones.
    """

    def __init__(self, factor: FloatOrSequence = 1.0, seed: Seed = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = bounds(self, factor, 0)

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        alpha = random.uniform((), *self.factor, seed=seed) + 1e-6
        side = ops.sqrt(1 - random.beta((batch,), alpha, alpha, seed=seed))
        box, kept = self._box(images, batch, side, side, seed)
        order = random.shuffle(ops.arange(batch, dtype="int32"), seed=seed)
        return {"permutation_order": order, "batch_masks": box, "mix_weight": kept}

    def changed(self, images: Tensor, permutation_order: Tensor, batch_masks: Tensor, mix_weight: Tensor) -> Any:
        return ops.where(batch_masks, ops.take(images, permutation_order, axis=0), images)

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        if not training or transformation is None:
            return labels
        return _averaged(labels, transformation["mix_weight"], transformation["permutation_order"], self.float_dtype)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any = None, training: bool = True) -> Any:
        return (
            segmentation_masks if not training or transformation is None else self.changed(segmentation_masks, **transformation)
        )

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any = None, training: bool = True) -> Any:
        raise NotImplementedError("CutMix: bounding boxes are not supported; pass images, labels and masks.")


class MaxNumBoundingBoxes(Augmentation):
    """As many bounding boxes for each image as `max_number`: more are left out, fewer are padded with `fill_value`.

    Args:
        max_number: boxes of each image.

    Boxes (batch, boxes, 4) and labels (batch, boxes) become (batch, max_number, 4) and (batch, max_number).
    """

    draws = False

    def __init__(self, max_number: int, fill_value: float = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_number, self.fill_value = positive(self, max_number=max_number), int(fill_value)

    def changed(self, images: Tensor) -> Any:
        return images

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any = None, training: bool = True) -> Any:
        return {k: self._fitted(ops.convert_to_tensor(v)) for k, v in bounding_boxes.items()}

    def _fitted(self, x):
        x = x[:, : self.max_number]
        margins = [(0, 0), (0, self.max_number - x.shape[1])] + [(0, 0)] * (x.ndim - 2)
        return ops.pad(x, margins, constant_values=self.fill_value)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.fill_value == -1:
            config.pop("fill_value")  # Keras's config has none
        return config


def _averaged(labels: Any, weight, order, dtype: DType | None):
    """Each label, with this weight, and the one that `order` names, with the rest."""
    labels = ops.cast(labels, dtype)
    weight = ops.cast(ops.reshape(weight, (-1, *(1,) * (labels.ndim - 1))), dtype)
    return weight * labels + (1 - weight) * ops.take(labels, order, axis=0)
