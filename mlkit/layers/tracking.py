"""What a layer owns: its variables, layers, metrics and seed generators are found by looking through its attributes.

Nothing is registered: a list that grows, a dict, an attribute that is replaced are all seen as they are.
"""

from mlkit.core.variable import Variable

# attributes of layers and models that refer to things they do not own
NOT_OWNED = frozenset(
    (
        "_init_call",
        "_inbound_nodes",
        "optimizer",
        "loss",
        "stop_training",
        "history",
        "_training",
        "_dtype_policy",
        "_graph",
        "_states_kept",
    )
)
_PLAIN = frozenset((type(None), bool, int, float, str))  # most attributes, passed over at once: models are looked through often


def owned(layer, kinds):
    """The distinct objects of the given types in a layer's attributes and the containers there, in the order they were set."""
    found, seen = [], set()
    for name, value in vars(layer).items():
        if type(value) not in _PLAIN and name not in NOT_OWNED:
            _collect(value, kinds, found, seen)
    return found


def _collect(value, kinds, found, seen):
    if isinstance(value, kinds):
        if id(value) not in seen:
            seen.add(id(value))
            found.append(value)
    elif isinstance(value, (list, tuple, dict)) and id(value) not in seen:
        seen.add(id(value))  # containers may hold themselves
        for v in value.values() if isinstance(value, dict) else value:
            if type(v) not in _PLAIN:
                _collect(v, kinds, found, seen)


def unique(items):
    """The items without repetitions, by identity."""
    seen = set()
    return [x for x in items if not (id(x) in seen or seen.add(id(x)))]


def own_variables(layer):
    """The layer's own variables (not those of layers within): first those made trainable, then the others."""
    found = owned(layer, Variable)
    return [v for v in found if v.made_trainable] + [v for v in found if not v.made_trainable]
