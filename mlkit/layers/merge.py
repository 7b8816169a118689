"""Layers that join several inputs to one."""

from mlkit import ops
from mlkit.layers.layer import Layer

__all__ = ["Add", "Concatenate"]


class Merge(Layer):
    """Several tensors combined element by element. Inputs: list of tensors of equal shapes, or shapes that broadcast."""

    def build(self, input_shape):
        if not isinstance(input_shape, (list, tuple)) or not input_shape or not isinstance(input_shape[0], (list, tuple)):
            raise ValueError(f"{type(self).__name__} {self.path!r} must be called on a list of tensors, but got an input of shape {input_shape}.")

    def call(self, inputs):
        out = inputs[0]
        for x in inputs[1:]:
            out = self.merge(out, x)
        return out

    def merge(self, a, b):
        """Two of the inputs combined."""
        raise NotImplementedError(f"{type(self).__name__} does not define `merge(a, b)`.")


class Add(Merge):
    """The sum of the inputs."""

    def merge(self, a, b):
        return ops.add(a, b)


class Concatenate(Merge):
    """The inputs one after the other along `axis`; their other axes have equal sizes."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        return ops.concatenate(list(inputs), axis=self.axis)
