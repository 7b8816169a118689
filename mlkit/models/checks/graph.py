"""What stands at the two ends of a model: the operations that take an input, and the function that makes an output."""

from __future__ import annotations

from typing import Any

from mlkit.activations import serialize
from mlkit.layers.layer import Layer
from mlkit.objects.keras_tensor import node_of

SHAPING = ("Flatten", "Reshape", "Permute", "Dropout", "RepeatVector", "Cropping1D", "Cropping2D", "ZeroPadding2D", "Identity")
RANDOM = ("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomCrop", "CenterCrop", "Resizing")
PASSING = frozenset(SHAPING + RANDOM)  # layers that leave the scale of numbers as it is


def last_activation(model: Any, index: int = 0) -> str | None:
    """The name of the activation that made an output, "linear" where a layer has none; None where it cannot be known."""
    if model._graph is None:
        return None
    tensor = model.outputs[index]
    while tensor._keras_history is not None:
        node = node_of(tensor)
        operation = node.operation
        kind = type(operation).__name__
        if getattr(operation, "_graph", None) is not None:
            return last_activation(operation, tensor._keras_history.tensor_index)
        if kind in ("Softmax", "ReLU", "LeakyReLU", "ELU", "PReLU"):
            return kind.lower()
        if hasattr(operation, "activation"):
            return _name(operation.activation)
        if not isinstance(operation, Layer):
            return operation.name.rsplit("_", 1)[0] if operation.name.startswith(("softmax", "sigmoid", "tanh")) else None
        if kind not in PASSING or len(node.input_tensors) != 1:
            return None
        tensor = node.input_tensors[0]
    return None


def _name(activation):
    if activation is None:
        return "linear"
    name = serialize(activation)
    return name if isinstance(name, str) else None


def first_operations(model: Any, index: int = 0) -> list[Any]:
    """The operations that take an input (by its number) as it is, behind layers that leave its scale; those within a model that
    takes it in its place. All layers, in their order, of a model without a graph."""
    if model._graph is None:
        return list(model._flatten_layers())[1:]
    if index >= len(model.inputs):
        return []
    found, waiting = [], [model.inputs[index]]
    nodes = [node for operation in model.operations for node in operation._inbound_nodes]
    while waiting:
        tensor = waiting.pop()
        for node in nodes:
            place = next((k for k, t in enumerate(node.input_tensors) if t is tensor), None)
            if place is None:
                continue
            operation = node.operation
            if type(operation).__name__ in PASSING:
                waiting += node.output_tensors
            elif getattr(operation, "_graph", None) is not None:
                found += first_operations(operation, place)
            elif operation not in found:
                found.append(operation)
    return found


def followers(model: Any, operation: Any) -> list[Any]:
    """The operations that take what another one gives, in a model or the models within it."""
    if model._graph is None:
        return []
    made = {id(t) for node in operation._inbound_nodes for t in node.output_tensors}
    found = []
    for other in model.operations:
        if getattr(other, "_graph", None) is not None:
            found += followers(other, operation)
        if any(id(t) in made for node in other._inbound_nodes for t in node.input_tensors):
            found.append(other)
    return found
