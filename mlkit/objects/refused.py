"""Names of Keras that stand for what this library does not do: they can be imported, and say so when they are used."""

import sys
from typing import Any


def refused(name: str, reason: str, error: type[Exception] = NotImplementedError) -> type:
    """A class of that name which cannot be made.

    reason: why not, and what to do instead.

    >>> refused("Antigravity", "things fall here.")()
    Traceback (most recent call last):
    NotImplementedError: Antigravity: things fall here.
    """

    def refuse(self, *args: Any, **kwargs: Any):
        raise error(f"{name}: {reason}")

    home = sys._getframe(1).f_globals["__name__"]  # the module that offers the name, as for a class that is defined there
    return type(name, (), {"__init__": refuse, "__doc__": f"Not supported: {reason}", "__module__": home})
