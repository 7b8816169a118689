"""The streams of one GPU: one computes for all threads, one copies batches to it, one is captured.

All are of our own and wait for no default stream. Threads share the one that computes, so whatever they ask for is done in the order in
which they asked, and memory that one has given back may be given to the next: it is written to after all that came before.
"""

import collections
import threading

_here = threading.local()  # .streams: those that CuPy uses in this thread


class Streams:
    """Of GPU `number` of CuPy `xp`."""

    def __init__(self, xp, number):
        self.xp, self.number = xp, number
        with xp.cuda.Device(number):
            self.computing, self.copying, self.recording = (xp.cuda.Stream(non_blocking=True) for _ in range(3))
        self._late = collections.deque()  # (event, what is held until it has come)
        self._lock = threading.RLock()  # what is let go may have something else held

    def enter(self):
        """Have CuPy compute on this GPU and in this stream, in this thread, until another GPU is entered."""
        if getattr(_here, "streams", None) is not self:
            self.xp.cuda.Device(self.number).use()
            self.computing.use()
            _here.streams = self

    def event(self, stream=None):
        """What comes when a stream has done all that it has been asked for."""
        with self.xp.cuda.Device(self.number):
            return (stream or self.computing).record(self.xp.cuda.Event(disable_timing=True))

    def hold(self, thing):
        """Hold what kernels may still read or write until the stream has come past them."""
        with self._lock:
            self._late.append((self.event(), thing))
            while self._late and self._late[0][0].done:
                self._late.popleft()

    def after(self, first, then):
        """Have one stream wait for what another has been asked for so far; the host waits for neither."""
        then.wait_event(self.event(first))
