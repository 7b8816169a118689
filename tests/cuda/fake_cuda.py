"""What `cupy.cuda` has beside arrays, as doubles: streams, events, graphs, pools of memory, pinned memory, the driver's answers.

Each is as strict as CUDA while a stream is captured: who waits, launches into the default stream, or has a pool grow by new memory gets an
error. What is captured is undone when the capture ends, and done again by each launch of the graph, in the same memory.

There is no time in it: all that is launched has been computed when the call returns, so it does not see two streams that race.
"""

import collections
import contextlib
import ctypes
import dataclasses
import sys
import threading
import types
import weakref

import numpy as np


@dataclasses.dataclass
class Counts:
    """What the device was asked for."""

    launches: int = 0
    replays: int = 0
    uploads: int = 0
    on_default_stream: int = 0
    waits: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def clear(self):
        self.launches = self.replays = self.uploads = self.on_default_stream = 0
        self.waits.clear()


class CUDARuntimeError(RuntimeError):
    """As CuPy raises where a function of CUDA fails."""

    __module__ = "cupy_backends.cuda.api.runtime"


class OutOfMemoryError(MemoryError):
    """As CuPy's."""

    __module__ = "cupy.cuda.memory"


counts = Counts()
_here = threading.local()  # current stream, pool and device of a thread
_capturing = []  # streams that are captured


# ---- what every launch goes through --------------------------------------------------------------------------------------


def submit(compute, into=()):
    """Have the current stream compute something. into: arrays of NumPy that it writes. What it returns is new memory."""
    stream = current_stream()
    if stream.ptr == 0:
        counts.on_default_stream += 1
        if _capturing:
            stream.refuse("the default stream is used while another stream is captured")
    with np.errstate(all="ignore"):
        if stream.recorded is None:
            return compute()
        before = [(a, a.copy()) for a in into]
        result = compute()
        stream.recorded.append((compute, result, before))
        return result


