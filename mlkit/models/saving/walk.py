"""Where the parts of a model are in its weights file: the walk through attributes by which Keras 3 names the groups.

A layer at attribute `encoder` of the model is the group "encoder"; the layers of a list `blocks` are "blocks/dense",
"blocks/dense_1" ... by their classes; those of a functional or sequential model are "layers/...". Within a group, "vars"
holds the variables.
"""

import functools
import inspect
import warnings
from collections.abc import Collection, Iterator
from typing import Any

from mlkit.core.messages import inside
from mlkit.core.names import to_snake_case
from mlkit.layers.layer import Layer
from mlkit.losses import Loss
from mlkit.metrics import Metric
from mlkit.optimizers import Optimizer

_SKIPPED = {"_init_call", "_inbound_nodes"}  # what an object was made of, and where it was called
_KINDS = Layer, Metric, Optimizer, Loss


def is_part(obj: object) -> bool:
    """Whether an object is one whose attributes are looked through."""
    return isinstance(obj, _KINDS)


def parts(root: Any, skip: Collection[Any] = (), aliases: Any = None, listed: Any = None) -> Iterator[Any]:
    """(path, object) for a model and everything in it, each object once, in the order Keras 3 has.

    skip: objects left out. aliases: a dict of lists that receives, by path, the other paths of objects found in several places.
    listed: a dict of lists that receives, by the path of a list, the (path, object) in it, whose paths are their places.
    """
    paths = {id(obj): None for obj in skip}
    containers = set()

    def of_object(obj, path: str):
        if id(obj) in paths:
            if aliases is not None and paths[id(obj)] is not None:
                aliases[paths[id(obj)]].append(path)
            return
        paths[id(obj)] = path
        yield path, obj
        for name, value in _attributes(obj):
            yield from of_value(value, f"{path}/{name}" if path else name)

    def of_value(value, path: str):
        if is_part(value):
            yield from of_object(value, path)
        elif isinstance(value, (list, tuple, dict)):
            if id(value) in containers:
                return
            containers.add(id(value))
            used = {}
            for item in value.values() if isinstance(value, dict) else value:
                if is_part(item):
                    # by class and not by name: names are numbered through the session
                    place = f"{path}/{_numbered(to_snake_case(type(item).__name__), used)}"
                    if listed is not None and id(item) not in paths:
                        listed[path].append((place, item))
                    yield from of_object(item, place)
                elif isinstance(item, (list, tuple, dict)):
                    yield from of_value(item, f"{path}/{_numbered('container', used)}")
            containers.discard(id(value))

    yield from of_object(root, "")


def _numbered(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name


def _attributes(obj):
    """(name, value) of the attributes that may hold parts: private ones last, those of the base classes left out."""
    first = {"layers"} if getattr(obj, "_is_made_of_layers", False) else set()
    if first:
        yield "layers", obj.layers
    base = next(kind for kind in _KINDS if isinstance(obj, kind))
    repeated = getattr(type(obj), "_repeats", frozenset())
    names = (set(vars(obj)) | _properties(type(obj))) - _base_names(base) - _SKIPPED - repeated - first
    for name in sorted(names, key=lambda n: f"~{n}" if n.startswith("_") else n):
        value = _value_of(obj, name)
        if is_part(value) or (isinstance(value, (list, tuple, dict)) and value):
            yield name, value


def _value_of(obj, name):
    if name in vars(obj):
        return vars(obj)[name]
    try:
        return getattr(obj, name, None)  # a property may be undefined in the object's present state; it then holds no part
    except Exception as error:
        warnings.warn(
            f"Saving and loading pass over the property {name!r} of {type(obj).__name__} {getattr(obj, 'name', '')!r}, which raises "
            f"{type(error).__name__}: {inside(error)}. If it gives layers, their weights are left out, unless they are in another "
            "attribute too. Let a property that has nothing to give raise AttributeError.",
            stacklevel=2,
        )
        return None


@functools.cache
def _properties(cls) -> frozenset[str]:
    """Names of a class's properties: attributes that are computed, and may give parts."""
    return frozenset(
        n
        for n in dir(cls)
        if not n.startswith("__") and isinstance(inspect.getattr_static(cls, n), (property, functools.cached_property))
    )


@functools.cache
def _base_names(base: type) -> frozenset[str]:
    """Attributes that every layer (metric, optimizer, loss) has; they hold no parts of their own."""
    names = set(dir(base))
    if base is _KINDS[0]:
        names |= set(vars(base(name="walk")))
    return frozenset(names)
