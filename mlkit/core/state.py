"""What an op call depends on besides its arguments: the active trace, the recording tapes, the backend. One object a thread."""

import contextlib
import itertools
import threading
import weakref


class State(threading.local):
    trace = None  # the Trace under construction, or None
    recording = ()  # the open gradient tapes, outermost first
    choose_backend = (
        None  # a function that puts the default backend in force: its `backend` and `kernels`; given by core.backend
    )
    device = None  # name given to `device(...)`, or None for the backend's default
    autocast = None  # compute dtype that float variables are read in, or None
    scope = ()  # names of the layers (and name scopes) being called or built, outermost first
    training = None  # the `training` argument of the layer being called, inherited by layers within
    scope_of_state = None  # the innermost StatelessScope, which keeps values of variables apart
    in_call = False  # whether a layer is being called
    call_id = 0  # counts the thread's outermost layer calls: losses added during an older one are stale
    shape_pass = None  # while a function runs on shapes: variable -> what it was assigned, which is forgotten afterwards
    variable_hook = None  # while a model file is read: (initializer, shape, dtype, path) -> initializer, or raises
    times = None  # (list for the `Times` of programs made, clock) while `core.timing.collecting` is open
    update = None  # {call: result} shared by the steps of one update of an optimizer
    layer_version = 0  # of all threads: another number after each change of any layer's `trainable`

    def __init__(self):
        self.losses = weakref.WeakKeyDictionary()  # layer -> (call_id, what it added to the loss in that call)

    def __getattr__(self, name):
        """The backend in force and the table of its kernels, when one of them is asked for first."""
        if name not in ("backend", "kernels"):
            raise AttributeError(f"the state has no {name!r}")
        State.choose_backend()
        return getattr(self, name)


state = State()
_versions = itertools.count(1)


def layers_changed():
    """Note that a layer has become trainable or frozen: programs in use are looked up anew."""
    State.layer_version = next(_versions)


@contextlib.contextmanager
def swapped(**values):
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


def outside_trace():
    """A block in which ops run at once and untaped, and assignments last, though a trace or a run on shapes is under way (to create
    weights, say)."""
    return swapped(trace=None, recording=(), autocast=None, shape_pass=None)
