"""Python's search for garbage, put off while many objects are made that all stay."""

import contextlib
import gc
import os
from _thread import allocate_lock

_lock = allocate_lock()  # a `threading.Lock`, without that module: `import mlkit` comes here
_open = 0  # blocks that threads are in
_was_on = False  # whether it was on before the first of them


class uncollected(contextlib.ContextDecorator):
    """A block (or, as a decorator, a function) without garbage collection: going through the objects of a graph under construction
    again and again takes up to a fifth of the time in which it is made."""

    def __enter__(self) -> None:
        global _open, _was_on
        with _lock:
            if not _open:
                _was_on = gc.isenabled()
                gc.disable()
            _open += 1

    def __exit__(self, *error: object) -> None:
        global _open
        with _lock:
            _open = max(_open - 1, 0)
            if not _open and _was_on:
                gc.enable()


def _after_fork() -> None:
    """The threads that were in such blocks stay behind with the parent."""
    global _lock, _open
    _lock = allocate_lock()
    if _open:
        _open = 0
        if _was_on:
            gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
