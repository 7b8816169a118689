"""Layers that prepare images and numbers: Rescaling, Normalization, Resizing, CenterCrop."""

import math
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.config import image_data_format
from mlkit.core.dtypes import single_of
from mlkit.core.ownership import own_arrays
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, FloatOrSequence, Structure, TensorLike
from mlkit.layers.argument_checks import axes_of, positive
from mlkit.layers.augmentation import Augmentation, float_of, in_dtype, middle_part, moved
from mlkit.layers.layer import Layer
from mlkit.objects.config_object import serialized


class Rescaling(Layer):
    """``inputs * scale + offset``; integers become floats, unless the layer's dtype is an integer one: then the result is rounded
    and cut at the limits of that dtype.

    Args:
        scale, offset: numbers, or one per channel.

    Input: any shape; the output has it.

    >>> import mlkit
    >>> mlkit.layers.Rescaling(1 / 255)(mlkit.ops.convert_to_tensor([[0, 255]])).numpy()
    array([[0., 1.]], dtype=float32)
    """

    def __init__(self, scale: FloatOrSequence, offset: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.autocast = False  # half floats cannot hold every pixel value, integers no result: only what is answered is cast
        self.scale, self.offset = own_arrays((scale, offset))
        self.built = True
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, single_of(float_of(self.compute_dtype)))
        return in_dtype(x * self._vector(self.scale, x) + self._vector(self.offset, x), self.compute_dtype)

    def _vector(self, value: Structure, x):
        if isinstance(value, (int, float)):
            return value
        value = ops.convert_to_tensor(value, dtype=x.dtype)
        first = value.ndim == 1 and image_data_format() == "channels_first"
        return ops.reshape(value, (-1, 1, 1)) if first else value

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("scale", "offset"):
            value = getattr(self, name)
            config[name] = value.tolist() if isinstance(value, np.ndarray) else serialized(value)
        return config


