"""Arrays of GPUs travel by NCCL (`cupy.cuda.nccl`), on a stream of their own, while the one that computes goes on.

What is not on a GPU, plain values and how many ranks there are, is left to a communicator of the host, which brings rank 0's id to all.
"""

import collections
import os
import sys
import threading
import time
import warnings
import weakref

import numpy as np

from mlkit.backends.native.cuda.library import NCCL
from mlkit.core import communicator, dtypes
from mlkit.core.communicator import Communicator
from mlkit.core.deferred import Deferred
from mlkit.core.exit_status import TIMED_OUT

_nccl = Deferred("cupy.cuda.nccl")

_LOOKS = 4  # at what is under way, in the time that it may take


class NcclCommunicator(Communicator):
    """The ranks of another communicator, each with a GPU of its own.

    device: this rank's, a `cuda.device.Cuda`; host: the communicator for what lies on the host; timeout: seconds that an array may be under
    way before this process ends with a message.

    Raises:
        ImportError: There is no NCCL.
    """

    overlaps = True

    def __init__(self, device, host: Communicator, timeout: float | None = None):
        self._device, self._host, self.rank, self.size = device, host, host.rank, host.size
        self._timeout = communicator.timeout() if timeout is None else timeout
        without = [r for r, there in enumerate(host.all_gather_values(_is_there(), "whether NCCL is there")) if not there]
        if without:
            names = ", ".join(map(str, without))
            raise ImportError(f"GPUs exchange arrays by NCCL, which rank {names} does not find. Install it with: {NCCL}")
        name = host.all_gather_values(_nccl.get_unique_id() if self.rank == 0 else None, "NCCL's id")[0]
        device.enter()
        self._stream = device.xp.cuda.Stream(non_blocking=True)
        self._comm = _nccl.NcclCommunicator(self.size, name, self.rank)
        self._under_way = collections.deque()  # (event, what, since when)
        self._lock = threading.Lock()  # of what is under way
        self._arrival = {}  # address of an array that was started -> (event, array)
        closed = threading.Event()
        weakref.finalize(self, closed.set)
        watch = threading.Thread(
            target=_watch, args=(weakref.ref(self), closed, self._timeout / _LOOKS), name="mlkit NCCL", daemon=True
        )
        watch.start()

    # ---- collectives -------------------------------------------------------------------------------------------------

    def all_reduce(self, array, reduction="sum", label=""):
        if isinstance(array, np.ndarray):
            self._host.all_reduce(array, reduction, label)
        else:
            self.start(array, reduction, label)
            self.wait(array)

    def start(self, array, reduction="sum", label=""):
        if isinstance(array, np.ndarray):
            self._host.start(array, reduction, label)
            return
        dtype = dtypes.name_of(array.dtype)
        kind, operation = getattr(_nccl, f"NCCL_{dtype.upper()}", None), getattr(_nccl, f"NCCL_{reduction.upper()}")
        if kind is None:
            raise TypeError(f"all_reduce: NCCL does not reduce tensors of {dtype}; cast them to int32 or a float first.")
        event = self._send(
            lambda stream: self._comm.allReduce(array.data.ptr, array.data.ptr, array.size, kind, operation, stream),
            f"all_reduce of {label or dtype}",
        )
        self._arrival[array.data.ptr] = event, array

    def wait(self, array):
        if isinstance(array, np.ndarray):
            self._host.wait(array)
        elif array.data.ptr in self._arrival:
            event, _ = self._arrival.pop(array.data.ptr)
            self._device.streams.computing.wait_event(event)

    def free(self, array):
        if isinstance(array, np.ndarray):
            self._host.free(array)
        else:
            self.wait(array)

    def all_gather(self, array, label=""):
        if isinstance(array, np.ndarray):
            return self._host.all_gather(array, label)
        every = self._device.xp.empty((self.size, *array.shape), array.dtype)
        self._now(
            lambda stream: self._comm.allGather(array.data.ptr, every.data.ptr, array.nbytes, _nccl.NCCL_UINT8, stream),
            f"all_gather of {label or array.dtype}",
        )
        return every

    def broadcast(self, array, root=0, label=""):
        if isinstance(array, np.ndarray):
            self._host.broadcast(array, root, label)
            return
        self._now(
            lambda stream: self._comm.broadcast(array.data.ptr, array.data.ptr, array.nbytes, _nccl.NCCL_UINT8, root, stream),
            f"broadcast of {label or array.dtype}",
        )

    def all_gather_values(self, value, label=""):
        return self._host.all_gather_values(value, label)

    # ---- streams -----------------------------------------------------------------------------------------------------

    def _send(self, call, what):
        """Have NCCL's stream do something after all that was computed so far; the event that comes then."""
        self._device.enter()
        streams = self._device.streams
        streams.after(streams.computing, self._stream)
        call(self._stream.ptr)
        event = streams.event(self._stream)
        with self._lock:
            while self._under_way and self._under_way[0][0].done:
                self._under_way.popleft()
            self._under_way.append((event, what, time.monotonic()))
        return event

    def _now(self, call, what):
        self._device.streams.computing.wait_event(self._send(call, what))

    # ---- what takes too long -----------------------------------------------------------------------------------------

    def _look(self):
        """End the process if NCCL has failed, or something has been under way for too long."""
        self._device.enter()
        try:
            self._comm.check_async_error()
        except Exception as error:
            self._end(f"NCCL has failed on rank {self.rank}: {error}")
            return
        with self._lock:
            late = next((entry for entry in self._under_way if not entry[0].done), None)
        if late is not None and time.monotonic() - late[2] > self._timeout:
            self._end(f"rank {self.rank} has waited more than {self._timeout:g} s for the {late[1]} among GPUs.")

    @staticmethod
    def _end(text):
        print(f"\nmlkit: {text}", file=sys.stderr, flush=True)
        os._exit(TIMED_OUT)


def _watch(nccl, closed, seconds):
    """Look at what is under way each time so many seconds have passed, as long as somebody has the communicator."""
    while not closed.wait(seconds):
        there = nccl()
        if there is not None:
            there._look()
        del there


def _is_there():
    """Whether CuPy finds NCCL."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of CuPy, which says it in words of its own
        return _nccl.available
