"""Large pieces of memory, and the time it takes the system to provide them page by page.

They come in small pages. A huge page is cleared at once, but in a virtual machine whose host has taken the memory back meanwhile that
costs five times as much as 512 small pages, which are hardly ever taken back. Once there, small pages are 1-4 % slower, so the system
may join them later, which it does in the background, some megabytes a second.
"""

import math
import mmap
import sys
import threading

import numpy as np

from mlkit.backends.native import threads
from mlkit.core.machine import CACHE_LINE, threshold

LARGE = threshold("pages")
AT_ONCE = 1 << 23  # bytes whose pages a thread asks for before it looks whether it is to stop


def reserve(nbytes):
    """Memory of so many bytes that has no pages yet."""
    try:
        return mmap.mmap(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError):
        raise MemoryError(f"There is no memory for an array of {nbytes:,} bytes.") from None


def is_large(nbytes):
    """Whether a piece of memory is worth a mapping of its own, which Linux lets grow."""
    return nbytes >= max(LARGE, 1) and sys.platform == "linux"


def block(nbytes):
    """An array of bytes that begins at a multiple of a cache line."""
    if is_large(nbytes):
        return np.ndarray(nbytes, "uint8", reserve(nbytes))
    raw = np.empty(nbytes + CACHE_LINE, "uint8")
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + nbytes]


def empty(shape, dtype):
    """An array of its own, not filled."""
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    return np.ndarray(shape, dtype, reserve(nbytes)) if is_large(nbytes) else np.empty(shape, dtype)


def borrowed(arrays, numbers):
    """Those of the numbers whose arrays have memory that something else has too."""
    return [i for i in numbers if not (arrays[i].base is None or isinstance(arrays[i].base, mmap.mmap))]


def fill(array, value):
    """Write a number into all elements of a dense array, a large one by all threads."""
    if array.size < threads.FOR_A_THREAD:
        np.copyto(array, value, "unsafe")
    else:
        flat = array.reshape(-1)
        threads.in_parts(lambda start, stop: np.copyto(flat[start:stop], value, "unsafe"), flat.size)


def join(array):
    """Let the system make huge pages of small ones, of an array that has all of its pages."""
    memory = array.base
    if isinstance(memory, mmap.mmap) and hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)


class Coming:
    """Memory whose pages a thread brings in while there is nothing in it yet. nbytes: about as many as will be needed."""

    def __init__(self, nbytes):
        self._memory, self._claimed = reserve(nbytes), False
        self._thread = threading.Thread(target=self._bring_in, daemon=True)
        self._thread.start()

    def _bring_in(self):
        pages = np.frombuffer(self._memory, "uint8")[:: mmap.PAGESIZE]
        step = AT_ONCE // mmap.PAGESIZE
        for start in range(0, len(pages), step):
            if self._claimed:
                break
            pages[start : start + step] = 0  # without holding Python's lock

    def claim(self, nbytes):
        """The memory, now of so many bytes, as an array."""
        self._claimed = True
        self._thread.join()
        self._memory.resize(nbytes)
        return np.ndarray(nbytes, "uint8", self._memory)
