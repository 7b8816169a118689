"""Layers that add or remove margins of images and sequences, or repeat their positions."""

from typing import Any

from mlkit import ops
from mlkit.core.spec import Dim
from mlkit.core.typing import IntOrSequence, Structure
from mlkit.layers.argument_checks import as_tuple, layout
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.ops.nn.spatial import from_last, to_last
from mlkit.primitives.fused import resample


def _pairs(value: Structure, n, name):
    """An int, n ints, or n pairs -> a tuple of n pairs (before, after)."""
    if isinstance(value, int):
        value = (value,) * n
    elif n == 1:
        value = (value,)
    fits = isinstance(value, (tuple, list)) and len(value) == n and (n > 1 or isinstance(value[0], (tuple, list, int)))
    if not fits:
        raise ValueError(f"`{name}` must be an int, {n} ints or {n} pairs of ints, but got {value!r}.")
    return tuple(as_tuple(v, 2, name, zero=True) for v in value)


class _Spatial(Layer):
    """Base of layers that treat the spatial axes alone."""

    rank = None
    _needs_no_build = True

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = "channels_last" if self.rank == 1 and data_format is None else layout(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def first(self):
        """Number of the first spatial axis."""
        return 1 if self.data_format == "channels_last" else 2


class _ZeroPadding(_Spatial):
    """Zeros around the spatial axes.

    Args:
        padding: number of zeros at each end: an int, one int per axis, or one pair (before, after) per axis.
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._pairs = _pairs(padding, self.rank, "padding")
        self.padding = self._pairs[0] if self.rank == 1 else self._pairs

    def call(self, inputs: Any) -> Any:
        margins = [(0, 0)] * inputs.ndim
        margins[self.first : self.first + self.rank] = self._pairs
        return ops.pad(inputs, tuple(margins))


class _Cropping(_Spatial):
    """Without some positions at the ends of the spatial axes.

    Args:
        cropping: positions cut off at each end: an int, one int per axis, or one pair (before, after) per axis.
    """

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._pairs = _pairs(cropping, self.rank, "cropping")
        self.cropping = self._pairs[0] if self.rank == 1 else self._pairs

    def call(self, inputs: Any) -> Any:
        index = [slice(None)] * inputs.ndim
        for axis, (before, after) in enumerate(self._pairs, self.first):
            size = inputs.shape[axis]
            if type(size) is not Dim and before + after >= size:
                raise ValueError(
                    f"{type(self).__name__}: cropping {(before, after)} leaves nothing of axis {axis} with size {size}."
                )
            index[axis] = slice(before, size - after)
        return inputs[tuple(index)]


class _UpSampling(_Spatial):
    """Each position repeated along the spatial axes.

    Args:
        size: how many times, an int or one per spatial axis.
    """

    def __init__(self, size: IntOrSequence = 2, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        if self.rank == 1 and (not isinstance(size, int) or isinstance(size, bool)):
            raise TypeError(f"UpSampling1D: `size` must be an integer, but got {size!r}.")
        sizes = as_tuple(size, self.rank, "size")
        self.size = sizes[0] if self.rank == 1 else sizes

    def call(self, inputs: Any) -> Any:
        last = self.data_format == "channels_last"
        x = to_last(inputs, last)
        factors = (self.size,) if self.rank == 1 else self.size
        size = tuple(n * factor for n, factor in zip(x.shape[1:-1], factors))
        return from_last(resample(x, size=size, method="nearest"), last)


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after sequences (batch, steps, channels)."""

    rank = 1


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images."""

    rank = 2


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes."""

    rank = 3


class Cropping1D(_Cropping):
    """Sequences without some steps at the ends."""

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__(cropping, **kwargs)


class Cropping2D(_Cropping):
    """Images without some rows and columns at the borders."""

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(cropping, data_format, **kwargs)


class Cropping3D(_Cropping):
    """Volumes without some planes at the borders."""

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any):
        super().__init__(cropping, data_format, **kwargs)


class UpSampling1D(_UpSampling):
    """Each step of (batch, steps, channels) repeated `size` times."""

    rank = 1

    def __init__(self, size: IntOrSequence = 2, **kwargs: Any):
        super().__init__(size, **kwargs)


class UpSampling2D(_UpSampling):
    """Images enlarged by whole factors. interpolation: "nearest" repeats pixels; others as `ops.image.resize`."""

    rank = 2

    def __init__(
        self, size: IntOrSequence = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ):
        super().__init__(size, data_format, **kwargs)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = interpolation.lower()
        if self.interpolation not in known:
            raise ValueError(f"UpSampling2D: `interpolation` must be one of {known}, but got {interpolation!r}.")

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        h, w = inputs.shape[self.first], inputs.shape[self.first + 1]
        return ops.image.resize(
            inputs, (h * self.size[0], w * self.size[1]), interpolation=self.interpolation, data_format=self.data_format
        )


class UpSampling3D(_UpSampling):
    """Volumes enlarged by repeating voxels."""

    rank = 3

    def __init__(self, size: IntOrSequence = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(size, data_format, **kwargs)
