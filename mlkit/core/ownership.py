"""Whether memory may be overwritten: does anybody else hold the object? CPython's reference counts tell."""

import sys


def _references(objects, i):
    o = objects[i]
    return sys.getrefcount(o)


# The count when nothing but a list holds an object. How many references a call itself takes depends on Python's version.
_ALONE = _references([object()], 0) if hasattr(sys, "getrefcount") else -2


def held_elsewhere(objects, i):
    """Whether anything besides the list and one owner holds ``objects[i]``."""
    return _references(objects, i) > _ALONE + 1
