"""Batches on their way to a GPU while it computes the step before: through pinned memory, in a stream of their own."""

import threading
import weakref

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.ownership import held_elsewhere, own_arrays

CHUNK = 8 << 20  # bytes of each of the two pinned buffers: one is filled while the other is copied


class Uploads:
    """What the threads that make batches ahead of time send to one GPU. The batch stays on the host too, where it is looked at; the step
    that is given an array of it finds the copy."""

    def __init__(self, device):
        self.device = device
        self._lock = threading.Lock()
        self._buffers = None  # two of [pinned memory as an array of NumPy, event of the copy that reads it]
        self._sent = []  # arrays of the GPU, which somebody may hold
        self._of_host = {}  # id of an array of NumPy -> (weak reference to it, its copy on the GPU)

    def send(self, batch):
        """A copy of the batch, whose arrays of numbers are on the GPU too. They are there on return: the thread that calls is not the one
        that launches the steps, so it may wait."""
        streams, own = self.device.streams, own_arrays(batch)
        with self._lock, streams.copying:
            self._let_go()
            for host in filter(_can_be_sent, tree.flatten(own)):
                array = self._one(host)
                self._sent.append(array)
                self._of_host[id(host)] = weakref.ref(host), array
            streams.copying.synchronize()
        return own

    def find(self, host):
        """The copy of an array of a batch that was sent, or None."""
        ref, array = self._of_host.get(id(host), (None, None))
        return array if ref is not None and ref() is host else None

    def _let_go(self):
        """Give back what nobody needs any more, once the steps that have read it are done: the stream that copies waits for none."""
        for key in [key for key, (host, _) in self._of_host.items() if host() is None]:
            del self._of_host[key]
        for i in reversed(range(len(self._sent))):
            if not held_elsewhere(self._sent, i, owners=0):
                self.device.streams.hold(self._sent.pop(i))

    def _one(self, host):
        array = self.device.xp.empty(host.shape, host.dtype)
        flat = np.ascontiguousarray(host).reshape(-1).view("uint8")
        for number, start in enumerate(range(0, flat.size, CHUNK)):
            part = flat[start : start + CHUNK]
            buffer = self._two()[number % 2]
            if buffer[1] is not None:
                buffer[1].synchronize()
            buffer[0][: part.size] = part
            (array.data + start).copy_from_host_async(buffer[0].ctypes.data, part.size, self.device.streams.copying)
            buffer[1] = self.device.streams.event(self.device.streams.copying)
        return array

    def _two(self):
        if self._buffers is None:
            pinned = self.device.xp.cuda.alloc_pinned_memory
            self._buffers = [[np.frombuffer(pinned(CHUNK), "uint8", CHUNK), None] for _ in range(2)]
        return self._buffers


def _can_be_sent(x):
    return isinstance(x, np.ndarray) and x.dtype.kind not in dtypes.STRING_KINDS + "Mm" and x.dtype.isnative
