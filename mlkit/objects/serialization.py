"""Objects as plain data and back: `serialize_keras_object` and `deserialize_keras_object`, in the JSON forms of Keras 3."""

import contextlib
import inspect
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

from mlkit.core import dtypes
from mlkit.core.messages import inside
from mlkit.core.tensor import Tensor
from mlkit.objects import registry
from mlkit.objects.errors import ModelFileError
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.objects.variable import Variable
from mlkit.primitives.convert import convert_to_tensor

_PLAIN = (str, int, float, bool)
_place = threading.local()


# ---- writing -------------------------------------------------------------------------------------------------------------


def serialize_keras_object(obj: Any) -> Any:
    """An object as data that JSON can hold.

    Args:
        obj: a layer, model, loss ... (anything with `get_config`), a function by its name, a tensor or array by its values, or
            numbers, strings, lists, tuples and dicts of these.

    Returns dicts with the keys "module", "class_name", "config", "registered_name" for objects, and plain values as they are.

    Raises TypeError for an object without `get_config`.

    >>> from mlkit import regularizers
    >>> serialize_keras_object({"penalty": regularizers.L1(0.5)})["penalty"]["class_name"]
    'L1'
    """
    if obj is None or isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        parts = [serialize_keras_object(x) for x in obj]
        return parts if isinstance(obj, list) else tuple(parts)
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    special = _special_form(obj)
    if special is not None:
        return special
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    if isinstance(obj, np.dtype):
        return dtypes.name_of(obj)
    return _serialize_object(obj)


def _special_form(obj: Any) -> dict[str, Any] | None:
    """The forms marked by a class name in underscores, for values that JSON lacks; None for others."""
    if isinstance(obj, bytes):
        return _form("__bytes__", value=obj.decode("utf-8"))
    if isinstance(obj, slice):
        return _form("__slice__", **{k: serialize_keras_object(getattr(obj, k)) for k in ("start", "stop", "step")})
    if obj is Ellipsis:
        return _form("__ellipsis__")
    if isinstance(obj, KerasTensor):
        return keras_tensor_form(obj)
    if isinstance(obj, (Tensor, Variable)):
        return _form("__tensor__", value=obj.numpy().tolist(), dtype=obj.dtype)
    if isinstance(obj, np.ndarray) and obj.ndim:
        return _form("__numpy__", value=obj.tolist(), dtype=dtypes.name_of(obj.dtype))
    return None


