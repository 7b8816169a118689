"""The boundary: all that a backend is, the registry of backends, and the choice of backend and device."""

import abc
import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mlkit.core import debug, dtypes
from mlkit.core.control_flow import control_flow
from mlkit.core.deferred import Deferred
from mlkit.core.executable import Executable
from mlkit.core.garbage_collection import uncollected
from mlkit.core.graph import Graph
from mlkit.core.interpreter import EAGER, watch_devices
from mlkit.core.messages import explained
from mlkit.core.ownership import own_arrays
from mlkit.core.state import State, state, swapped
from mlkit.core.tensor import Tensor

metadata = Deferred("importlib.metadata")  # takes as long to import as all of core

Array = Any  # whatever arrays the backend computes with: they have a `shape` and a `dtype`
Kernel = Callable[..., Any]  # kernel(*arrays, **params) -> array, or a tuple of them


class Backend(abc.ABC):
    """What mlkit asks of a backend. One must have a name, kernels and a way from NumPy; the rest has defaults, which are right for
    arrays on one device that are computed at once. See docs/backend.md.

    name     as in `mlkit.config.set_backend(name)`
    kernels  op name -> kernel of the backend's arrays; where that of a fused op is absent, its fallback runs, where that of a control
             op, `control_flow`. A kernel may also be given arrays of NumPy or another backend: values made while that was in force
    """

    name: str
    kernels: Mapping[str, Kernel]
    joins_by_mpi = False  # whether the processes that compute together are those of an MPI job; else each is told an address

    # ---- arrays ------------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def asarray(self, host: Any, dtype: str, owned: bool = False) -> Array:
        """An array of the backend from a NumPy array (or anything NumPy can read): a copy, unless the memory is given away
        (`owned`), which nobody may write to from then on."""

    def to_numpy(self, array: Array) -> np.ndarray:
        """The array as a NumPy array that cannot be written: tensors do not change."""
        owner = _owners.get(type(array), self)
        if owner is not self:
            return owner.to_numpy(array)
        view = np.asarray(array).view()
        view.flags.writeable = False
        return view

    def borrow(self, host: Any, dtype: str) -> Array:
        """An array for one run of a compiled program, from a NumPy array whose memory it may share: programs neither keep nor
        return what they are passed. What does not run to its end before the call returns must copy."""
        return self.asarray(host, dtype)

    def ahead(self, batch: Any) -> Any:
        """A batch (a structure of arrays of NumPy and others) made ready by another thread while the step before runs: nobody writes into
        what is returned, whoever gave it may into what was given."""
        return own_arrays(batch)

    def adopt(self, array: Array) -> Array:
        """An array of this device from one of another."""
        return self.asarray(self.to_numpy(array), dtypes.name_of(array.dtype))

    def own(self, array: Array) -> Array:
        """The array itself if nobody else can change it, else a copy."""
        return self.asarray(self.to_numpy(array), dtypes.name_of(array.dtype))

    def export(self, array: Array) -> Any:
        """The array, or a view, as what other libraries take without a copy (DLPack)."""
        owner = _owners.get(type(array), self)
        if owner is not self:
            return owner.export(array)
        return array if hasattr(array, "__dlpack__") else np.asarray(array)

    # ---- devices -----------------------------------------------------------------------------------------------------

    def devices(self) -> list[str]:
        """Names of the devices there are."""
        return ["cpu:0"]

    def on(self, device: str) -> "Backend":
        """The backend whose arrays are made on one of the devices: itself, or one bound to it."""
        return self

    def default(self) -> "Backend":
        """The backend bound to the device that is used unless another one is asked for."""
        return self

    @property
    def device_name(self) -> str:
        """Name of the device that this one is bound to."""
        return self.devices()[0]

    def device_of(self, array: Array) -> str:
        """Name of the device that holds an array."""
        owner = _owners.get(type(array), self)
        return self.device_name if owner is self else owner.device_of(array)

    # ---- several devices at once, several processes ------------------------------------------------------------------

    def place(self, array: Array, layout: Any, is_part: bool = False) -> Array:
        """An array of the backend laid over the devices of a mesh, as a `TensorLayout` says; it may be the array itself.

        is_part: it is this process's part of the whole, to which each process brings its own.
        """
        if layout.num_shards > 1:
            self.sharding(layout)
        return array

    def sharding(self, layout: Any) -> Any:
        """What the backend's own library has for a `TensorLayout`."""
        raise NotImplementedError(
            f"The {self.name} backend keeps each array whole on one device and cannot lay it out as {layout}. Use the jax backend: "
            'mlkit.config.set_backend("jax").'
        )

    def parts(self, array: Array) -> list[tuple[tuple[int, ...], np.ndarray]] | None:
        """Of an array that several processes hold parts of, those that this one is to write: where each begins along each axis, and a copy
        of it. Together they are the whole, without overlap. None where each process has all of it."""
        return None

    def join(self, addresses: str | None, num_processes: int | None, process_id: int | None) -> None:
        """Join the processes that compute together (`mlkit.distribution.initialize`)."""
        raise NotImplementedError(f"initialize: the {self.name} backend computes in one process.")

    def processes(self) -> tuple[int, int]:
        """(number of the processes that compute together, number of this one)."""
        return 1, 0

    def agreed(self, number: int) -> int:
        """The number that the first process has, in all of them."""
        return number

    # ---- waiting, threads --------------------------------------------------------------------------------------------

    def synchronize(self) -> None:
        """Wait until everything asked for has been computed."""
        return  # what is computed at once need not be waited for

    def num_threads(self) -> int | None:
        """How many threads kernels use; None where the backend sees to that itself."""
        return None

    def set_num_threads(self, number: int) -> None:
        """Let kernels use so many threads from now on."""
        raise NotImplementedError(f"set_num_threads: the {self.name} backend manages its threads itself.")

    def missing(self, kind: str) -> str:
        """A sentence on why there is no device of a kind, such as "cuda"; "" where nothing is known of it."""
        return ""

    def libraries(self) -> dict[str, str]:
        """Name -> version and place, or why it is missing, of the libraries that kernels come from (`mlkit.show_config`)."""
        return {}

    # ---- programs ----------------------------------------------------------------------------------------------------

    def compile(self, graph: Graph) -> Executable:
        """The graph made ready to run. By default it is run op by op."""

        def run(arrays):
            with swapped(top=EAGER, backend=self, kernels=self.kernels):
                found = graph.run(*map(Tensor, arrays))
            return [t.data if type(t) is Tensor else self.asarray(t, v.dtype) for t, v in zip(found, graph.outputs)]

        return Executable(graph, run)


