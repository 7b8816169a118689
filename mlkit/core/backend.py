"""The boundary: all that a backend is, the registry of backends, and the choice of backend and device."""

import contextlib
import importlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mlkit.core import debug
from mlkit.core.garbage import uncollected
from mlkit.core.state import State, state, swapped

Array = Any  # whatever arrays the backend computes with


class Backend(Protocol):
    """What mlkit asks of a backend. See docs/backend.md."""

    name: str
    kernels: Mapping[str, Callable]  # op name -> kernel(*arrays, **params); a fused op may be absent: its fallback runs

    def asarray(self, host, dtype: str, device: str | None = None, owned: bool = False) -> Array:
        """An array of the backend from a NumPy array (or anything NumPy can read): a copy, unless the memory is given away
        (`owned`), which nobody may write to from then on."""

    def borrow(self, host, dtype: str) -> Array:
        """An array for one run of a compiled program, from a NumPy array whose memory it may share: programs neither keep nor
        return what they are passed. What does not run to its end before the call returns must copy."""

    def own(self, array: Array) -> Array:
        """The array itself if nobody else can change it, else a copy."""

    def to_numpy(self, array: Array):
        """The array as a NumPy array."""

    def devices(self) -> list[str]:
        """Names of the devices there are, such as ``["cpu:0"]``."""

    def on(self, device: str) -> "Backend":
        """The backend whose arrays are made on the named device: itself, or one bound to it."""

    def device_of(self, array: Array) -> str:
        """Name of the device that holds an array."""

    def synchronize(self) -> None:
        """Wait until everything asked for has been computed."""

    def compile(self, graph) -> Callable[[list], list]:
        """A function (arrays of the graph's inputs) -> (arrays of its outputs)."""


_MODULES = {"native": "mlkit.backends.native", "jax": "mlkit.backends.jax_adapter"}
_backends = {}
_making = threading.RLock()


def get_backend(name):
    """The backend of that name, made on first use."""
    if name not in _MODULES:
        raise ValueError(f"Unknown backend {name!r}. There are: {', '.join(_MODULES)}.")
    if name not in _backends:
        with _making, uncollected():  # what is imported stays
            if name not in _backends:
                _backends[name] = importlib.import_module(_MODULES[name]).make_backend()
    return _backends[name]


def set_backend(name):
    """Use a backend from now on, in all threads. Values made before stay usable: they are converted on first use."""
    backend = get_backend(name)
    for holder in (State, state):  # the default of new threads, and this one, where a block may have set its own
        holder.backend, holder.kernels = backend, backend.kernels


def backend():
    """Name of the backend in force."""
    return state.backend.name


@contextlib.contextmanager
def using(name):
    """A block in which another backend is in force in this thread."""
    b = get_backend(name)
    with swapped(backend=b, kernels=b.kernels):
        yield b


@contextlib.contextmanager
def device(name):
    """A block whose tensors are made on the named device, for example ``with mlkit.device("cpu:0"):``.

    Raises ValueError for a device that is not there; the message lists those that are.
    """
    full = name if isinstance(name, str) and ":" in name else f"{name}:0"
    there = state.backend.devices()
    if full not in there:
        raise ValueError(f"device: there is no {name!r} on backend {state.backend.name!r}. Devices: {', '.join(there)}.")
    chosen = state.backend.on(full)
    with swapped(device=full, backend=chosen, kernels=chosen.kernels):
        yield


State.choose_backend = lambda: set_backend(debug.BACKEND)
