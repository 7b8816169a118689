"""The memory that plans run in: one block a thread, as large as the largest plan that is still in use there."""

import threading
import weakref

ALIGNMENT = 64


class Arena(threading.local):
    """The block itself is held by the programs bound to it, so that it goes when the last of them does."""

    _block = None  # weak reference

    def __init__(self, xp):
        self.xp = xp

    def current(self):
        """The block, or None."""
        return self._block and self._block()

    def at_least(self, nbytes):
        """A block of at least so many bytes; a larger one takes the place of the old one."""
        block = self.current()
        if block is None or block.nbytes < nbytes:
            block = aligned(self.xp, nbytes)
            self._block = weakref.ref(block)
        return block


def aligned(xp, nbytes):
    """An array of bytes that begins at a multiple of the alignment."""
    raw = xp.empty(nbytes + ALIGNMENT, "uint8")
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]
