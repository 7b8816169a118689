"""What an op call depends on besides its arguments: who interprets it, the layer's call it stands in, the backend. One object a thread."""

import contextlib
import importlib
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from mlkit.core.call import CallContext


class State(threading.local):
    top: Any = None  # the Interpreter that is asked first; `core.interpreter` puts one there that runs kernels
    device: str | None = None  # name given to `device(...)`, or None for the backend's default
    variable_hook: Callable[..., Any] | None = (
        None  # while a model file is read: (initializer, shape, dtype, path) -> initializer, or raises
    )
    times: tuple[list[Any], Callable[[], float]] | None = (
        None  # (list for the `Times` of programs made, clock) while `core.timing.collecting` is open
    )
    remat: Any = None  # the RematScope that layers are being made in
    communicator: Any = None  # the `Communicator` of the processes that this one trains with, or None
    distribution: Any = None  # the Distribution in force, which says how variables and batches lie on several devices
    update: dict[Any, Any] | None = None  # {call: result} shared by the steps of one update of an optimizer
    layer_version = 0  # of all threads: another number after each change of any layer's `trainable`

    def __init__(self) -> None:
        losses: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self.call = CallContext(losses=losses)  # of the innermost layer that is being called

    def __getattr__(self, name: str) -> Any:
        """The backend in force and the table of its kernels, when one of them is asked for first."""
        if name not in ("backend", "kernels"):
            raise AttributeError(f"the state has no {name!r}")
        importlib.import_module("mlkit.core.backend").choose_default()  # by its name, for it stands on this module
        return getattr(self, name)


state = State()
_versions = itertools.count(1)


def layers_changed() -> None:
    """Note that a layer has become trainable or frozen: programs in use are looked up anew."""
    State.layer_version = next(_versions)


@contextlib.contextmanager
def swapped(**values: Any) -> Iterator[None]:
    """Set attributes of the thread's state for a block, and put the old ones back."""
    own = state.__dict__
    old = {k: own[k] for k in values if k in own}
    own.update(values)
    try:
        yield
    finally:
        for k in values:
            if k in old:
                own[k] = old[k]
            else:
                own.pop(k, None)  # what holds for all threads holds for this one again
