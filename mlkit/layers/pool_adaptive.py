"""Pooling to a given output size, whatever the input size."""

from typing import Any

from mlkit import ops
from mlkit.core.typing import IntOrSequence
from mlkit.layers.argument_checks import as_tuple, layout
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer


class AdaptivePooling(Layer):
    """Base: windows are chosen so that the spatial axes get given sizes.

    Args:
        output_size: these sizes, an int or one per spatial axis.
    """

    rank = None
    _needs_no_build = True

    def __init__(self, output_size: IntOrSequence, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(output_size, (int, tuple, list)):
            raise TypeError(
                f"{type(self).__name__}: `output_size` must be an integer or {self.rank} of them, but got {output_size!r}."
            )
        self.output_size, self.data_format = as_tuple(output_size, self.rank, "output_size"), layout(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)


class _Average(AdaptivePooling):
    def call(self, inputs: Any) -> Any:
        return ops.adaptive_average_pool(inputs, self.output_size, data_format=self.data_format)


class _Max(AdaptivePooling):
    def call(self, inputs: Any) -> Any:
        return ops.adaptive_max_pool(inputs, self.output_size, data_format=self.data_format)


class AdaptiveAveragePooling1D(_Average):
    """Means of windows of sequences: (batch, steps, channels) -> (batch, output_size, channels)."""

    rank = 1


class AdaptiveAveragePooling2D(_Average):
    """Means of windows of images: (batch, height, width, channels) -> (batch, *output_size, channels).

    >>> import mlkit
    >>> mlkit.layers.AdaptiveAveragePooling2D(2)(mlkit.ops.ones((1, 7, 5, 3))).shape
    (1, 2, 2, 3)
    """

    rank = 2


class AdaptiveAveragePooling3D(_Average):
    """Means of windows of volumes."""

    rank = 3


class AdaptiveMaxPooling1D(_Max):
    """Largest values of windows of sequences: (batch, steps, channels) -> (batch, output_size, channels)."""

    rank = 1


class AdaptiveMaxPooling2D(_Max):
    """Largest values of windows of images."""

    rank = 2


class AdaptiveMaxPooling3D(_Max):
    """Largest values of windows of volumes."""

    rank = 3