def _form(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": config}


def keras_tensor_form(tensor: KerasTensor) -> dict[str, Any]:
    """A placeholder of a functional model by shape, dtype and the call that made it."""
    history = tensor._keras_history
    place = None if history is None else [history.operation.name, history.node_index, history.tensor_index]
    return _form("__keras_tensor__", shape=tensor.shape, dtype=tensor.dtype, keras_history=place)


def _serialize_object(obj: Any) -> dict[str, Any]:
    if inspect.isroutine(obj):
        return _serialize_function(obj)
    cls = type(obj)
    if not hasattr(obj, "get_config"):
        raise TypeError(f"{obj!r} of type {cls} cannot be saved: its class has no get_config() method.")
    config = obj.get_config()
    if not isinstance(config, dict):
        raise TypeError(f"{cls.__name__}.get_config() must return a dict, but returned {config!r}.")
    module, name = registry.wire_name(cls) or (cls.__module__, cls.__name__)
    own = registry.is_builtin(cls)
    made = {
        "module": None if module == "__main__" else module,
        "class_name": name,
        "config": serialize_keras_object(config),
        # Keras leaves it out for what its namespaces export; Functional is not exported
        "registered_name": None if own and ".src." not in module else registry.get_registered_name(cls),
    }
    for key in ("build_config", "compile_config"):
        get = getattr(obj, f"get_{key}", None)
        value = get() if get is not None else None
        if value is not None:
            made[key] = serialize_keras_object(value)
    sharing = registry.sharing("write")
    if sharing is not None:
        sharing.note_written(obj, made)
    return made


def _serialize_function(function: Callable[..., Any]) -> dict[str, Any]:
    name = registry.get_registered_name(function)
    sharing = registry.sharing("write")
    if name == "<lambda>" and sharing is not None:
        sharing.note_lambda(function)
    built_in = registry.builtin_function(name)
    if built_in is not None and built_in is not function and name != "<lambda>":
        warnings.warn(
            f"Your function {name!r} is saved by name, and mlkit has a function of that name, which loading will take instead. "
            "Rename it, or decorate it with @mlkit.saving.register_keras_serializable().",
            stacklevel=3,
        )
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


# ---- reading -------------------------------------------------------------------------------------------------------------


def deserialize_keras_object(
    config: Any, custom_objects: dict[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object that `serialize_keras_object` wrote.

    Only mlkit's public classes, registered ones and `custom_objects` can come out; names of mlkit's own cannot be given another
    meaning. `safe_mode=False` is refused: a config never carries code that runs here.

    Args:
        config: what it returned, or the same after a trip through JSON.
        custom_objects: dict name -> class or function, for those of yours that are not registered.
        safe_mode: False is refused.
        **kwargs: `module_objects`, a dict name -> class or function to look short names up in.

    Raises TypeError or ValueError, with the place in the config, for anything unknown or malformed.

    >>> deserialize_keras_object({"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.1}}).l2
    0.1
    """
    module_objects = kwargs.pop("module_objects", None)
    if kwargs:
        raise TypeError(f"deserialize_keras_object: unknown arguments {sorted(kwargs)}.")
    check_safe_mode(safe_mode)
    with registry.CustomObjectScope(custom_objects):
        if module_objects is not None:
            config = _with_module_object(config, module_objects)
        if isinstance(config, str):
            return _user_object(config) or config
        return _revive(config)


def check_safe_mode(safe_mode: bool) -> None:
    """`safe_mode=False` asks for the execution of code that a file carries, which has no implementation here."""
    if not safe_mode:
        raise ValueError(
            "safe_mode=False is not supported: it stands for arbitrary code execution, and mlkit runs no code out of a file "
            "or config. Name your functions and pass them in custom_objects={name: function}."
        )


@contextlib.contextmanager
def at(key: str | int) -> Iterator[None]:
    """A block that reads the part `key` of a config. An error that leaves it carries the place in `config_place`."""
    path = _place.__dict__.setdefault("path", [])
    path.append(key)
    try:
        yield
    except Exception as error:
        if not hasattr(error, "config_place"):
            error.config_place = place()  # type: ignore[attr-defined]
            if not isinstance(error, ModelFileError):
                error.add_note(f"at {place()} of the config being read")
        raise
    finally:
        path.pop()


def place() -> str:
    """The path of the config part being read, for example ``config.layers[3].config``."""
    parts = _place.__dict__.get("path", ())
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).lstrip(".")


def _revive(config: Any) -> Any:
    if config is None or isinstance(config, _PLAIN):
        return config
    if isinstance(config, (list, tuple)):
        return [_revive_at(i, x) for i, x in enumerate(config)]
    if not isinstance(config, dict):
        raise TypeError(f"Could not parse config: {config!r}")
    if "class_name" not in config or "config" not in config:
        return {key: _revive_at(key, value) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if name in _FORMS:
        return _FORMS[name](inner)
    return _revive_function(config) if name == "function" else _revive_instance(config)


def _revive_at(key: str | int, config: Any) -> Any:
    if config is None or isinstance(config, _PLAIN):
        return config
    with at(key):
        return _revive(config)


def _revive_keras_tensor(inner: dict[str, Any]) -> KerasTensor:
    tensor = KerasTensor(tuple(inner["shape"]), dtype=inner["dtype"])
    tensor._pre_serialization_keras_history = inner["keras_history"]  # type: ignore[attr-defined]
    return tensor


def _revive_tensor(inner: dict[str, Any]) -> Tensor:
    return convert_to_tensor(inner["value"], dtype=inner["dtype"])


def _refuse_lambda(inner: dict[str, Any]) -> NoReturn:
    raise ValueError(
        "It holds a lambda as Python byte code. Running it would be arbitrary code execution, so mlkit does not. Save the "
        "model anew with a named function in place of the lambda, and pass that function in custom_objects={name: function}."
    )


_FORMS = {
    "__keras_tensor__": _revive_keras_tensor,
    "__tensor__": _revive_tensor,
    "__numpy__": lambda inner: np.array(inner["value"], dtype=dtypes.as_numpy(dtypes.standardize_dtype(inner["dtype"]))),
    "__bytes__": lambda inner: inner["value"].encode("utf-8"),
    "__ellipsis__": lambda inner: Ellipsis,
    "__slice__": lambda inner: slice(*(_revive(inner[k]) for k in ("start", "stop", "step"))),
    "__lambda__": _refuse_lambda,
}


def _revive_function(config: dict[str, Any]) -> Any:
    name = config["config"]
    if not isinstance(name, str):
        raise TypeError(f"Expected 'config' to be a non-null str, the name of a function, but got {name!r}.")
    found = find_object(config)
    if found is None:
        raise TypeError(_unknown("function", name))
    return found


def _revive_instance(config: dict[str, Any]) -> Any:
    inner = config["config"] if config["config"] is not None else {}
    if not isinstance(inner, dict):
        raise TypeError(f"Expected 'config' to be a dict for class {config['class_name']!r}, but got {inner!r}.")
    shared, number = registry.sharing("read"), config.get("shared_object_id")
    if shared is not None and number in shared.read:
        return shared.read[number]
    cls = find_object(config)
    if cls is None:
        raise TypeError(_unknown("class", config.get("registered_name") or config["class_name"]))
    if inspect.isfunction(cls):
        return cls
    if not hasattr(cls, "from_config"):
        raise TypeError(f"The class {cls.__name__} has no from_config() method, so it cannot be read from a config.")
    with at("config"):
        made = _from_config(cls, inner)
    if config.get("build_config") and not made.built:
        with at("build_config"):
            made.build_from_config(config["build_config"])
        made.built = True
    if config.get("compile_config"):
        with at("compile_config"):
            made.compile_from_config(config["compile_config"])
        made.compiled = True
    if shared is not None and number is not None:
        shared.read[number] = made
    return made


def _from_config(cls: Any, inner: dict[str, Any]) -> Any:
    try:
        return cls.from_config(dict(inner))
    except Exception as error:
        known = isinstance(error, ModelFileError) or hasattr(error, "config_place")
        if known or (registry.is_builtin(cls) and not isinstance(error, TypeError)):
            raise
        raise TypeError(
            f"{cls.__name__} could not be made from its config: {type(error).__name__}: {inside(error)}. If it is a class of yours: "
            "what get_config() wrote of objects must be explicitly deserialized in from_config() or __init__(), with "
            "deserialize_keras_object()."
        ) from error


def find_object(config: dict[str, Any]) -> Any:
    """The class or function that a config of the form {"module", "class_name", "registered_name", ...} names, or None."""
    module, name, registered = config.get("module"), config["class_name"], config.get("registered_name")
    if name == "function":
        name = config["config"]
        own = (
            registry.builtin_function(name)
            if registry.namespace_of(module) is not None or module in ("builtins", None)
            else None
        )
        users = _user_object(name, config)
        allowed = {name, "function"}
    else:
        own = registry.builtin_anywhere(name) if module is None and "module" not in config else registry.builtin(module, name)
        users = _user_object(registered or name, config) or _user_object(name, config)
        allowed = {name}
    if own is None:
        return users
    if registered and registered not in allowed:
        raise ValueError(
            f"{name!r} resolved to a Keras built-in, which has no registered name, but the config gives {registered!r}."
        )
    if users is not None and users is not own and name in registry.scope_objects():
        raise ValueError(
            f"{name!r} is mlkit's own and cannot be replaced by custom_objects. Register yours under a name of its own with "
            "@mlkit.saving.register_keras_serializable() and save the model anew."
        )
    return own


def _user_object(name: str, config: dict[str, Any] | None = None) -> Any:
    found = registry.get_registered_object(name)
    if found is None and config is not None and ">" not in name and config["class_name"] == "function":
        # up to Keras 3.6 registered functions were saved without their package
        ends = [o for k, o in registry.get_custom_objects().items() if k.endswith(f">{name}")]
        found = ends[0] if ends else None
    return found


def _unknown(kind: str, name: str) -> str:
    return (
        f"Could not locate {kind} {name!r}. It is none of mlkit's own. If it is yours, decorate it with "
        f"@mlkit.saving.register_keras_serializable() and import it before loading, or pass custom_objects={{{name!r}: ...}}."
    )


def _with_module_object(config: Any, module_objects: Mapping[str, Any]) -> Any:
    """A short form, by name or {"class_name", "config"}, completed from a module's own table of objects."""
    if isinstance(config, str):
        found = module_objects.get(config)
        if found is None:
            return config
        name = found.__name__
        if inspect.isclass(found):
            module, name = registry.wire_name(found) or (found.__module__, name)
            return {"module": module, "class_name": name, "config": {}}
        return {"module": "builtins", "class_name": "function", "config": name}
    if isinstance(config, dict) and "class_name" in config and "module" not in config:
        found = module_objects.get(config["class_name"])
        if inspect.isclass(found):
            module, name = registry.wire_name(found) or (found.__module__, config["class_name"])
            return {**config, "module": module, "class_name": name, "config": config.get("config") or {}}
    if isinstance(config, dict) and "class_name" not in config:
        raise ValueError(f"Could not parse the config {config!r}: it has no 'class_name'.")
    return config
