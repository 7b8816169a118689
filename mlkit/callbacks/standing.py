"""Callbacks that every `fit` gets while a block is open, for tools that run the scripts of others."""

import contextlib
from collections.abc import Iterator

from mlkit.callbacks.callback import Callback

CALLBACKS: list[Callback] = []


@contextlib.contextmanager
def callback(one: Callback) -> Iterator[None]:
    """A block in which each `fit` has this callback too."""
    CALLBACKS.append(one)
    try:
        yield
    finally:
        CALLBACKS.remove(one)
