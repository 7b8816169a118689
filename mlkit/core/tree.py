"""Nested structures of lists, tuples, dicts and named tuples, as in `keras.tree`: leaves in order, dict keys sorted."""

import collections
import collections.abc
import warnings
from collections.abc import Callable, Iterable
from typing import Any

MAP_TO_NONE = object()  # returned by a function given to `traverse`: put None here


def is_nested(structure: object) -> bool:
    """Whether it is a container whose elements count as leaves."""
    return isinstance(structure, (list, tuple, dict))


def _is_namedtuple(x: object) -> bool:
    return isinstance(x, tuple) and hasattr(x, "_fields")


def _keys(x: dict) -> list:
    return list(x) if isinstance(x, collections.OrderedDict) else sorted(x, key=str)


def _children(x: Any) -> list[Any]:
    return [x[k] for k in _keys(x)] if isinstance(x, dict) else list(x)


def _aligned(first: Any, *others: Any) -> Iterable[tuple[Any, ...]]:
    """The corresponding children of containers of one form: of dicts those of one key, in whatever order each has them."""
    if isinstance(first, dict):
        return [(first[k], *(other[k] for other in others)) for k in _keys(first)]
    return zip(first, *others)


def _like(x: Any, children: list[Any]) -> Any:
    """A container of x's kind around new children."""
    if isinstance(x, dict):
        made = dict(zip(_keys(x), children))
        ordered = {k: made[k] for k in x}
        if isinstance(x, collections.defaultdict):
            return type(x)(x.default_factory, ordered)
        return ordered if type(x) is dict else type(x)(ordered)
    if _is_namedtuple(x):
        return type(x)(*children)
    return list(children) if isinstance(x, list) else tuple(children)


def flatten(structure: Any) -> list[Any]:
    """The leaves, in order.

    >>> flatten({"b": [1, 2], "a": 0})
    [0, 1, 2]
    """
    if not isinstance(structure, (list, tuple, dict)):
        return [structure]
    out: list[Any] = []
    _flatten_into(structure, out)
    return out


