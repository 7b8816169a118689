"""Processes that exchange arrays by MPI (package mpi4py, with the MPI that is installed beside it, or the site's own)."""

import contextlib
import os
import pickle
import socket
import sys

import numpy as np

from mlkit.backends.native.progress import Progress
from mlkit.core import communicator
from mlkit.core.communicator import Communicator

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
    """All processes of MPI's world, by blocking calls.

    timeout: seconds that a call waits for other ranks before all processes are stopped with a message that names those that did not
    come. Environment variable: MLKIT_COLLECTIVE_TIMEOUT, 60 unless it is set.
    """

    def __init__(self, timeout: float | None = None):
        if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
            raise RuntimeError(
                "initialize: MPI was started without support for threads. Let mpi4py start it (import it first)."
            )
        self._comm = MPI.COMM_WORLD.Dup()  # a script that uses MPI itself does not meet our messages
        self.rank, self.size = self._comm.rank, self._comm.size
        timeout = communicator.timeout() if timeout is None else timeout
        hosts = self._comm.allgather(socket.gethostname())
        self._progress = Progress(self._comm.bcast(Progress.path(), 0), self.rank, hosts, timeout)
        shared = _shared_files()
        self._comm.Barrier()
        self._progress.opened()
        for path in shared:  # all have mapped them: without names nothing is left of them where a process is killed
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)

    def all_reduce(self, array, reduction="sum", label=""):
        with self._progress.inside(f"all_reduce of {label or _words(array)}"):
            self._comm.Allreduce(MPI.IN_PLACE, array, _OPERATIONS[reduction])

    def all_gather(self, array, label=""):
        every = np.empty((self.size, *array.shape), array.dtype)
        with self._progress.inside(f"all_gather of {label or _words(array)}"):
            self._comm.Allgather(_bytes(array), _bytes(every))
        return every

    def broadcast(self, array, root=0, label=""):
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


def _shared_files():
    """The files by which MPICH shares memory on this host."""
    try:
        with open("/proc/self/maps") as maps:
            return {line.split()[-1] for line in maps if "/dev/shm/mpich_shm_" in line and "(deleted)" not in line}
    except OSError:  # not Linux
        return set()


def _bytes(array):
    return [array, MPI.BYTE]  # without a count, which would be that of one rank in a gather


def _words(array):
    return f"{array.dtype}{list(array.shape)}"
