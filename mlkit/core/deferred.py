"""Modules of others that take long to import and are seldom needed."""

import functools
import importlib.util
import sys
from typing import Any


@functools.cache
def is_installed(package: str) -> bool:
    """Whether a module could be imported, which it is not. Kept: the paths are searched once.

    >>> is_installed("difflib"), is_installed("no_such_module")
    (True, False)
    """
    return importlib.util.find_spec(package) is not None


class Deferred:
    """A module that is imported when it is first asked for something. It is named at the head of the module that uses it, as any
    other import is. missing: what is said where it is not installed.

    >>> difflib = Deferred("difflib")
    >>> difflib.get_close_matches("ad", ["add", "sub"])
    ['add']
    """

    def __init__(self, name: str, missing: str | None = None):
        self._name, self._missing = name, missing
        self._found: Any = None

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # what looks at objects in general does not ask for the module
            raise AttributeError(attribute)
        return getattr(self._module(), attribute)

    def _module(self) -> Any:
        if self._found is not None and self._found is sys.modules.get(self._name):  # to ask for it anew takes some microseconds
            return self._found
        try:
            self._found = importlib.import_module(self._name)
            return self._found
        except ModuleNotFoundError as error:
            if self._missing is None or not self._name.startswith(error.name or self._name):
                raise
            raise ImportError(self._missing) from None