class Normalization(Layer):
    """Each feature shifted and scaled to mean 0 and variance 1 over the data given to `adapt` (or by `mean` and `variance`).

    Args:
        axis: the axes whose positions have statistics of their own; None: one mean and variance for all.
        invert: undo instead.
        mean, variance: the statistics, in place of `adapt`.

    >>> import mlkit, numpy
    >>> layer = mlkit.layers.Normalization()
    >>> layer.adapt(numpy.array([[0.0], [2.0], [4.0]]))
    >>> float(layer(numpy.array([[2.0]])).numpy()[0, 0])
    0.0
    """

    def __init__(
        self,
        axis: Axis = -1,
        mean: TensorLike | None = None,
        variance: TensorLike | None = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # raw features and their variances may overflow half floats: only the result is cast
        self.axis = () if axis is None else axes_of(axis)
        if (mean is None) != (variance is None):
            raise ValueError(f"Normalization: pass both `mean` and `variance`, or neither, but got {mean!r} and {variance!r}.")
        self.input_mean, self.input_variance = own_arrays((mean, variance))
        if variance is not None and not np.all(np.asarray(variance, "float64") >= 0):
            raise ValueError(f"Normalization: `variance` must not be negative, but got {variance!r}.")
        self.invert = invert
        self.supports_masking = True
        self._statistics = None  # mean and variance in the shape they broadcast in

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if not all(-rank <= a < rank for a in self.axis):
            raise ValueError(
                f"Normalization {self.path!r}: axes {self.axis} are out of range for inputs of shape {input_shape}."
            )
        kept = sorted(a % rank for a in self.axis)
        if any(input_shape[a] is None for a in kept):
            raise ValueError(
                f"Normalization {self.path!r}: axes {self.axis} must have known sizes, but the shape is {input_shape}."
            )
        self._kept, self._broadcast_shape = kept, tuple(input_shape[a] if a in kept else 1 for a in range(rank))
        shape = tuple(input_shape[a] for a in kept)
        if self.input_mean is None:
            dtype = single_of(self.variable_dtype)
            self.adapt_mean = self.add_weight(shape, "zeros", dtype=dtype, trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape, "ones", dtype=dtype, trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")
            self._statistics = None
        else:
            self._statistics = tuple(
                np.broadcast_to(np.asarray(v, "float32"), shape).reshape(self._broadcast_shape)
                for v in (self.input_mean, self.input_variance)
            )

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data: an array, a tensor, or an iterable of batches (tuples: the first part)."""
        if self.input_mean is not None:
            raise ValueError("Normalization.adapt: the layer was made with `mean` and `variance`, which adapt would overwrite.")
        total = count = square = 0.0
        for batch in [data] if hasattr(data, "shape") or isinstance(data, (list, tuple)) else data:
            x = np.asarray(ops.convert_to_numpy(batch[0] if isinstance(batch, tuple) else batch), "float64")
            x = x.reshape(-1, 1) if x.ndim == 1 else x
            if not self.built:
                self.build((None, *x.shape[1:]))
            axes = tuple(a for a in range(x.ndim) if a not in self._kept)
            n = math.prod(x.shape[a] for a in axes)
            mean, variance = x.mean(axis=axes), x.var(axis=axes)
            # Chan et al., 1979: merge the statistics of batches
            delta, merged = mean - total, count + n
            square = square + variance * n + delta**2 * count * n / merged
            total, count = total + delta * n / merged, merged
        self.adapt_mean.assign(total)
        self.adapt_variance.assign(square / count)
        self.count.assign(int(count))

    def finalize_state(self) -> None:
        """Called where mean and variance were set from outside, as from files: the layer reads them at each call."""

    @property
    def mean(self) -> Any:
        """The means, in a shape that broadcasts with the inputs."""
        return self._both()[0]

    @property
    def variance(self) -> Any:
        return self._both()[1]

    def _both(self):
        if self._statistics is not None:
            return tuple(map(ops.convert_to_tensor, self._statistics))
        return tuple(ops.reshape(v, self._broadcast_shape) for v in (self.adapt_mean, self.adapt_variance))

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, single_of(self.compute_dtype))
        mean, variance = (ops.cast(v, x.dtype) for v in self._both())
        deviation = ops.maximum(ops.sqrt(variance), 1e-7)
        return in_dtype(mean + x * deviation if self.invert else (x - mean) / deviation, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        config = {k: v for k, v in super().get_config().items() if k not in ("mean", "variance", "autocast")}
        plain = lambda v: v.tolist() if isinstance(v, np.ndarray) else serialized(v)
        return {**config, "axis": self.axis or None, "mean": plain(self.input_mean), "variance": plain(self.input_variance)}


class Resizing(Augmentation):
    """Images in another size, by `interpolation`, in the compute dtype; integers are rounded first, as in Keras.

    Args:
        crop_to_aspect_ratio: cut the images to the new ratio first.
        pad_to_aspect_ratio: pad them instead (fill_mode, fill_value).
        antialias: smooth when shrinking.
        height, width: size of the result, in pixels.

    Inputs (batch, height, width, channels), one image, or a dict with "images" and "segmentation_masks", "bounding_boxes" (of
    `bounding_box_format`), "labels".
    """

    draws, always, geometric = False, True, True

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: TensorLike = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = positive(self, height=height), positive(self, width=width)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value, self.antialias = fill_mode, fill_value, antialias

    def transform_images(self, images: Tensor, transformation: Any = None, training: bool = True) -> Any:
        return in_dtype(self._resized(images, self.interpolation, self.antialias), self.compute_dtype)

    def changed_masks(self, masks: Tensor) -> Any:
        return self._resized(masks, "nearest", False)

    def _resized(self, images: Tensor, interpolation, antialias):
        return ops.image.resize(
            images,
            (self.height, self.width),
            interpolation=interpolation,
            antialias=antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def changed_boxes(self, boxes: Any, height: Any, width: Any) -> Any:
        top, left, tall, wide = 0, 0, height, width
        if self.crop_to_aspect_ratio:
            top, left, tall, wide = middle_part(height, width, self.height, self.width)
        elif self.pad_to_aspect_ratio:
            tall, wide = max(height, int(width * self.height / self.width)), max(width, int(height * self.width / self.height))
            top, left = (height - tall) // 2, (width - wide) // 2
        return moved(boxes, top, left, self.height / tall, self.width / wide)

    def output_size(self, height: Any, width: Any) -> tuple[Any, Any]:
        return self.height, self.width


class CenterCrop(Augmentation):
    """The middle of images; images that are too small are resized, keeping their ratio, and then cropped.

    Dicts of images, masks and bounding boxes are cropped together, as in Resizing.

    Args:
        height, width: size of the result, in pixels.
    """

    draws, always, geometric, moves = False, True, True, True

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = positive(self, height=height), positive(self, width=width)

    def changed(self, images: Tensor, interpolation: str = "bilinear") -> Any:
        rows = self.rows_axis
        height, width = images.shape[rows], images.shape[rows + 1]
        if height < self.height or width < self.width:
            options = {"interpolation": interpolation, "crop_to_aspect_ratio": True, "data_format": self.data_format}
            return in_dtype(ops.image.resize(images, (self.height, self.width), **options), images.dtype)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        index = [slice(None)] * images.ndim
        index[rows], index[rows + 1] = slice(top, top + self.height), slice(left, left + self.width)
        return images[tuple(index)]

    def changed_masks(self, masks: Tensor) -> Any:
        return self.changed(masks, interpolation="nearest")

    def changed_boxes(self, boxes: Any, height: Any, width: Any) -> Any:
        if height >= self.height and width >= self.width:
            return moved(boxes, (height - self.height) // 2, (width - self.width) // 2)
        top, left, tall, wide = middle_part(height, width, self.height, self.width)
        return moved(boxes, top, left, self.height / tall, self.width / wide)

    def output_size(self, height: Any, width: Any) -> tuple[Any, Any]:
        return self.height, self.width
