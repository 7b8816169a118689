"""The classes and functions that a saved config may name: mlkit's own public ones, and those the user has registered.

A config names them the way Keras does, by a module such as ``"keras.layers"`` and a short name. The module only selects one of
the namespaces below; nothing is imported because a file says so.
"""

import contextlib
import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

NAMESPACES = {  # as in the module path after "keras." -> where mlkit has it
    "layers": "mlkit.layers",
    "layers.preprocessing.feature_space": "mlkit.layers.features",
    "models": "mlkit.models",
    "losses": "mlkit.losses",
    "metrics": "mlkit.metrics",
    "optimizers.schedules": "mlkit.optimizers.schedules",
    "optimizers": "mlkit.optimizers",
    "initializers": "mlkit.initializers",
    "regularizers": "mlkit.regularizers",
    "constraints": "mlkit.constraints",
    "activations": "mlkit.activations",
    "dtype_policies": "mlkit.dtype_policies",
    "random": "mlkit.random",
    "distillation": "mlkit.distillation",
    "utils": "mlkit.utils",
    "applications.convnext": "mlkit.applications.convnext",
    "applications.inception_resnet_v2": "mlkit.applications.inception_resnet_v2",
}
_TOP_LEVEL = tuple("models dtype_policies layers initializers optimizers losses metrics regularizers constraints".split())
_WITH_FUNCTIONS = ("activations", "losses", "metrics")
_NO_OBJECTS = ("get", "serialize", "deserialize")
_WRITTEN_AS = {  # Keras's own spelling of the module where it is not "keras." + namespace
    ("models", "Model"): "keras",
    ("models", "Sequential"): "keras",
    ("models", "Functional"): "keras.src.models.functional",
    ("dtype_policies", "DTypePolicy"): "keras",
    **{
        ("layers.preprocessing.feature_space", name): "keras.src.layers.preprocessing.feature_space"
        for name in ("Cross", "Feature", "TFDConcat", "TFDIdentity")
    },
    ("applications.convnext", "LayerScale"): "keras.src.applications.convnext",
    ("applications.inception_resnet_v2", "CustomScaleLayer"): "keras.src.applications.inception_resnet_v2",
}

_PUBLIC_AS = {"GroupedQueryAttention": "GroupQueryAttention"}  # a class that Keras exports under another name than its own

Registered = TypeVar("Registered", bound=Callable[..., Any])  # a class or a function, which a decorator gives back

_registered: dict[str, Any] = {}  # "package>name" -> class or function
_registered_names: dict[Any, str] = {}  # class or function -> "package>name"
_scopes = threading.local()


# ---- mlkit's own ---------------------------------------------------------------------------------------------------------


def public_name(name: str) -> str:
    """The name under which Keras exports a class whose own name is another."""
    return _PUBLIC_AS.get(name, name)


def namespace_of(module: str | None) -> str | None:
    """The key of NAMESPACES that a module path belongs to, "" for the top level, None for a foreign module.

    >>> namespace_of("keras.layers"), namespace_of("keras.src.layers.core.dense"), namespace_of("os.path")
    ('layers', 'layers', None)
    """
    first, *rest = str(module).split(".")
    if first not in ("keras", "mlkit"):
        return None
    rest = rest[1:] if rest[:1] == ["src"] else rest
    if not rest:
        return ""
    beginnings = (".".join(rest[:n]) for n in range(len(rest), 0, -1))
    return next((name for name in beginnings if name in NAMESPACES), None)


def builtin(module: str | None, name: str) -> Any:
    """mlkit's class or function that a config calls `name` in `module`, or None.

    >>> builtin("keras.regularizers", "L2").__name__, builtin("os", "system")
    ('L2', None)
    """
    namespace = namespace_of(module)
    if namespace is None or not isinstance(name, str):
        return None
    for key in (namespace,) if namespace else _TOP_LEVEL:
        found = _public(key, name)
        if found is not None:
            return found
    return None


def builtin_anywhere(name: str) -> Any:
    """mlkit's class or function of that short name in the first namespace that has it, or None (configs without a module)."""
    return next((o for o in (_public(key, name) for key in NAMESPACES) if o is not None), None)


def builtin_function(name: str) -> Any:
    """mlkit's activation, loss or metric function of that name, or None."""
    found = (_public(key, name) for key in _WITH_FUNCTIONS)
    return next((o for o in found if inspect.isfunction(o)), None)


def _public(namespace: str, name: str) -> Any:
    if name.startswith("_") or name in _NO_OBJECTS:
        return None
    found = getattr(_namespace(namespace), name, None)
    if not getattr(found, "__module__", "").startswith("mlkit."):
        return None
    if inspect.isclass(found):
        return found if hasattr(found, "from_config") else None
    return found if inspect.isfunction(found) and namespace in _WITH_FUNCTIONS else None


def get(namespace: str, identifier: Any) -> Any:
    """What `get` of a namespace makes of an identifier: ``get("initializers", "zeros")``."""
    return _namespace(namespace).get(identifier)


def _namespace(key: str) -> Any:
    try:
        return importlib.import_module(NAMESPACES[key])  # one of the constants above
    except ModuleNotFoundError as error:
        if error.name != NAMESPACES[key]:
            raise
        return None


