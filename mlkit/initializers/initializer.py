"""Initializer: the base class, and the fans that the variance-scaling family needs."""

import math
from collections.abc import Sequence

from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, DType, Shape
from mlkit.objects.config_object import Configurable


class Initializer(Configurable):
    """Base class: a callable ``(shape, dtype=None) -> tensor`` that gives a weight its first value.

    >>> from mlkit import ops
    >>> class Alternating(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return ops.reshape(ops.arange(math.prod(shape), dtype=dtype) % 2, shape)
    >>> Alternating()((4,), "float32").numpy()
    array([0., 1., 0., 1.], dtype=float32)
    """

    def __call__(self, shape: Shape, dtype: DType | None = None) -> Tensor:
        """The first value. shape: tuple of ints. dtype: name; `mlkit.config.floatx()` by default."""
        raise NotImplementedError(f"The initializer {type(self).__name__} must define __call__(self, shape, dtype=None).")

    def clone(self) -> "Initializer":
        """An initializer made from the same config. One without a seed draws other numbers."""
        return type(self).from_config(self.get_config())


def compute_fans(shape: Sequence[int], input_axes: Axis = None, output_axes: Axis = None) -> tuple[int, int]:
    """How many inputs and outputs a weight of this shape connects: (fan_in, fan_out).

    shape: of a weight whose last two axes are (inputs, outputs), the ones before them a convolution's window.
    input_axes, output_axes: the axes that count, for weights laid out otherwise; both or none.

    >>> compute_fans((3, 3, 16, 32)), compute_fans((4, 8, 16), input_axes=[0], output_axes=[1, 2])
    ((144, 288), (4, 128))
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        n = math.prod(shape)
        return n, n
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window
