"""Configurable: an object that can be written down as the arguments it was made with."""

import functools
import inspect
from typing import Any, Self

from mlkit.objects.errors import ConfigError, ModelFileError
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object


class Configurable:
    """Base of layers, losses, metrics, optimizers, initializers ...: `get_config` returns what `__init__` needs to make the
    like.

    Each argument is read back from the attribute of the same name; where a class keeps no such attribute, from the call that
    made the object. Values that are themselves configurable are serialized by `mlkit.saving`. In a class with a `get_config` of
    its own, ``super().get_config()`` holds the arguments of the base's `__init__` only, as in Keras.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if (args or kwargs) and cls.__init__ is object.__init__:  # which says nothing where there is a `__new__`
            raise TypeError(f"{cls.__name__} takes no arguments, but got {', '.join([*map(repr, args), *kwargs])}.")
        self = object.__new__(cls)
        # object.__setattr__: layers watch their attributes, and this one is no state of theirs
        object.__setattr__(self, "_init_call", (args, kwargs))
        return self

    def get_config(self) -> dict[str, Any]:
        """The arguments of `__init__` as a dict of plain values."""
        return {name: serialized(value) for name, value in init_arguments(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """An object made from what `get_config` returned.

        Serialized objects in it are brought back to life for constructors of mlkit; a user's own constructor gets the plain
        config, as in Keras, and calls `deserialize_keras_object` where it wants objects.

        Raises:
            ConfigError: If the arguments are not those of the class; it is a TypeError and a ValueError.
        """
        return made(cls, deserialized_values(config) if is_own(cls.__init__) else config)


def made(cls: type, arguments: dict[str, Any]) -> Any:
    """An object of the class with these arguments, which a config holds."""
    try:
        return cls(**arguments)
    except (ConfigError, ModelFileError):
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(*error.args) from error


def init_arguments(obj: Any) -> dict[str, Any]:
    """name -> value of each argument that the `__init__` to be described takes (keyword catch-alls left out)."""
    args, kwargs = obj._init_call
    try:
        given = init_signature(type(obj)).bind(None, *args, **kwargs).arguments
    except TypeError:  # made by other means, e.g. copied: attributes must do
        given = {}
    values = {}
    for name, parameter in list(init_signature(described(type(obj))).parameters.items())[1:]:  # type: ignore[arg-type]  # classes are hashable
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if hasattr(obj, name):
            values[name] = getattr(obj, name)
        elif name in given:
            values[name] = given[name]
        elif parameter.default is not parameter.empty:
            values[name] = parameter.default
    return values


@functools.cache
def described(cls: type) -> type:
    """The class whose `__init__` the library's `get_config` describes for objects of `cls`: `cls` itself, or the library's class
    behind the last one of a user's that overrides `get_config` and so adds what its own `__init__` takes."""
    line = cls.__mro__
    overriding = [i for i, c in enumerate(line) if "get_config" in vars(c) and not is_own(c)]
    return next(filter(is_own, line[overriding[-1] :]), cls) if overriding else cls


def is_own(obj: Any) -> bool:
    """Whether a class, or a method of one, is the library's."""
    return getattr(obj, "__module__", "mlkit.").startswith("mlkit.")


_signatures: dict[type, inspect.Signature] = {}


def init_signature(cls: type) -> inspect.Signature:
    """Signature of a class's `__init__`, kept."""
    if cls not in _signatures:
        init = cls.__init__  # type: ignore[misc]  # that of this class and no other
        _signatures[cls] = inspect.signature(_any_arguments if init is object.__init__ else init)
    return _signatures[cls]


def _any_arguments(self, /, *args: Any, **kwargs: Any) -> None:
    """What `object.__init__` takes: of a function in C, `inspect` has to parse the signature from a text."""


def serialized(value: Any) -> Any:
    """A config value as plain data: numbers, strings, lists, dicts; configurable objects and functions as their serialized
    form."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value) in (list, tuple):
        return type(value)(map(serialized, value))
    if type(value) is dict:
        return {k: serialized(v) for k, v in value.items()}
    return serialize_keras_object(value)


def deserialized_values(config: dict[str, Any]) -> dict[str, Any]:
    """The values of a config dict with serialized objects in it, and in lists there, brought back to life."""
    return {k: _deserialized(v) for k, v in config.items()}


def _deserialized(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and any(isinstance(v, dict) for v in value):
        return [_deserialized(v) for v in value]
    if isinstance(value, dict) and "class_name" in value:
        return deserialize_keras_object(value)
    return value