_owners: dict[type, Backend] = {}  # type of arrays that NumPy cannot read -> a backend that has such


def register_arrays(kind: type, owner: Backend) -> None:
    """Have all backends ask one for what arrays of a type hold, and where they are."""
    _owners[kind] = owner
    watch_devices()


# ---- the registry ------------------------------------------------------------------------------------------------------

ENTRY_POINTS = "mlkit.backends"  # the group in which installed packages name functions that make backends


def _built_in(module):
    return lambda: importlib.import_module(module).make_backend()


_BUILT_IN = {"native": _built_in("mlkit.backends.native"), "jax": _built_in("mlkit.backends.jax_adapter")}
_makers = dict(_BUILT_IN)
_backends: dict[str, Any] = {}
_making = threading.RLock()


def register_backend(name: str, make: Callable[[], Backend]) -> None:
    """Make a backend known by a name. A package may do so without being imported: by an entry point of the group `mlkit.backends`.

    Args:
        name: The name, as in `set_backend(name)`. One given before is given anew, but "native" and "jax" stay what they are.
        make: Function without arguments that returns the `mlkit.core.backend.Backend`. It is called when the backend is first used.

    Raises:
        ValueError: If the name is no name, or one of mlkit's own.
        TypeError: If `make` cannot be called.

    >>> import mlkit, numpy as np
    >>> class Mine(mlkit.core.backend.Backend):  # all that it can do is to add
    ...     name, kernels = "mine", {"add": np.add}
    ...
    ...     def asarray(self, host, dtype, owned=False):
    ...         return np.array(host, dtype)
    >>> mlkit.config.register_backend("mine", Mine)
    >>> mlkit.config.set_backend("mine")
    >>> mlkit.ops.add(1.0, 2.0).item()
    3.0
    >>> mlkit.config.set_backend("native")
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"register_backend: a name must be an identifier such as 'mine', but got {name!r}.")
    if name in _BUILT_IN:
        raise ValueError(f"register_backend: {name!r} is one of mlkit's own backends. Choose another name.")
    if not callable(make):
        raise TypeError(f"register_backend: expected a function that makes the backend {name!r}, but got {make!r}.")
    with _making:
        _makers[name] = make
        _backends.pop(name, None)


def get_backend(name: str) -> Any:
    """The backend of that name, made on first use."""
    if name not in _backends:
        with _making, uncollected():  # what is imported stays
            if name not in _backends:
                _backends[name] = _checked(name, _maker(name)())
    return _backends[name]


def _maker(name: str) -> Callable[[], Any]:
    """The function that makes a backend. Installed packages are asked for names that are not known."""
    if name in _makers:
        return _makers[name]
    installed = _installed()
    if name not in installed:
        raise explained(
            ValueError(
                f"Unknown backend {name!r}. There are: {', '.join(backends())}. Others are made known by "
                "mlkit.config.register_backend."
            ),
            "unknown-backend",
        )
    return installed[name].load()


def backends() -> list[str]:
    """Names of the backends there are, those of installed packages too."""
    return list(dict.fromkeys([*_makers, *_installed()]))


def _installed() -> dict[str, Any]:
    """Name -> entry point of the backends of installed packages."""
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def _checked(name: str, made: Any) -> Backend:
    if not isinstance(made, Backend):
        raise TypeError(f"The backend {name!r} must be a mlkit.core.backend.Backend, but what was registered makes {made!r}.")
    for attribute in ("name", "kernels"):
        if not hasattr(made, attribute):
            raise TypeError(f"The backend {name!r} has no {attribute!r}. See docs/backend.md.")
    if made.name != name:
        raise ValueError(f"The backend registered as {name!r} says that its name is {made.name!r}. The two must be equal.")
    return _with_control_flow(made)


def _with_control_flow(made: Backend) -> Backend:
    """The backend, which runs bodies from Python where it has no kernels of its own for them."""
    general = control_flow(made)
    if not general.keys() <= made.kernels.keys():
        made.kernels = {**general, **made.kernels}
    return made


# ---- the choice --------------------------------------------------------------------------------------------------------


def set_backend(backend: str) -> None:
    """Use a backend from now on, in all threads. Values made before stay usable: they are converted on first use.

    Args:
        backend: "native", "jax", or the name of one made known by `register_backend` or by an installed package.

    Raises:
        ValueError: If there is none of that name; the message lists those there are.
    """
    _use(get_backend(backend).default())


def set_device(device_name: str) -> None:
    """Make tensors, and compute, on a device from now on, in all threads. Values made before move there when they are used.

    Args:
        device_name: "cpu:0", "cuda:0" …; "cpu" and "cuda" are the first of their kind, and "gpu" is another name of "cuda".

    Raises:
        ValueError: There is no such device; the message lists those there are.

    >>> import mlkit
    >>> mlkit.config.set_device("cpu")
    """
    _use(_bound(device_name, "set_device")[1])


def _use(chosen: Backend) -> None:
    chosen = _with_control_flow(chosen)
    holder: Any
    for holder in (State, state):  # the default of new threads, and this one, where a block may have set its own
        holder.backend, holder.kernels = chosen, chosen.kernels


def _bound(device_name: str, caller: str) -> tuple[str, Backend]:
    """(full name of a device, the backend in force, bound to it)."""
    kind, _, number = str(device_name).lower().partition(":")
    wanted = [f"{name}:{number or 0}" for name in (kind, _OTHER_NAMES.get(kind)) if name]
    there = state.backend.devices()
    full = next((name for name in wanted if name in there), None)
    if full is None:
        reasons = [why for why in map(state.backend.missing, (kind, _OTHER_NAMES.get(kind, ""))) if why]
        text = f"{caller}: there is no {device_name!r} on backend {state.backend.name!r}. Devices: {', '.join(there)}."
        raise ValueError(" ".join([text, *reasons]))
    return full, _with_control_flow(state.backend.on(full))


_OTHER_NAMES = {"gpu": "cuda", "cuda": "gpu"}  # of kinds of devices: backends list one of the two


def choose_default() -> None:
    """Use the backend that MLKIT_BACKEND names, native unless it does, on the device that MLKIT_DEVICE names, or its default."""
    if not debug.DEVICE:
        return set_backend(debug.BACKEND)
    _use(get_backend(debug.BACKEND))
    set_device(debug.DEVICE)


def backend() -> str:
    """Name of the backend in force."""
    return state.backend.name


@contextlib.contextmanager
def using(name: str) -> Iterator[Backend]:
    """A block in which another backend is in force in this thread."""
    b = get_backend(name).default()
    with swapped(backend=b, kernels=b.kernels):
        yield b


@contextlib.contextmanager
def device(device_name: str) -> Iterator[None]:
    """A block whose tensors are made on the named device, for example ``with mlkit.device("cpu:0"):``.

    Args:
        device_name: "cpu:0", "gpu:0", ...: a kind and a number, as `mlkit.distribution.list_devices` names them.

    Raises ValueError for a device that is not there; the message lists those that are.
    """
    full, chosen = _bound(device_name, "device")
    with swapped(device=full, backend=chosen, kernels=chosen.kernels):
        yield