def wait(what):
    """The host waits for the device."""
    if current_stream().recorded is not None:
        current_stream().refuse(f"{what}: the device is waited for while its stream is captured")
    frame = sys._getframe(1)
    while frame and "mlkit" not in frame.f_code.co_filename and "backends" not in frame.f_code.co_filename:
        frame = frame.f_back
    if threading.current_thread().name != "mlkit-prefetch":  # that thread is there to wait
        counts.waits[f"{what} at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else what] += 1


# ---- streams, events, graphs ---------------------------------------------------------------------------------------------


class Stream:
    """A stream, which computes at once."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr = 0 if null else id(self)
        self.is_non_blocking = non_blocking
        self.recorded = None  # while it is captured: (computation, result, what was there before)
        self.is_invalid = False

    def __enter__(self):
        self._before = [*getattr(self, "_before", ()), current_stream()]
        _here.stream = self
        return self

    def __exit__(self, *_):
        _here.stream = self._before.pop()

    def use(self):
        _here.stream = self
        return self

    def synchronize(self):
        if self.recorded is not None:
            self.refuse("synchronize: the device is waited for while its stream is captured")
        wait("synchronize")

    def record(self, event=None):
        if self.recorded is not None:
            self.refuse("an event of a captured stream")
        return event or Event()

    def wait_event(self, event):
        if self.recorded is not None:
            self.refuse("a captured stream waits for what was not captured")

    def is_capturing(self):
        return self.recorded is not None

    def begin_capture(self, mode=None):
        if self.ptr == 0:
            raise RuntimeError("cannot capture the default stream")
        self.recorded, self.is_invalid = [], False
        _capturing.append(self)

    def end_capture(self):
        recorded, self.recorded = self.recorded, None
        _capturing.remove(self)
        for _, _, before in reversed(recorded):
            for array, old in before:
                array[...] = old
        if self.is_invalid:
            raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture")
        return Graph([(compute, result) for compute, result, _ in recorded])

    def refuse(self, why):
        for stream in _capturing:
            stream.is_invalid = True
        raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {why}")


Stream.null = Stream(null=True)


def current_stream():
    return getattr(_here, "stream", Stream.null)


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.done = True

    def record(self, stream=None):
        (stream or current_stream()).record(self)

    def synchronize(self):
        wait("synchronize an event")


class Graph:
    """What was captured, done again by `launch`. A result that nobody holds any more keeps its memory, as a graph's pool does."""

    def __init__(self, steps):
        self._steps = steps

    def launch(self, stream=None):
        if (stream or current_stream()).ptr == 0:
            counts.on_default_stream += 1
        counts.replays += 1
        with np.errstate(all="ignore"):
            for compute, result in self._steps:
                again = compute()
                for old, new in zip(result, again) if isinstance(result, (tuple, list)) else [(result, again)]:
                    if isinstance(old, np.ndarray):
                        np.copyto(old, new)


# ---- memory --------------------------------------------------------------------------------------------------------------


class MemoryPool:
    """A pool that knows how much of its memory is free, by size. It grows when there is none, which a captured stream refuses."""

    def __init__(self, allocator=None):
        self._free, self._used, self._total = collections.Counter(), 0, 0

    def malloc(self, size):
        return types.SimpleNamespace(pool=self)

    def take(self, size):
        if self._free[size]:
            self._free[size] -= 1
        else:
            if current_stream().recorded is not None:
                current_stream().refuse(f"a pool of memory grows by {size} bytes while a stream is captured")
            if size > runtime.memGetInfo()[0]:
                raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes (allocated so far: {self._total:,} bytes).")
            self._total += size

    def give(self, size):
        self._free[size] += 1

    def free_bytes(self):
        return sum(size * n for size, n in self._free.items())

    def total_bytes(self):
        return self._total

    def used_bytes(self):
        return self._total - self.free_bytes()

    def free_all_blocks(self, stream=None):
        self._total -= self.free_bytes()
        self._free.clear()


class Lease:
    """Memory that arrays of the device share. It goes back to the pool with the last of them: the host's memory may live longer, for a
    graph computes in it."""

    def __init__(self, host):
        self.owner, nbytes = weakref.ref(host), host.nbytes
        self._pool, self._size = getattr(_here, "pool", None) or default_pool, max(-(-nbytes // 512), 1) * 512
        self._pool.take(self._size)
        self.device = current_device()
        self._is_taken = True

    def __del__(self):
        if getattr(self, "_is_taken", False):
            self._pool.give(self._size)


places = weakref.WeakValueDictionary()  # address that was asked for -> the array of NumPy that owns the memory there
_leases = weakref.WeakValueDictionary()  # id of the array of NumPy that owns memory -> its Lease


def lease(host):
    """The Lease of the memory that an array of NumPy lies in."""
    while host.base is not None:
        base = host.base  # a memoryview after `frombuffer`, some other object after `as_strided`
        host = base if isinstance(base, np.ndarray) else base.obj if isinstance(base, memoryview) else base.base
    found = _leases.get(id(host))
    if found is None:
        found = _leases[id(host)] = Lease(host)
    return found


def memory_at(address, nbytes):
    """The bytes at an address, which hold the array that they are part of, as a graph holds what lies in its pool."""
    owner = places.get(address)
    if owner is None:
        inside = (o for o in list(places.values()) if o.ctypes.data <= address < o.ctypes.data + o.nbytes)
        owner = next(inside, None)
    found = (ctypes.c_char * nbytes).from_address(address)
    found.owner = owner
    return found


default_pool = MemoryPool()


@contextlib.contextmanager
def strict_linalg():
    """cupyx.errstate(linalg="raise"): without it CuPy says nothing of singular matrices."""
    before, _here.is_strict = is_strict(), True
    try:
        yield
    finally:
        _here.is_strict = before


def is_strict():
    return getattr(_here, "is_strict", False)


@contextlib.contextmanager
def using_allocator(allocator=None):
    before = getattr(_here, "pool", None)
    _here.pool = allocator.__self__
    try:
        yield
    finally:
        _here.pool = before


def alloc_pinned_memory(size):
    if _capturing:
        _capturing[-1].refuse("pinned memory is allocated while a stream is captured")
    return memoryview(np.empty(size, "uint8"))


# ---- the device and the driver -------------------------------------------------------------------------------------------


def current_device():
    """The number of the one that the thread uses."""
    return getattr(_here, "device", 0)


class Device:
    def __init__(self, device=None):
        self.id = current_device() if device is None else device
        self.compute_capability = "90"
        self.attributes = {"MultiProcessorCount": 1}

    def use(self):
        _here.device = self.id

    def __enter__(self):
        self._before = [*getattr(self, "_before", ()), current_device()]
        self.use()
        return self

    def __exit__(self, *_):
        _here.device = self._before.pop()


class runtime:
    """cupy.cuda.runtime"""

    CUDARuntimeError = CUDARuntimeError
    free, total = 16 << 30, 16 << 30

    @staticmethod
    def getDeviceCount():
        return 1

    @classmethod
    def memGetInfo(cls):
        return cls.free, cls.total

    @staticmethod
    def getDeviceProperties(number):
        return {
            "name": b"a GPU that is not there",
            "major": 9,
            "minor": 0,
            "multiProcessorCount": 1,
            "totalGlobalMem": 16 << 30,
        }

    @staticmethod
    def deviceGetPCIBusId(number):
        return f"0000:{number + 1:02x}:00.0"

    @staticmethod
    def driverGetVersion():
        return 13020


cuda = types.SimpleNamespace(
    Stream=Stream, Event=Event, Graph=Graph, MemoryPool=MemoryPool, Device=Device, runtime=runtime,
    get_current_stream=current_stream, using_allocator=using_allocator, alloc_pinned_memory=alloc_pinned_memory,
)  # fmt: skip
