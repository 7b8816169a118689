"""Layers as plain data, and back."""

from typing import Any

from mlkit.layers.layer import Layer
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer as data that JSON can hold.

    Args:
        layer: the layer.
    """
    return serialize_keras_object(layer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Layer:
    """The layer that `serialize` wrote.

    Args:
        custom_objects: dict name -> class or function, for those of yours that are not registered.

    Raises ValueError for the config of something else.

    >>> from mlkit import layers
    >>> layers.deserialize(layers.serialize(layers.Dense(3))).units
    3
    """
    made = deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(made, Layer):
        raise ValueError(f"layers.deserialize: the config describes no layer but {made!r}.")
    return made
