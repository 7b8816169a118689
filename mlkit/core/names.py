"""Automatic names and name scopes: `Dense` -> "dense", "dense_1" ...; variables know the path of layers they stand in."""

import contextlib
import re
import threading

_counts = {}
_scopes = threading.local()


def to_snake_case(name):
    """`MaxPooling2D` -> "max_pooling2d"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix):
    """The prefix in snake case with a number that makes it new in this session."""
    return uniquify(to_snake_case(prefix))


def uniquify(name):
    """The name itself the first time, then with _1, _2 ..."""
    n = _counts.get(name, -1) + 1
    _counts[name] = n
    return f"{name}_{n}" if n else name


def reset_names():
    """Start automatic names anew."""
    _counts.clear()


@contextlib.contextmanager
def name_scope(name, **_):
    """Variables made in the block have `name/` in their path."""
    if not name or not isinstance(name, str):
        raise ValueError(f"name_scope: `name` must be a non-empty string, but got {name!r}.")
    stack = _scopes.__dict__.setdefault("stack", [])
    stack.append(name)
    try:
        yield name
    finally:
        stack.pop()


def current_path():
    """The open name scopes joined by "/"."""
    return "/".join(_scopes.__dict__.get("stack", ()))
