"""Two ranks that are threads of one process, each with a double of a GPU of its own."""

import concurrent.futures
import contextlib
import threading

import numpy as np

from mlkit.core import locks
from mlkit.core.communicator import Communicator
from mlkit.core.state import swapped
from tests.cuda.double import make_gpu

_LONGEST = 60  # seconds that a rank waits for the other


class Threads(Communicator):
    """The host's communicator of ranks that are threads."""

    def __init__(self, rank, held, barrier):
        self.rank, self.size, self._held, self._barrier = rank, len(held), held, barrier

    def all_gather_values(self, value, label=""):
        self._held[self.rank] = value
        self._barrier.wait()
        found = list(self._held)
        self._barrier.wait()
        return found

    def all_reduce(self, array, reduction="sum", label=""):
        array[...] = getattr(np, reduction)(self.all_gather_values(array.copy()), axis=0)

    def all_gather(self, array, label=""):
        return np.stack(self.all_gather_values(array.copy()))

    def broadcast(self, array, root=0, label=""):
        array[...] = self.all_gather_values(array.copy())[root]


class _OwnLock(threading.local):
    """A lock of each thread's own, as processes have."""

    def __init__(self):
        self._lock = threading.RLock()

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *error):
        return self._lock.__exit__(*error)


def in_two_ranks(do, monkeypatch):
    """What ``do(backend of the GPU, communicator of the host)`` returns in each of two threads, with that backend in force."""
    monkeypatch.setattr(locks, "making", _OwnLock())
    held, barrier = [None] * 2, threading.Barrier(2, timeout=_LONGEST)

    def one(rank):
        gpu = make_gpu()
        gpu.devices = lambda: ["cuda:0", "cpu:0"]  # of the host, which has none
        try:
            with swapped(backend=gpu, kernels=gpu.kernels):
                return do(gpu, Threads(rank, held, barrier))
        except BaseException:
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.abort()
            raise

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(one, rank) for rank in range(2)]
    errors = [f.exception() for f in futures if f.exception() is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return [f.result() for f in futures]
