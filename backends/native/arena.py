"""The memory that plans run in: one block a thread, as large as the largest plan that is still in use there."""

import mmap
import threading
import weakref

import numpy as np

ALIGNMENT = 64
LARGE = 1 << 22  # bytes; for arrays of that size NumPy asks for huge pages


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
    """An array of bytes that begins at a multiple of the alignment.

    Large ones are in small pages: in a virtual machine a huge page that the host has taken back costs it five times as much to
    give again as 512 small ones, which are hardly ever given back. Once there, they are as fast.
    """
    if xp is np and nbytes >= LARGE and hasattr(mmap, "MAP_ANONYMOUS"):
        return np.frombuffer(mmap.mmap(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), "uint8")
    raw = xp.empty(nbytes + ALIGNMENT, "uint8")
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]
