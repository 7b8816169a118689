"""Augmentation: the base of layers that change images in training, at random and one by one."""

from mlkit import ops, random
from mlkit.layers.layer import Layer
from mlkit.layers.options import layout


class Augmentation(Layer):
    """Base: draws a change for each image and applies it in training; in inference the images pass as they are.

    Inputs: images (batch, height, width, channels) or a single one, or a dict with them under "images" and, if there are,
    "labels", "segmentation_masks" and "bounding_boxes". Integer images become floats of the compute dtype. Subclasses define
    `drawn`, which gives the numbers of a change by name, and `changed`, which takes them. `geometric`: positions change, so
    that segmentation masks are changed in the same way, and bounding boxes are refused.
    """

    geometric = False

    def __init__(self, seed=None, data_format=None, bounding_box_format=None, **kwargs):
        super().__init__(**kwargs)
        self.seed, self.data_format, self.bounding_box_format = seed, layout(data_format), bounding_box_format
        self.generator = random.SeedGenerator(seed)
        self.built = True

    # ---- for subclasses ------------------------------------------------------------------------------------------

    def drawn(self, images, batch, seed):
        """name -> numbers of a random change; the last argument is the seed for draws."""
        return {}

    def changed(self, images, **change):
        """A batch of images of the compute dtype with the change applied."""
        raise NotImplementedError

    def changed_masks(self, masks, **change):
        """Segmentation masks with the change applied, for geometric layers: labels must not be mixed."""
        raise NotImplementedError

    @property
    def rows_axis(self):
        """The axis of image rows in a batch; columns follow."""
        return 1 if self.data_format == "channels_last" else 2

    @property
    def channel_axis(self):
        return -1 if self.data_format == "channels_last" else 1

    # ---- the parts of a call ---------------------------------------------------------------------------------------

    def get_random_transformation(self, data, training=True, seed=None):
        """The numbers of a change for each image of a batch (or for a single image), as a dict; None in inference."""
        images = data["images"] if isinstance(data, dict) else data
        if not training:
            return None
        return self.drawn(images, images.shape[0] if len(images.shape) == 4 else 1, self.generator if seed is None else seed)

    def transform_images(self, images, transformation=None, training=True):
        images = ops.cast(images, self.compute_dtype)
        return images if not training or transformation is None else self.changed(images, **transformation)

    def transform_labels(self, labels, transformation=None, training=True):
        return labels

    def transform_segmentation_masks(self, segmentation_masks, transformation=None, training=True):
        if not self.geometric or not training or transformation is None:
            return segmentation_masks
        return self.changed_masks(segmentation_masks, **transformation)

    def transform_bounding_boxes(self, bounding_boxes, transformation=None, training=True):
        if self.geometric and training:
            raise NotImplementedError(
                f"{type(self).__name__}: bounding boxes do not follow the images yet; pass images and masks."
            )
        return bounding_boxes

    def call(self, data, training=True):
        parts = data if isinstance(data, dict) else {"images": data}
        images = parts["images"]
        if images.ndim not in (3, 4):
            raise ValueError(
                f"{type(self).__name__} {self.path!r}: expected one image (rank 3) or a batch of images (rank 4), but got shape {images.shape}."
            )
        alone = images.ndim == 3
        change = self.get_random_transformation(parts, training=training)
        out = dict(parts)
        for name in parts:
            method = _METHODS.get(name)
            if method is None:
                raise ValueError(f"{type(self).__name__}: unknown part {name!r}; the parts of a dict are {sorted(_METHODS)}.")
            part = _map(lambda x: ops.expand_dims(x, 0), parts[name]) if alone else parts[name]
            part = getattr(self, method)(part, change, training=training)
            out[name] = _map(lambda x: ops.squeeze(x, 0), part) if alone else part
        return out if isinstance(data, dict) else out["images"]

    def get_config(self):
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


def _map(fn, part):
    return {k: fn(v) for k, v in part.items()} if isinstance(part, dict) else fn(part)


# ---- options and draws ----------------------------------------------------------------------------------------------------


def bounds(layer, factor, low=-1, high=1, name="factor"):
    """A number f or a pair -> (least, greatest), within [low, high]; f means (-f, f), cut at `low`."""
    pair = isinstance(factor, (tuple, list))
    values = tuple(factor) if pair else (factor,)
    if len(values) != (2 if pair else 1) or not all(isinstance(v, (int, float)) and low <= v <= high for v in values):
        raise ValueError(
            f"{type(layer).__name__}: `{name}` must be a number or a pair of numbers in [{low}, {high}], but got {factor!r}."
        )
    return tuple(sorted(factor)) if pair else (max(-abs(factor), low), abs(factor))


def value_range_of(layer, value_range):
    """The range as a sorted list of two numbers."""
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2:
        raise ValueError(
            f"{type(layer).__name__}: `value_range` must be a pair (least, greatest) of pixel values, but got {value_range!r}."
        )
    return sorted(value_range)


def per_image(x):
    """(batch,) -> (batch, 1, 1, 1)"""
    return ops.reshape(x, (-1, 1, 1, 1))


def chosen(batch, factor, seed):
    """Which images are changed, booleans (batch,): each with a probability that is itself drawn from `factor`."""
    probability = random.uniform((batch,), *factor, seed=seed)
    return random.uniform((batch,), seed=seed) < probability
