"""Automatic names and name scopes: `Dense` -> "dense", "dense_1" ...; variables know the path of layers they stand in."""

import itertools
import re
from contextlib import AbstractContextManager
from typing import Any

from mlkit.core.state import state, swapped

_NO_WORD = re.compile(r"\W+")
_BETWEEN_WORDS = re.compile("(?=[A-Z])(?:(?<=[a-z])|(?<=.)(?=.[a-z]))")
_counts: dict[
    str, itertools.count
] = {}  # name -> what counts how often it was asked for; `setdefault` and `next` are safe among threads


def to_snake_case(name: str) -> str:
    """`MaxPooling2D` -> "max_pooling2d"."""
    return _BETWEEN_WORDS.sub("_", _NO_WORD.sub("", name)).lower()


def auto_name(prefix: str) -> str:
    """The prefix in snake case with a number that makes it new in this session."""
    return uniquify(to_snake_case(prefix))


def uniquify(name: str) -> str:
    """The name itself the first time, then with _1, _2 ..."""
    n = next(_counts.setdefault(name, itertools.count()))
    return f"{name}_{n}" if n else name


def get_uid(prefix: str = "") -> int:
    """How often names with this prefix have been asked for, this time included.

    Args:
        prefix: the beginning of names, such as "dense".
    """
    return next(_counts.setdefault(prefix, itertools.count())) + 1


def reset_names() -> None:
    """Start automatic names anew."""
    _counts.clear()


def name_scope(name: str, **_: Any) -> AbstractContextManager[None]:
    """A block in which variables that are made have `name/` in their path.

    Args:
        name: the part of the path.
    """
    if not name or not isinstance(name, str):
        raise ValueError(f"name_scope: `name` must be a non-empty string, but got {name!r}.")
    return swapped(call=state.call.at((*state.call.path, name)))


def current_path() -> str:
    """The open name scopes joined by "/"."""
    return "/".join(state.call.path)
