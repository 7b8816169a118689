"""Python's search for garbage, put off while many objects are made that all stay."""

import contextlib
import gc


@contextlib.contextmanager
def uncollected():
    """A block (or, as a decorator, a function) without garbage collection: going through the objects of a graph under construction
    again and again takes up to a fifth of the time in which it is made."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
