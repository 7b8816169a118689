"""Processes that exchange arrays by MPI (package mpi4py, with the MPI that is installed beside it, or the site's own)."""

import concurrent.futures
import contextlib
import os
import pickle
import socket
import sys

import numpy as np

from mlkit.backends.native import threads
from mlkit.backends.native.progress import Progress
from mlkit.core import communicator
from mlkit.core.communicator import Communicator
from mlkit.core.machine import usable_cores

try:
    from mpi4py import MPI
except ImportError as error:
    raise ImportError(
        f"Training on several processes needs mpi4py and an MPI library ({error}). Install both with: "
        'pip install "mlkit-engine[mpi]"'
    ) from error

FAILED = 1  # exit status of a process in which the script raised an error
_OPERATIONS = {"sum": MPI.SUM, "min": MPI.MIN, "max": MPI.MAX}


class MpiCommunicator(Communicator):
    """All processes of MPI's world, by blocking calls: MPI's others go on only while somebody calls MPI. A thread of its own makes
    those for arrays given to `start`, where all ranks want that.

    timeout: seconds that a call waits for other ranks before all processes are stopped with a message that names those that did not
    come. Environment variable: MLKIT_COLLECTIVE_TIMEOUT, 60 unless it is set.
    overlaps: whether arrays travel while others are computed; if None, as MLKIT_OVERLAP says, 0 or 1, or where all hosts have a core for
    that which no rank computes on.
    """

    def __init__(self, timeout: float | None = None, overlaps: bool | None = None):
        if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
            raise RuntimeError(
                "initialize: MPI was started without support for threads. Let mpi4py start it (import it first)."
            )
        self._comm = MPI.COMM_WORLD.Dup()  # a script that uses MPI itself does not meet our messages
        self.rank, self.size = self._comm.rank, self._comm.size
        timeout = communicator.timeout() if timeout is None else timeout
        hosts = self._comm.allgather(socket.gethostname())
        wanted = all(self._comm.allgather(_overlaps(hosts.count(hosts[self.rank])) if overlaps is None else overlaps))
        self.overlaps = wanted and all(self._comm.allgather(MPI.Query_thread() == MPI.THREAD_MULTIPLE))
        self._apart = self._comm.Dup() if self.overlaps else self._comm  # by which arrays travel that were started
        self._traveling: dict[int, concurrent.futures.Future] = {}  # address of an array -> the call under way
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "mlkit traveling arrays") if self.overlaps else None
        self._progress = Progress(self._comm.bcast(Progress.path(), 0), self.rank, hosts, timeout)
        shared = _shared_files()
        self._comm.Barrier()
        self._progress.opened()
        for path in shared:  # all have mapped them: without names nothing is left of them where a process is killed
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)

    def all_reduce(self, array, reduction="sum", label=""):
        _require_host(array)
        with self._progress.inside(f"all_reduce of {label or _words(array)}"):
            self._comm.Allreduce(MPI.IN_PLACE, array, _OPERATIONS[reduction])

    def start(self, array, reduction="sum", label=""):
        _require_host(array)
        if self._thread is None:
            self.all_reduce(array, reduction, label)
        else:
            self._traveling[_address(array)] = self._thread.submit(self._travel, array, reduction, label)

    def _travel(self, array, reduction, label):
        try:
            with self._progress.inside(f"all_reduce of {label or _words(array)}", apart=True):
                self._apart.Allreduce(MPI.IN_PLACE, array, _OPERATIONS[reduction])
        except Exception as error:
            raise RuntimeError(f"The all_reduce of {label or _words(array)} has failed: {error}") from error

    def wait(self, array):
        call = self._traveling.pop(_address(array), None)
        if call is not None:
            call.result()

    def free(self, array):
        call = self._traveling.pop(_address(array), None)
        if call is not None:
            concurrent.futures.wait([call])

    def all_gather(self, array, label=""):
        _require_host(array)
        every = np.empty((self.size, *array.shape), array.dtype)
        with self._progress.inside(f"all_gather of {label or _words(array)}"):
            self._comm.Allgather(_bytes(array), _bytes(every))
        return every

    def broadcast(self, array, root=0, label=""):
        _require_host(array)
        with self._progress.inside(f"broadcast of {label or _words(array)}"):
            self._comm.Bcast(_bytes(array), root)

    def all_gather_values(self, value, label=""):
        with self._progress.inside(f"exchange of {label or 'values'}"):
            return [pickle.loads(own) for own in self._comm.allgather(pickle.dumps(value))]


def world_size() -> int:
    """How many processes MPI's launcher has started."""
    return MPI.COMM_WORLD.size


def stop_all_on_error() -> None:
    """Have an error that nobody catches stop all ranks: the others would wait for this one for ever."""
    before = sys.excepthook

    def stop(kind, value, trace):
        before(kind, value, trace)
        sys.stdout.flush()
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(FAILED)

    sys.excepthook = stop


def _overlaps(ranks):
    """Whether arrays are to travel in a thread of their own, of a rank on a host of so many ranks."""
    said = os.environ.get("MLKIT_OVERLAP", "")
    if said not in ("", "0", "1"):
        raise ValueError(f"MLKIT_OVERLAP must be 0 or 1, but is {said!r}.")
    return usable_cores() >= ranks * (threads.count() + 1) if said == "" else said == "1"


def _shared_files():
    """The files by which MPICH shares memory on this host."""
    try:
        with open("/proc/self/maps") as maps:
            return {line.split()[-1] for line in maps if "/dev/shm/mpich_shm_" in line and "(deleted)" not in line}
    except OSError:  # not Linux
        return set()


def _require_host(array):
    if not isinstance(array, np.ndarray):
        raise RuntimeError(
            "An array of a GPU cannot travel: the processes were joined while this one computed on the CPU. Choose the device before "
            "they are joined, by MLKIT_DEVICE or mlkit.config.set_device."
        )


def _bytes(array):
    return [array, MPI.BYTE]  # without a count, which would be that of one rank in a gather


def _address(array):
    return array.__array_interface__["data"][0]


def _words(array):
    return f"{array.dtype}{list(array.shape)}"
