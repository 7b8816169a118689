"""Modules of others that take long to import and are seldom needed."""

import importlib
from typing import Any


class Deferred:
    """A module that is imported when it is first asked for something. It is named at the head of the module that uses it, as any
    other import is.

    >>> difflib = Deferred("difflib")
    >>> difflib.get_close_matches("ad", ["add", "sub"])
    ['add']
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # what looks at objects in general does not ask for the module
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