def _flatten_into(structure: Any, out: list[Any]) -> None:
    for child in _children(structure) if isinstance(structure, dict) else structure:
        if isinstance(child, (list, tuple, dict)):
            _flatten_into(child, out)
        else:
            out.append(child)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """(path, leaf) pairs; a path is a tuple of keys and positions."""
    if not is_nested(structure):
        return [((), structure)]
    keys = _keys(structure) if isinstance(structure, dict) else range(len(structure))
    return [((k, *path), leaf) for k in keys for path, leaf in flatten_with_path(structure[k])]


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Apply a function to the corresponding leaves of structures of the same form.

    Args:
        structures: one or more, of the same form.
        none_is_leaf: whether None is given to the function; otherwise it stays None.
    """
    if not callable(func):
        raise TypeError(f"`func` must be callable, but got {func!r} of type {type(func)}.")
    if not structures:
        raise ValueError("map_structure needs at least one structure.")
    first = structures[0]
    if len(structures) == 1:
        return _map_one(func, first, none_is_leaf)
    if not is_nested(first):
        if any(is_nested(s) for s in structures[1:]):
            raise ValueError(f"The structures differ: {first!r} is a leaf, the other is not.")
        return func(*structures) if none_is_leaf or first is not None else None
    for other in structures[1:]:
        _assert_same_node(first, other)
    return _like(first, [map_structure(func, *parts, none_is_leaf=none_is_leaf) for parts in _aligned(*structures)])


def _map_one(func: Callable[..., Any], x: Any, none_is_leaf: bool) -> Any:
    if not isinstance(x, (list, tuple, dict)):  # leaves first, then the usual containers: every call of a layer comes by
        return func(x) if none_is_leaf or x is not None else None
    if type(x) is tuple:
        return tuple([_map_one(func, e, none_is_leaf) for e in x])
    if type(x) is list:
        return [_map_one(func, e, none_is_leaf) for e in x]
    return _like(x, [_map_one(func, e, none_is_leaf) for e in _children(x)])


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Apply a function to the parts of the structures that stand where `shallow_structure` has leaves.

    Args:
        shallow_structure: its leaves say where the parts begin.
    """
    if not is_nested(shallow_structure):
        return func(*structures)
    for s in structures:
        _assert_same_node(shallow_structure, s)
    parts = _aligned(shallow_structure, *structures)
    return _like(shallow_structure, [map_structure_up_to(p[0], func, *p[1:]) for p in parts])


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """The leaves put into the form of `structure`.

    Args:
        flat_sequence: the leaves, as `flatten` lists them.

    >>> pack_sequence_as({"a": 0, "b": (0, 0)}, [1, 2, 3])
    {'a': 1, 'b': (2, 3)}
    """
    flat = list(flat_sequence)
    count = len(flatten(structure))
    if count != len(flat):
        raise ValueError(f"pack_sequence_as: the structure has {count} leaves, but {len(flat)} values were given.")
    values = iter(flat)
    return map_structure(lambda _: next(values), structure) if is_nested(structure) else flat[0]


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raise ValueError unless both have the same form.

    Args:
        check_types: of old code; has no effect, and says so.
    """
    if check_types is not None:
        warnings.warn("assert_same_structure: `check_types` has no effect; leave it out.", stacklevel=2)
    if is_nested(a) != is_nested(b):
        raise ValueError(f"The structures differ: {a!r} against {b!r}.")
    if is_nested(a):
        _assert_same_node(a, b)
        for x, y in _aligned(a, b):
            assert_same_structure(x, y)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless the leaves of both have the same paths, whatever their containers are.

    >>> assert_same_paths([0, {"b": 1}], (2, {"b": 3}))
    """
    paths = [{path for path, _ in flatten_with_path(structure)} for structure in (a, b)]
    if paths[0] != paths[1]:
        alone = " ".join(
            f"Only in `{n}`: {sorted(one - two, key=str)}." for n, one, two in zip("ab", paths, paths[::-1]) if one - two
        )
        raise ValueError(f"`a` and `b` don't have the same paths. {alone}")


def _assert_same_node(a: Any, b: Any) -> None:
    same_kind = isinstance(a, dict) == isinstance(b, dict) and (
        isinstance(a, dict) or isinstance(a, list) == isinstance(b, list)
    )
    if not is_nested(b) or not same_kind or len(a) != len(b) or _is_namedtuple(a) != _is_namedtuple(b):
        raise ValueError(f"The structures differ: {a!r} against {b!r}.")
    if isinstance(a, dict) and set(a) != set(b):
        raise ValueError(f"The structures have different keys: {list(a)} against {list(b)}.")


def traverse(func: Callable[..., Any], structure: Any, top_down: bool = True) -> Any:
    """Apply a function to every node, containers too; what it returns for a node replaces it (None: leave as it is).

    Args:
        top_down: whether containers come before what they hold; otherwise after it.
    """
    if top_down:
        made = func(structure)
        if made is not None:
            return None if made is MAP_TO_NONE else made
        return _like(structure, [traverse(func, c) for c in _children(structure)]) if is_nested(structure) else structure
    if is_nested(structure):
        structure = _like(structure, [traverse(func, c, False) for c in _children(structure)])
    made = func(structure)
    return structure if made is None else None if made is MAP_TO_NONE else made


def lists_to_tuples(structure: Any) -> Any:
    """The same with every list turned into a tuple."""
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def is_shape(x: Any) -> bool:
    """Whether x is a tuple or list of sizes (ints or None)."""
    return isinstance(x, (list, tuple)) and all(e is None or isinstance(e, int) for e in x)


def map_shape_structure(func: Callable[..., Any], structure: Any) -> Any:
    """`map_structure` for structures whose leaves are shapes."""
    if is_shape(structure):
        return func(tuple(structure))
    if not is_nested(structure):
        raise ValueError(f"Expected a shape or a structure of shapes, but got {structure!r}.")
    return _like(structure, [map_shape_structure(func, c) for c in _children(structure)])
