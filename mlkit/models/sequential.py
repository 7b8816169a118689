"""Sequential: a model that is a list of layers."""

from collections.abc import Callable, Iterable
from typing import Any

from mlkit import layers, ops
from mlkit.core import dtypes, locks, tree
from mlkit.core.spec import show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure
from mlkit.layers import in_tensorflow
from mlkit.layers.call_info import call_info
from mlkit.layers.input_layer import InputLayer
from mlkit.layers.layer import Layer
from mlkit.models.function import with_arrays
from mlkit.models.model import Model
from mlkit.objects.config_object import serialized
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["Sequential"]


class Sequential(Model):
    """Layers that are applied one after the other, each with one input and one output.

    Args:
        layers: list of layers; an `Input` first makes the weights at once, without it they are made at the first call.
        trainable: whether training changes its weights.
        name: of the model.

    >>> import mlkit
    >>> model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(3, activation="relu"), mlkit.layers.Dense(2)])
    >>> model.output_shape
    (None, 2)
    """

    _is_functional, _is_made_of_layers = False, True
    _sizes_from_data = False  # whether the first inputs gave the input shape, and nobody stated it

    def __init__(self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None, **kwargs: Any):
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._stack = []  # InputLayer first, if there is one
        names = set()
        for layer in layers or ():
            self._append(layer, names)
        self._build_if_known()

    def add(self, layer: Layer | KerasTensor | Callable[..., Any], rebuild: bool = True) -> None:
        """Append a layer (or a KerasTensor made by `Input` as the first one)."""
        known, before = self._graph, len(self._stack)
        self._append(layer, {other.name for other in self._stack})
        self._forget_graph()
        try:
            if rebuild and known is not None:  # what stands before it is not connected again
                self._connect(known._inputs_struct, self._stack[before:], known._outputs_struct)
            elif rebuild:
                self._build_if_known()
        except BaseException:  # a layer that does not fit is not there
            del self._stack[before:]
            self._build_if_known()
            raise

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it."""
        layer = self._stack.pop()
        self._forget_graph()
        if rebuild:
            self._build_if_known()
        return layer

    def _append(self, layer: Any, names: set[str]) -> None:
        """names: of the layers so far, to which that of this one comes."""
        if isinstance(layer, KerasTensor) and layer._keras_history is not None:
            layer = layer._keras_history.operation
        if not isinstance(layer, Layer):
            if not callable(layer):
                raise ValueError(f"Sequential: only layers can be added, but got {layer!r} of type {type(layer).__name__}.")
            layer = layers.Lambda(layer)
        if isinstance(layer, InputLayer) and self._stack:
            raise ValueError(f"Sequential {self.name!r}: an Input must be the first layer, but there are layers already.")
        if layer.name in names:
            raise ValueError(f"Sequential {self.name!r}: two layers have the name {layer.name!r}. Names must be unique.")
        if not self._stack and layer._input_shape_arg is not None:
            self._stack.append(InputLayer(shape=layer._input_shape_arg))
        elif not self._stack and isinstance(layer, Model) and layer._graph is not None and len(layer.inputs) == 1:
            self._stack.append(InputLayer(batch_shape=layer.inputs[0].shape, dtype=layer.inputs[0].dtype))
        self._stack.append(layer)
        names.update(other.name for other in self._stack[-2:])  # an input layer may have come before it

    def _forget_graph(self) -> None:
        self._graph, self.built = None, False
        self._programs = {}

    def _build_if_known(self) -> None:
        self._forget_graph()
        if len(self._stack) > 1 and isinstance(self._stack[0], InputLayer):
            self._connect(self._stack[0].output)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights of all layers for inputs of this shape."""
        if input_shape is None:
            return
        if self._graph is not None:
            return self._check_known_shape(input_shape)
        self._check_not_empty()
        if not isinstance(input_shape, (tuple, list)) or any(isinstance(s, (tuple, list)) for s in input_shape):
            self._build_structured(input_shape)
        elif isinstance(self._stack[0], InputLayer):
            self._connect(self._stack[0].output)
        else:
            dtype = self._stack[0]._reads or dtypes.single_of(self.compute_dtype)
            self._stack.insert(0, InputLayer(batch_shape=tuple(input_shape), dtype=dtype))
            self._connect(self._stack[0].output)

    def _check_not_empty(self) -> None:
        if not self._stack:
            raise ValueError(f"Sequential {self.name!r} has no layers and cannot be built or called. Add layers first.")

    def _check_known_shape(self, input_shape: Any) -> None:
        known = self.input_shape
        if not (_one_fits(known, input_shape) if tree.is_shape(known) else known == input_shape):
            raise ValueError(
                f"Sequential {self.name!r} has already been configured to use input shape {known}, "
                f"so it cannot be built for {input_shape}. Make a new model for that shape."
            )

    def _build_structured(self, input_shape: Any) -> None:
        inputs = tree.map_shape_structure(lambda s: InputLayer(batch_shape=s).output, input_shape)
        self._connect(inputs)

    def _connect(self, inputs: Structure, added: list[Layer] | None = None, x: Structure = None) -> None:
        """Make the graph of all layers, or of those added behind x, which comes from the inputs."""
        added, x = (self._stack, inputs) if added is None else (added, x)
        try:
            with self._scoped():
                for layer in added:
                    if not isinstance(layer, InputLayer):
                        x = layer(x)
        except TypeError as error:
            required = call_info(type(layer)).required
            if len(required) == 1:
                raise
            raise ValueError(
                f"Sequential {self.name!r}: a layer can only have a single required positional argument, the input tensor, "
                f"but `call` of layer {layer.name!r} requires {required}. Give the others defaults, or use the functional API."
            ) from error
        except NotImplementedError:
            return  # a layer without symbolic form: run layer by layer on data
        self._set_graph(inputs, x, self._sizes_from_data)

    _notes_masks = Layer._notes_masks  # as in Keras, where a Sequential converts its input like a layer

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._graph is not None:
            return self._graph.call(inputs, mask)
        x = inputs
        for layer in self._stack:
            if not isinstance(layer, InputLayer):
                x = layer(x)
        return x

    @property
    def _has_host_part(self) -> bool:
        if self._graph is not None or not self._stack:
            return super()._has_host_part
        return self._stack[0]._takes_strings  # which it is not built yet

    def _prepared(self, inputs: Structure) -> Structure:
        """Inputs as they come into the model's program; see `Model._prepared`."""
        if self._graph is None and self._has_host_part:
            with locks.making:
                if self._graph is None:
                    self._build_for_inputs(with_arrays(inputs))
        return super()._prepared(inputs)

    @in_tensorflow.entrance
    def __call__(self, inputs: Structure, *args: Any, **kwargs: Any) -> Any:
        self._check_not_empty()
        if self._graph is None and not self.built:
            with locks.making:
                if self._graph is None and not self.built:
                    self._build_for_inputs(with_arrays(inputs) if self._has_host_part else inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _build_for_inputs(self, inputs: Structure) -> None:
        def symbol(x: Any) -> KerasTensor:
            if self._has_host_part and dtypes.is_string(x):
                return InputLayer(batch_shape=(None, *x.shape[1:]), dtype=dtypes.STRING).output
            t = x if isinstance(x, (Tensor, KerasTensor)) else ops.convert_to_tensor(x)
            shape = show(t.spec.shape)
            return InputLayer(batch_shape=(None, *shape[1:]) if shape else shape, dtype=_input_dtype(t, self)).output

        if tree.is_nested(inputs):
            self._connect(tree.map_structure(symbol, inputs))
        else:
            x = symbol(inputs)
            if not isinstance(self._stack[0], InputLayer):
                self._stack.insert(0, x._keras_history.operation)
                self._sizes_from_data = True
            self._connect(self._stack[0].output)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input layer."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    @property
    def _layers(self) -> list[Layer]:
        return self.layers

    def get_config(self) -> dict[str, Any]:
        config = {"name": self.name, "trainable": self.trainable, "dtype": serialized(self._dtype_policy)}
        config["layers"] = [serialize_keras_object(layer) for layer in self._stack]
        if self._graph is not None:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Sequential":
        options = {k: v for k, v in config.items() if k in ("name", "trainable")}
        if config.get("dtype") is not None:
            options["dtype"] = (
                deserialize_keras_object(config["dtype"]) if isinstance(config["dtype"], dict) else config["dtype"]
            )
        model = cls(**options)
        for layer in config["layers"]:
            model.add(deserialize_keras_object(layer, custom_objects=custom_objects), rebuild=False)
        model._build_if_known()
        if model._graph is None and config.get("build_input_shape") is not None:
            model.build(config["build_input_shape"])
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        return {"input_shape": self.input_shape} if self._graph is not None else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        if config and config.get("input_shape") is not None and self._graph is None:
            self.build(config["input_shape"])


def _one_fits(known, shape):
    """Whether a shape agrees with the known one wherever both say a size."""
    return tree.is_shape(shape) and len(shape) == len(known) and all(None in (a, b) or a == b for a, b in zip(known, shape))


def _input_dtype(tensor, model):
    is_float = tensor.dtype != dtypes.STRING and dtypes.is_float(tensor.dtype)
    return dtypes.single_of(model.compute_dtype) if is_float else tensor.dtype
