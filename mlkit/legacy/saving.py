"""Objects as Keras 2 wrote them: ``{"class_name", "config"}`` without a module, functions by their names."""

import inspect
from typing import Any

from mlkit.models.saving.keras2_config import modernized
from mlkit.objects import registry, serialization

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


def serialize_keras_object(instance: Any) -> Any:
    """An object in the older form.

    instance: an object with `get_config`, a function, or None.

    >>> from mlkit import regularizers
    >>> serialize_keras_object(regularizers.L2(0.5))
    {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    if instance is None:
        return None
    if inspect.isroutine(instance):
        return registry.get_registered_name(instance)
    form = serialization.serialize_keras_object(instance)
    return {"class_name": form["registered_name"] or form["class_name"], "config": form["config"]}


def deserialize_keras_object(
    identifier: Any,
    module_objects: dict[str, Any] | None = None,
    custom_objects: dict[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object or function of an older form.

    identifier: a name, or ``{"class_name", "config"}``; None gives None. module_objects, custom_objects: dicts name -> class or
    function to look names up in. printable_module_name: what it is, for messages.

    Raises ValueError for what is unknown.

    >>> deserialize_keras_object({"class_name": "L2", "config": {"l2": 0.5}}).l2
    0.5
    """
    if identifier is None or inspect.isroutine(identifier):
        return identifier
    with registry.CustomObjectScope(custom_objects):
        if isinstance(identifier, str):
            found = registry.get_registered_object(identifier, module_objects=module_objects)
            found = registry.builtin_function(identifier) if found is None else found
            if found is None:
                raise ValueError(
                    f"Unknown {printable_module_name}: {identifier!r}. If it is yours, pass it in `custom_objects`."
                )
            return found() if inspect.isclass(found) else found
        try:
            return serialization.deserialize_keras_object(modernized(identifier), module_objects=module_objects)
        except TypeError as error:
            raise ValueError(f"Unknown {printable_module_name}: {error}") from error
