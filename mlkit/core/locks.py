"""Locks: who may make things, and who may change variables.

Two rules keep threads from waiting for each other for ever. Who holds a variable's lock does not ask for `making`. And who needs the
locks of several variables holds none of them while it waits for one.
"""

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

# Held while state or programs are made: layers are built, and functions traced, by one thread at a time. To be looked up here each time:
# a forked child has one of its own.
making = threading.RLock()

_running: set[Any] = set()  # the blocks of `Writing` that threads are in
_begun = 0  # the number of the block that was entered last
_numbers = itertools.count(1)


class Held:
    """A block in which locks are held, all of them."""

    __slots__ = ("locks",)

    def __init__(self, locks: Sequence[Any]):
        self.locks = locks

    def __enter__(self) -> Any:
        """Take all. Where one is taken, give back the others and wait for that one."""
        taken: list[Any] = []
        try:
            while (missing := self._take(taken)) is not None:
                _release(taken)
                taken.clear()
                with missing:
                    pass
        except BaseException:  # Ctrl-C, say
            _release(taken)
            raise

    def __exit__(self, *_: Any) -> None:
        _release(self.locks)

    def _take(self, taken: Any) -> Any:
        """Take the locks, noting them in `taken`, up to the first that is not free; that one, or None."""
        for lock in self.locks:
            if not lock.acquire(False):
                return lock
            taken.append(lock)
        return None


class Writing(Held):
    """A block in which variables are written that belong together: the weights after one step, say. locks: those of all that it reads
    and writes."""

    __slots__ = ()

    def __enter__(self) -> Any:
        global _begun
        super().__enter__()
        _running.add(self)
        _begun = next(_numbers)

    def __exit__(self, *_: Any) -> None:
        _running.discard(self)
        super().__exit__()


def _release(locks: Sequence[Any]) -> None:
    for lock in locks:
        lock.release()


def together(read: Callable[..., Any], locks: Sequence[Any]) -> Any:
    """``read()``, values of several variables, without any block of `Writing` between them. locks: the variables'."""
    before = _begun
    if not _running:
        values = read()
        if not _running and _begun == before:
            return values
    with Held(locks):
        return read()


def _after_fork() -> None:
    """The threads that held it, or were writing, stay behind with the parent."""
    global making
    making = threading.RLock()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
