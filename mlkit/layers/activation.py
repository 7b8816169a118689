"""Activations as layers."""

from typing import Any

from mlkit import activations, ops
from mlkit.core.spec import Dim
from mlkit.core.typing import Axis, Identifier
from mlkit.layers.argument_checks import axes_of
from mlkit.layers.input_spec import InputSpec
from mlkit.layers.layer import Layer
from mlkit.layers.weights import weights


class Pointwise(Layer):
    """Base of layers without weights whose output has the shape, and the mask, of the input."""

    supports_masking = True
    _needs_no_build = True


class Activation(Pointwise):
    """Applies an activation function, given by name or as a function. Output shape = input shape."""

    def __init__(self, activation: Identifier, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class ReLU(Pointwise):
    """``max(x, 0)``, with options: at most `max_value`; `negative_slope` below `threshold`.

    Args:
        max_value: the largest value of the result, or None.
        negative_slope: slope below `threshold`.
        threshold: values at or below it give 0, or what the slope gives.
    """

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None and name == "max_value":
                continue
            if value is None or value < 0:
                raise ValueError(f"ReLU: `{name}` must not be negative, but got {value!r}.")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold)


class LeakyReLU(Pointwise):
    """``x`` above 0, ``negative_slope * x`` below (Maas et al., 2013).

    Args:
        negative_slope: slope below 0.

    Input: any shape; the output has it.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"LeakyReLU: `negative_slope` must not be negative, but got {negative_slope!r}.")
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class ELU(Pointwise):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below (Clevert et al., 2015).

    Args:
        alpha: minus the limit for very negative inputs.

    Input: any shape; the output has it.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, alpha=self.alpha)


@weights(alpha="Zeros")
class PReLU(Layer):
    """``x`` above 0, ``alpha * x`` below, with one learned `alpha` per element of a sample (He et al., 2015).

    Args:
        shared_axes: axes (from 1) along which alpha is one and the same, such as [1, 2] for one per channel of images.
    """

    supports_masking = True

    def __init__(self, *, shared_axes: Axis = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.shared_axes = shared_axes if shared_axes is None else list(axes_of(shared_axes))

    def build(self, input_shape: Any) -> None:
        shared = self.shared_axes or []
        if any(not 1 <= axis < len(input_shape) for axis in shared):
            raise ValueError(
                f"PReLU {self.path!r}: `shared_axes` {shared} must lie in 1 to {len(input_shape) - 1} for inputs of shape "
                f"{input_shape}."
            )
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(input_shape[1:], 1))
        if None in shape:
            raise ValueError(
                f"PReLU {self.path!r}: axes of unknown size must be among `shared_axes`, but the shape is {input_shape}."
            )
        self.alpha = self._make_weight("alpha", shape)
        axes = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in shared} if shared else {}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)


class Softmax(Pointwise):
    """Exponentials normalized to sum 1 along `axis` (an int or several). `mask`: False elements get probability 0.

    Args:
        axis: an axis or several, along which the sum is 1.
    """

    def __init__(self, axis: Axis = -1, **kwargs: Any):
        super().__init__(**kwargs)
        axes_of(axis)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return self._softmax(inputs)
        if mask.ndim > inputs.ndim or not _broadcasts(mask.shape, inputs.shape):
            raise ValueError(f"Softmax: a mask of shape {mask.shape} does not broadcast to inputs of shape {inputs.shape}.")
        mask = mask if mask.dtype == "bool" else mask > 0.5
        lowest = -3e4 if inputs.dtype == "float16" else -1e9
        return ops.where(
            mask, self._softmax(ops.where(mask, inputs, ops.cast(lowest, inputs.dtype))), ops.cast(0, inputs.dtype)
        )

    def _softmax(self, x):
        if isinstance(self.axis, int):
            return ops.softmax(x, axis=self.axis)
        if len(self.axis) == 1:
            return ops.softmax(x, axis=self.axis[0])
        return ops.exp(x - ops.logsumexp(x, axis=tuple(self.axis), keepdims=True))


def _broadcasts(shape, to):
    return all(a == b or a == 1 or Dim in (type(a), type(b)) for a, b in zip(reversed(shape), reversed(to)))
