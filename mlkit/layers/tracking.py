"""What a layer owns: its variables, layers, metrics and seed generators are found by looking through its attributes.

Nothing is registered: a list that grows, a dict, an attribute that is replaced are all seen as they are.
"""

from collections.abc import Iterable
from typing import Any

from mlkit.core.typing import Structure
from mlkit.objects.variable import Variable

_PLAIN = frozenset((type(None), bool, int, float, str))  # most attributes, passed over at once: models are looked through often
_CONTAINERS = (list, tuple, dict)


def owned(layer: Any, *kinds: type) -> list[Any]:
    """For each of the given types a list of the distinct objects of it in a layer's attributes and the containers there, in the
    order they were set. The names in its class's `_not_owned` are left out."""
    found, seen, wanted = [[] for _ in kinds], set(), kinds + _CONTAINERS
    left_out = type(layer)._not_owned
    for name, value in vars(layer).items():
        if type(value) not in _PLAIN and isinstance(value, wanted) and name not in left_out:
            _collect(value, kinds, wanted, found, seen)
    return found


def _collect(value: Structure, kinds, wanted, found, seen):
    if id(value) in seen:
        return
    seen.add(id(value))  # containers may hold themselves
    for kind, those in zip(kinds, found):
        if isinstance(value, kind):
            those.append(value)
            return
    for v in value.values() if isinstance(value, dict) else value:
        if type(v) not in _PLAIN and isinstance(v, wanted):
            _collect(v, kinds, wanted, found, seen)


def unique(items: Iterable[Any]) -> list[Any]:
    """The items without repetitions, by identity."""
    seen = set()
    return [x for x in items if not (id(x) in seen or seen.add(id(x)))]


def own_variables(layer: Any) -> list[Variable]:
    """The layer's own variables (not those of layers within): first those made trainable, then the others."""
    (found,) = owned(layer, Variable)
    return trainable_first(found)


def trainable_first(variables: Iterable[Variable]) -> list[Variable]:
    """First those made trainable, then the others."""
    return [v for v in variables if v.made_trainable] + [v for v in variables if not v.made_trainable]
