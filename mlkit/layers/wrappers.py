"""Layers around functions and layers: Lambda, Identity, Masking, Wrapper."""

import inspect
from collections.abc import Callable
from typing import Any

from mlkit import ops
from mlkit.core.typing import TensorLike
from mlkit.layers.activation import Pointwise
from mlkit.layers.layer import Layer
from mlkit.objects.config_object import serialized
from mlkit.objects.serialization import check_safe_mode


class Identity(Pointwise):
    """Returns its inputs.

    Input: any shape; the output has it.
    """

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """A function as a layer. `function(inputs, **arguments)`; it may take `mask` and `training`.

    Args:
        output_shape: accepted for Keras code; the shape is found by running the function.
        mask: a mask for the outputs, or a function ``(inputs, mask) -> mask``.
        arguments: fixed keyword arguments. Saved by the function's name; give the function again with `custom_objects` when
            loading.
        function: function of the inputs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.function, self.arguments = function, arguments or {}
        self._output_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None
        parameters = inspect.signature(function).parameters if callable(function) else {}
        self._extra = [name for name in ("mask", "training") if name in parameters]

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        given = {"mask": mask, "training": training}
        return self.function(inputs, **{**self.arguments, **{name: given[name] for name in self._extra}})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        config = {k: v for k, v in super().get_config().items() if k in ("name", "trainable", "dtype")}
        config["function"] = serialized(self.function)
        if self._output_shape is not None:
            config["output_shape"] = serialized(self._output_shape)
        if self.mask is not None:
            config["mask"] = serialized(self.mask)
        config["arguments"] = serialized(self.arguments)
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None, safe_mode: bool | None = None
    ) -> "Lambda":
        check_safe_mode(safe_mode is not False)
        return super().from_config(config, custom_objects)


class Masking(Pointwise):
    """Marks steps whose features all equal `mask_value` as absent, and sets them to 0: later layers skip them.

    Args:
        mask_value: the value that all features of a masked step have.

    Input: (batch, time, features); the output has its shape.
    """

    def __init__(self, mask_value: TensorLike = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        present = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.where(present, inputs, 0)  # not a product: NaN may stand where nothing counts


class Wrapper(Layer):
    """Base of layers around one other layer, kept as `layer`.

    Args:
        layer: the layer within.

    Input and output: the shapes of the layer within, unless a subclass says otherwise.
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: `layer` must be a Layer, but got {layer!r}.")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
