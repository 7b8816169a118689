"""Copies of models, and models from JSON."""

import json
from collections.abc import Callable
from typing import Any

from mlkit.core import tree
from mlkit.core.typing import Structure
from mlkit.layers.input_layer import Input, InputLayer
from mlkit.layers.layer import Layer
from mlkit.models.model import Functional, Model
from mlkit.models.sequential import Sequential
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.objects.serialization import deserialize_keras_object

__all__ = ["clone_model", "model_from_json"]


def clone_model(
    model: Model,
    input_tensors: Structure = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Model:
    """A model of the same architecture with new layers and newly initialized weights.

    Args:
        input_tensors: KerasTensors to start from.
        clone_function: layer -> layer, by default a copy by config.
        call_function: called as ``call_function(layer, *args, **kwargs)`` in place of the cloned layer.
        recursive: clone nested models layer by layer too.
        model: a Sequential or functional model; one of a class of yours is made anew from its config.

    >>> import mlkit
    >>> model = mlkit.Sequential([mlkit.Input((3,)), mlkit.layers.Dense(2)])
    >>> mlkit.models.clone_model(model).count_params()
    8
    """
    if kwargs:
        raise ValueError(f"clone_model: unknown arguments {sorted(kwargs)}.")

    def copy(layer: Layer) -> Layer:
        if recursive and isinstance(layer, Model) and layer._graph is not None:
            return clone_model(layer, clone_function=clone_function, call_function=call_function, recursive=True)
        return clone_function(layer) if clone_function is not None else type(layer).from_config(layer.get_config())

    if isinstance(model, Sequential):
        return _clone_sequential(model, input_tensors, copy, call_function)
    if model._graph is None:
        if any(a is not None for a in (input_tensors, clone_function, call_function)):
            raise ValueError(
                "clone_model: `input_tensors`, `clone_function` and `call_function` need a functional or Sequential model."
            )
        return type(model).from_config(model.get_config())
    return _clone_functional(model, input_tensors, copy, call_function)


def _clone_sequential(
    model: Sequential, input_tensors: Structure, copy: Callable[[Layer], Layer], call_function: Callable[..., Any] | None
) -> Sequential:
    if call_function is not None:
        raise ValueError("clone_model: `call_function` needs a functional model.")
    layers = [copy(layer) if not isinstance(layer, InputLayer) else layer for layer in model._stack]
    if input_tensors is not None:
        symbol = tree.flatten(input_tensors)[0]
        layers = [InputLayer(input_tensor=symbol), *(layer for layer in layers if not isinstance(layer, InputLayer))]
    elif layers and isinstance(layers[0], InputLayer):
        layers[0] = InputLayer.from_config(layers[0].get_config())
    return Sequential(layers, name=model.name, trainable=model.trainable)


def _clone_functional(
    model: Model, input_tensors: Structure, copy: Callable[[Layer], Layer], call_function: Callable[..., Any] | None
) -> Model:
    clones = {}

    def call(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if id(operation) not in clones:
            clones[id(operation)] = copy(operation) if isinstance(operation, Layer) else operation
        clone = clones[id(operation)]
        return clone(*args, **kwargs) if call_function is None else call_function(clone, *args, **kwargs)

    graph = model._graph
    if input_tensors is None:
        inputs = tree.map_structure(
            lambda t: Input(batch_shape=t.shape, dtype=t.dtype, name=t._keras_history.operation.name), graph._inputs_struct
        )
    else:
        flat = tree.flatten(input_tensors)
        if any(not isinstance(t, KerasTensor) for t in flat):
            raise ValueError(f"clone_model: `input_tensors` must be KerasTensors, but got {input_tensors!r}.")
        try:
            tree.assert_same_structure(tree.lists_to_tuples(input_tensors), tree.lists_to_tuples(graph._inputs_struct))
        except ValueError as error:
            raise ValueError(f"clone_model: `input_tensors` must have the same structure as model.input. {error}") from error
        inputs = tree.pack_sequence_as(graph._inputs_struct, flat)
    outputs = graph.run(inputs, call)
    return Functional(inputs, outputs, name=model.name)


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Model:
    """The model that `model.to_json()` described, with newly initialized weights.

    Args:
        json_string: what `to_json` gave.
        custom_objects: dict name -> class or function, for those of yours that are not registered.
    """
    return deserialize_keras_object(json.loads(json_string), custom_objects=custom_objects)
