"""Objects of one kind by name: what the `get`, `serialize` and `deserialize` of initializers, optimizers, losses ... share."""

import inspect
import sys
from collections.abc import Iterable
from typing import Any

from mlkit.core.deferred import Deferred
from mlkit.core.messages import explained
from mlkit.core.names import to_snake_case
from mlkit.objects import registry
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object

difflib = Deferred("difflib")  # brings much with it that only one message needs


class Lookup:
    """The built-in objects of one kind, found by name, class, serialized form, or passed through.

    kind: what messages call them, for example "initializer". module: the name of the one that has them. names: of classes or
    functions there. aliases: further name -> name.

    >>> from mlkit.regularizers import L2
    >>> regularizers = Lookup("regularizer", "mlkit.regularizers", ["L1", "L2"], aliases={"ridge": "L2"})
    >>> regularizers.find("l2") is regularizers.find("L2") is regularizers.find("ridge") is L2
    True
    """

    def __init__(self, kind: str, module: str, names: Iterable[str], aliases: dict[str, str] | None = None):
        self.kind, self.module = kind, module
        self.names: dict[str, str] = {}  # as users write it -> in the module
        for name in names:
            self.names.update({name: name, to_snake_case(name): name, name.lower(): name})
        self.names.update(aliases or {})

    def builtin(self, name: str) -> Any:
        """The class or function of that name, or None."""
        return getattr(sys.modules[self.module], self.names[name]) if name in self.names else None

    def find(self, name: str, custom_objects: dict[str, Any] | None = None) -> Any:
        """The class or function of that name, or None. Users' registered objects come after the built-in ones."""
        found = self.builtin(name)
        if found is not None:
            return found
        return registry.get_registered_object(name, custom_objects=custom_objects) or self.builtin(name.lower())

    def get(self, identifier: Any) -> Any:
        """An object from its name, its class, its serialized form, or itself. None gives None.

        Raises ValueError where nothing fits; the message proposes names that are near.
        """
        if identifier is None:
            return None
        if isinstance(identifier, dict):
            found = self.deserialize(identifier)
        else:
            found = self.find(identifier) if isinstance(identifier, str) else identifier
        if inspect.isclass(found):
            found = found()
        if not callable(found):
            raise explained(ValueError(self.unknown(identifier)), "could-not-interpret-the-activation-function-did-you-mean")
        return found

    def unknown(self, identifier: Any) -> str:
        """The message for something that is no such object."""
        near = difflib.get_close_matches(identifier, self.names, n=3) if isinstance(identifier, str) else ()
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        return (
            f"Could not interpret the {self.kind} {identifier!r}.{hint} Expected a name, a serialized config or an object of "
            "that kind; own ones are found by name after `register_keras_serializable`."
        )

    def serialize(self, obj: Any) -> Any:
        """The object as plain data, which `deserialize` reads: a dict, or the name of a function."""
        return serialize_keras_object(obj)

    def deserialize(self, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        """An object from what `serialize` returned, or from the short form ``{"class_name": ..., "config": {...}}``."""
        if isinstance(config, dict) and "class_name" in config and "module" not in config:
            cls = self.find(config["class_name"], custom_objects)
            if cls is None:
                raise ValueError(self.unknown(config["class_name"]))
            return cls.from_config(dict(config.get("config") or {}))
        if isinstance(config, str):
            found = self.find(config, custom_objects)
            if found is None:
                raise ValueError(self.unknown(config))
            return found
        return deserialize_keras_object(config, custom_objects=custom_objects)
