"""Augmentation: the base of layers that change images in training, at random and one by one."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops, random
from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.layers.argument_checks import layout
from mlkit.layers.layer import Layer
from mlkit.objects.seed_generator import Seed
from mlkit.utils.bounding_boxes import clip_to_image_size, convert_format


class Augmentation(Layer):
    """Base: draws a change for each image and applies it in training; in inference the images pass as they are.

    Inputs: images (batch, height, width, channels) or a single one, or a dict with them under "images" and, if there are,
    "labels", "segmentation_masks" and "bounding_boxes". Images come back in the layer's compute dtype, whatever they had. With an
    integer one, such as dtype="uint8", the change is computed in float32, rounded, and cut at the limits of the dtype.

    Args:
        seed: an int draws the same changes in each run; None draws others.
        bounding_box_format: how the boxes of a dict of inputs are given, such as "xyxy" or "rel_xywh".

    Subclasses define `drawn`, which gives the numbers of a change by name, and `changed`, which takes them. `geometric`:
    positions change, so that segmentation masks and bounding boxes are changed in the same way. `moves`: pixels are moved, not
    computed, so that integers need no floats.
    """

    _augments = True
    geometric = moves = False
    draws = True  # False: nothing is random, and there is no seed
    always = False  # True: images are changed in inference too

    def __init__(
        self, seed: Seed = None, data_format: str | None = None, bounding_box_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.autocast = self.autocast and dtypes.is_float(self.compute_dtype)  # integer layers round what they answer
        self.seed, self.data_format, self.bounding_box_format = seed, layout(data_format), bounding_box_format
        if self.draws:
            self.generator = random.SeedGenerator(seed)
        self.built = True

    # ---- for subclasses ------------------------------------------------------------------------------------------

    def drawn(self, images: Tensor, batch: Any, seed: Any) -> dict[str, Any] | None:
        """name -> numbers of a random change; the last argument is the seed for draws."""
        return {}

    def changed(self, images: Tensor, **change: Any) -> Any:
        """A batch of images of the working dtype with the change applied."""
        raise NotImplementedError

    def changed_masks(self, masks: Tensor, **change: Any) -> Any:
        """Segmentation masks with the change applied, for geometric layers: labels must not be mixed."""
        raise NotImplementedError

    def changed_boxes(self, boxes: Any, height: Any, width: Any, **change: Any) -> Any:
        """Corners (batch, boxes, 4) in pixels, with the change applied, for geometric layers."""
        raise NotImplementedError(f"{type(self).__name__}: bounding boxes do not follow the images yet; pass images and masks.")

    def output_size(self, height: Any, width: Any) -> tuple[Any, Any]:
        """Height and width of the changed images."""
        return height, width

    @property
    def float_dtype(self) -> str:
        """The dtype in which numbers are computed."""
        return float_of(self.compute_dtype)

    @property
    def working_dtype(self) -> str:
        """The dtype of the images that are changed."""
        return self.compute_dtype if self.moves else self.float_dtype

    @property
    def working_policy(self):
        """For layers within, whose images have the working dtype."""
        return self.dtype_policy if dtypes.is_float(self.compute_dtype) else "float32"

    @property
    def rows_axis(self) -> int:
        """The axis of image rows in a batch; columns follow."""
        return 1 if self.data_format == "channels_last" else 2

    @property
    def channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    # ---- the parts of a call ---------------------------------------------------------------------------------------

    def get_random_transformation(self, data: Any, training: bool = True, seed: Seed = None) -> Any:
        """The numbers of a change for each image of a batch (or for a single image), as a dict; None in inference."""
        images = data["images"] if isinstance(data, dict) else data
        if not training and not self.always:
            return None
        batch = images.shape[0] if len(images.shape) == 4 else 1
        change = self.drawn(images, batch, self.generator if seed is None else seed) if training and self.draws else {}
        return {**change, "input_shape": images.shape} if self.geometric else change

    def transform_images(self, images: Tensor, transformation: Any = None, training: bool = True) -> Any:
        if training and transformation is not None:
            images = self.changed(in_dtype(images, self.working_dtype), **_numbers(transformation))
        return in_dtype(images, self.compute_dtype)

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        return labels

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any = None, training: bool = True) -> Any:
        if not self.geometric or not training or transformation is None:
            return segmentation_masks
        return self.changed_masks(segmentation_masks, **_numbers(transformation))

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any = None, training: bool = True) -> Any:
        if not self.geometric or not training or transformation is None:
            return bounding_boxes
        if self.bounding_box_format is None:
            raise ValueError(f"{type(self).__name__}: set `bounding_box_format`, such as 'xyxy', to pass bounding boxes.")
        rows = self.rows_axis - 4  # counted from the end: images may be single ones
        height, width = transformation["input_shape"][rows], transformation["input_shape"][rows + 1]
        boxes = convert_format(bounding_boxes, self.bounding_box_format, "xyxy", height, width)
        moved = self.changed_boxes(boxes["boxes"], height, width, **_numbers(transformation))
        height, width = self.output_size(height, width)
        clipped = clip_to_image_size({**boxes, "boxes": moved}, height, width)
        return convert_format(clipped, "xyxy", self.bounding_box_format, height, width)

    def call(self, data: Any, training: bool = True) -> Any:
        return self.applied(data, self.get_random_transformation(data, training=training), training or self.always)

    def applied(self, data: Any, change: Any, training: bool | None) -> Any:
        """Images, or all parts of a dict, with the change."""
        parts = data if isinstance(data, dict) else {"images": data}
        images = parts["images"]
        if images.ndim not in (3, 4):
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: expected one image (rank 3) or a batch of images (rank 4), but got "
                f"shape {images.shape}."
            )
        alone = images.ndim == 3
        out = dict(parts)
        for name in parts:
            method = _METHODS.get(name)
            if method is None:
                raise ValueError(f"{type(self).__name__}: unknown part {name!r}; the parts of a dict are {sorted(_METHODS)}.")
            part = _map(lambda x: ops.expand_dims(x, 0), parts[name]) if alone else parts[name]
            part = getattr(self, method)(part, change, training=training)
            out[name] = _map(lambda x: ops.squeeze(x, 0), part) if alone else part
        return out if isinstance(data, dict) else out["images"]

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config


_METHODS = {
    "images": "transform_images",
    "labels": "transform_labels",
    "segmentation_masks": "transform_segmentation_masks",
    "bounding_boxes": "transform_bounding_boxes",
}


def _numbers(transformation: Any):
    """What `changed` takes: all but the shape."""
    return {k: v for k, v in transformation.items() if k != "input_shape"}


def _map(fn, part):
    return {k: fn(v) for k, v in part.items()} if isinstance(part, dict) else fn(part)


# ---- options and draws ----------------------------------------------------------------------------------------------------


def bounds(layer: Any, factor: Any, low: float = -1, high: float = 1, name: str | None = "factor") -> tuple[float, float]:
    """A number f or a pair -> (least, greatest), within [low, high]; f means (-f, f), cut at `low`."""
    pair = isinstance(factor, (tuple, list))
    values = tuple(factor) if pair else (factor,)
    if len(values) != (2 if pair else 1) or not all(isinstance(v, (int, float)) and low <= v <= high for v in values):
        raise ValueError(
            f"{type(layer).__name__}: `{name}` must be a number or a pair of numbers in [{low}, {high}], but got {factor!r}."
        )
    return tuple(sorted(factor)) if pair else (max(-abs(factor), low), abs(factor))


def float_of(dtype: str) -> str:
    """A float dtype itself; float32 for integers."""
    return dtype if dtypes.is_float(dtype) else "float32"


def in_dtype(images: Tensor, dtype: str) -> Tensor:
    """Images in a dtype: as integers rounded, and cut at the limits of the dtype."""
    images = ops.convert_to_tensor(images)
    if dtypes.is_float(dtype) or images.dtype == dtype:
        return ops.cast(images, dtype)
    return ops.saturate_cast(ops.round(images), dtype)


def value_range_of(layer: Any, value_range: Sequence[float]) -> tuple[float, float]:
    """The range as a sorted list of two numbers."""
    pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    if not pair or not all(isinstance(v, (int, float)) for v in value_range) or value_range[0] == value_range[1]:
        raise ValueError(
            f"{type(layer).__name__}: `value_range` must be a pair (least, greatest) of pixel values, but got {value_range!r}."
        )
    return sorted(value_range)


def middle_part(height: Any, width: Any, new_height, new_width):
    """(top, left, height, width) of the largest middle part of an image that has the ratio of the new size."""
    tall = max(min(height, int(width * new_height / new_width)), 1)
    wide = max(min(width, int(height * new_width / new_height)), 1)
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def moved(boxes: Any, top: Any, left: Any, scale_y: float = 1, scale_x: float = 1) -> Any:
    """Corners as seen from (top, left), then scaled."""
    x1, y1, x2, y2 = ops.split(boxes, 4, axis=-1)
    top, left = ops.cast(top, boxes.dtype), ops.cast(left, boxes.dtype)
    return ops.concatenate([(x1 - left) * scale_x, (y1 - top) * scale_y, (x2 - left) * scale_x, (y2 - top) * scale_y], axis=-1)


def per_image(x: Tensor) -> Tensor:
    """(batch,) -> (batch, 1, 1, 1)"""
    return ops.reshape(x, (-1, 1, 1, 1))


def chosen(batch: Any, factor: Any, seed: Any):
    """Which images are changed, booleans (batch,): each with a probability that is itself drawn from `factor`."""
    probability = random.uniform((batch,), *factor, seed=seed)
    return random.uniform((batch,), seed=seed) < probability