def wire_name(cls: type) -> tuple[str, str] | None:
    """(module, class name) that Keras has for one of mlkit's public classes; None for all other classes.

    >>> from mlkit.regularizers import L2
    >>> wire_name(L2)
    ('keras.regularizers', 'L2')
    """
    return _wire_name(cls) if cls.__module__.startswith("mlkit.") else None


@functools.cache
def _wire_name(cls: type) -> tuple[str, str] | None:
    own = namespace_of(cls.__module__)
    name = public_name(cls.__name__)
    for key in [own, *NAMESPACES] if own in NAMESPACES else NAMESPACES:
        if _public(key, name) is cls:
            return _WRITTEN_AS.get((key, name), f"keras.{key}"), name
    return None


def is_builtin(obj: Any) -> bool:
    """Whether it is mlkit's own: a public class, or one of the functions that configs name."""
    return wire_name(obj) is not None if inspect.isclass(obj) else builtin_function(getattr(obj, "__name__", "_")) is obj


# ---- the user's ----------------------------------------------------------------------------------------------------------


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Registered], Registered]:
    """Decorator: a class or function of yours that saved models may refer to, as ``"package>name"``.

    Args:
        package: str that keeps equal names of different projects apart.
        name: str, the object's own name by default.

    Raises ValueError for a class without `get_config`.

    >>> @register_keras_serializable("shop")
    ... def double(x):
    ...     return 2 * x
    >>> get_registered_name(double), get_registered_object("shop>double") is double
    ('shop>double', True)
    """

    def decorator(obj: Registered) -> Registered:
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(
                f"register_keras_serializable: the class {obj.__name__} has no get_config() method, so it cannot be saved."
            )
        key = f"{package}>{name if name is not None else obj.__name__}"
        _registered[key] = obj
        _registered_names[obj] = key
        return obj

    return decorator


def get_custom_objects() -> dict[str, Any]:
    """The dictionary of registered objects itself: "package>name" -> class or function. Changes to it take effect."""
    return _registered


def get_registered_name(obj: Any) -> str:
    """The name a class or function is saved under: the registered one, else its own.

    Args:
        obj: a class or function.

    >>> class Unknown: ...
    >>> get_registered_name(Unknown)
    'Unknown'
    """
    return _registered_names.get(obj) or obj.__name__


def get_registered_object(
    name: str, custom_objects: dict[str, Any] | None = None, module_objects: dict[str, Any] | None = None
) -> Any:
    """The class or function known under a name, or None: looked up in the open scopes, among the registered ones, in
    `custom_objects`, then in `module_objects` (dicts name -> object).

    Args:
        name: as in "Package>Name".
        custom_objects, module_objects: dicts name -> class or function, or None.

    >>> get_registered_object("Ramp", custom_objects={"Ramp": abs}) is abs
    True
    """
    for objects in (scope_objects(), _registered, custom_objects, module_objects):
        if objects and name in objects:
            return objects[name]
    return None


class CustomObjectScope:
    """A block in which saved configs may refer to the given objects. Other names for it: `custom_object_scope`.

    Args:
        custom_objects: dict name -> class or function.

    >>> with CustomObjectScope({"Ramp": abs}):
    ...     get_registered_object("Ramp") is abs
    True
    """

    def __init__(self, custom_objects: dict[str, Any] | None):
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> Self:
        self._outer = scope_objects()
        _scopes.objects = {**self._outer, **self.custom_objects}
        return self

    def __exit__(self, *_: Any) -> None:
        _scopes.objects = self._outer


custom_object_scope = CustomObjectScope


def scope_objects() -> dict[str, Any]:
    """The objects of the open CustomObjectScopes of this thread."""
    return getattr(_scopes, "objects", {})


# ---- objects that occur several times ------------------------------------------------------------------------------------


class Sharing:
    """The objects that a config being written, or being read, mentions more than once."""

    def __init__(self) -> None:
        self.written: dict[
            int, tuple[Any, int, dict[str, Any]]
        ] = {}  # id of an object -> (the object, kept alive; its number; its config)
        self.read: dict[int, Any] = {}  # number -> object
        self.lambdas: set[Callable[..., Any]] = set()

    def note_written(self, obj: Any, config: dict[str, Any]) -> None:
        """Number an object that comes up a second time, in both of its configs."""
        if id(obj) not in self.written:
            self.written[id(obj)] = (obj, len(self.written) + 1, config)
            return
        _, number, first = self.written[id(obj)]
        first["shared_object_id"] = config["shared_object_id"] = number

    def note_lambda(self, function: Callable[..., Any]) -> None:
        """All lambdas have the same name, so a file can hold one at most."""
        self.lambdas.add(function)
        if len(self.lambdas) > 1:
            raise ValueError(
                "The model holds several lambdas, and saved files refer to functions by name. Write them as named functions "
                "(def)."
            )


def sharing(purpose: str) -> Sharing | None:
    """The Sharing of the block in force if it is for this purpose, "write" or "read", else None."""
    return _scopes.sharing.get(purpose) if hasattr(_scopes, "sharing") else None


@contextlib.contextmanager
def object_sharing(purpose: str) -> Iterator[Sharing]:
    """A block within which an object written several times ("write") is read back as one object ("read").

    Layers write configs of others while they are read, so the one must not count for the other.
    """
    outer = getattr(_scopes, "sharing", {})
    _scopes.sharing = {purpose: Sharing()}
    try:
        yield _scopes.sharing[purpose]
    finally:
        _scopes.sharing = outer
