"""Layers that change shapes."""

from collections.abc import Sequence
from typing import Any

from mlkit import ops
from mlkit.core.spec import Dim, size_of
from mlkit.core.typing import Shape
from mlkit.layers.argument_checks import layout
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer


class Flatten(Layer):
    """All axes but the batch axis joined to one: (batch, ...) -> (batch, n). channels_first inputs are flattened as
    channels_last."""

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = layout(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        x = inputs
        if self.data_format == "channels_first" and x.ndim > 2:
            x = ops.transpose(x, (0, *range(2, x.ndim), 1))
        return ops.reshape(x, (x.shape[0], size_of(x.shape[1:])))


class Reshape(Layer):
    """The elements of each sample in another shape: (batch, ...) -> (batch, *target_shape). One size may be -1: what fits.

    Args:
        target_shape: sizes without the batch; one of them may be -1.
    """

    def __init__(self, target_shape: Shape, **kwargs: Any):
        super().__init__(**kwargs)
        target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if sum(s == -1 for s in target_shape) > 1 or any(not isinstance(s, int) or s < -1 for s in target_shape):
            raise ValueError(f"Reshape: `target_shape` must hold sizes and at most one -1, but got {target_shape}.")
        self.target_shape = target_shape

    def call(self, inputs: Any) -> Any:
        given = size_of(inputs.shape[1:])
        fixed = size_of(s for s in self.target_shape if s != -1)
        if type(given) is not Dim and (given % fixed if -1 in self.target_shape and fixed else given != fixed):
            raise ValueError(
                f"Reshape: samples of shape {inputs.shape[1:]} have {given} elements, which do not fit target_shape "
                f"{self.target_shape}."
            )
        if -1 in self.target_shape and type(given) is not Dim:
            return ops.reshape(inputs, (inputs.shape[0], *(given // fixed if s == -1 else s for s in self.target_shape)))
        return ops.reshape(inputs, (inputs.shape[0], *self.target_shape))


class Permute(Layer):
    """The axes of each sample in another order: `dims` numbers them from 1.

    Args:
        dims: the new order of the axes, counted from 1, without the batch.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: `dims` must be a permutation of 1, 2, ..., but got {self.dims}.")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """(batch, features) -> (batch, n, features).

    Args:
        n: number of steps.
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(n, int):
            raise TypeError(f"RepeatVector: `n` must be an integer, but got {n!r}.")
        if n < 1:
            raise ValueError(f"RepeatVector: `n` must be at least 1, but got {n}.")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (inputs.shape[0], self.n, inputs.shape[1]))
