"""Activations as layers."""

from mlkit import activations, ops
from mlkit.layers.layer import Layer

__all__ = ["ELU", "Activation", "LeakyReLU", "ReLU", "Softmax"]


class Activation(Layer):
    """Applies an activation function, given by name or as a function. Output shape = input shape."""

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs):
        return self.activation(inputs)


class ReLU(Layer):
    """``max(x, 0)``, with options: at most `max_value`; `negative_slope` below `threshold`."""

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None and name == "max_value":
                continue
            if value is None or value < 0:
                raise ValueError(f"ReLU: `{name}` must not be negative, but got {value!r}.")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        self.built = True

    def call(self, inputs):
        return activations.relu(inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold)


class LeakyReLU(Layer):
    """``x`` above 0, ``negative_slope * x`` below (Maas et al., 2013)."""

    def __init__(self, negative_slope=0.3, **kwargs):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"LeakyReLU: `negative_slope` must not be negative, but got {negative_slope!r}.")
        self.negative_slope = negative_slope
        self.built = True

    def call(self, inputs):
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class ELU(Layer):
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below (Clevert et al., 2015)."""

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.built = True

    def call(self, inputs):
        return activations.elu(inputs, alpha=self.alpha)


class Softmax(Layer):
    """Exponentials normalized to sum 1 along `axis` (an int or several). `mask`: False elements get probability 0."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.built = True

    def call(self, inputs, mask=None):
        if mask is not None:
            lowest = {"float16": -3e4}.get(inputs.dtype, -1e9)
            inputs = inputs + (1.0 - ops.cast(mask, inputs.dtype)) * lowest
        if isinstance(self.axis, (tuple, list)):
            if len(self.axis) == 1:
                return ops.softmax(inputs, axis=self.axis[0])
            return ops.exp(inputs - ops.logsumexp(inputs, axis=tuple(self.axis), keepdims=True))
        return ops.softmax(inputs, axis=self.axis)
