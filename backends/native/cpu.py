"""The CPU as a `Device`: pages of the system's memory, threads, and oneDNN's rows."""

import numpy as np

from mlkit.backends.native import loops, memory_pages, onednn, packing, random_numpy, threads, version_counters
from mlkit.backends.native.device import Device, register
from mlkit.backends.native.onednn import kernel_steps
from mlkit.backends.native.onednn.blocked_images import channel_block
from mlkit.core import dtypes


class Cpu(Device):
    """NumPy's arrays."""

    name = "cpu:0"
    alone = threads.one_blas_thread
    empty, fill = staticmethod(memory_pages.empty), staticmethod(memory_pages.fill)
    borrowed, settle = staticmethod(memory_pages.borrowed), staticmethod(memory_pages.join)
    prepare, written = staticmethod(threads.apply), staticmethod(version_counters.written)
    channel_block, scalar = staticmethod(channel_block), staticmethod(np.asarray)
    kernels = staticmethod(random_numpy.make)
    threads, bound_small = kernel_steps.Threads, staticmethod(kernel_steps.bound_for_one_thread)

    @property
    def epoch(self):
        return threads.epoch

    def rows(self):
        return [*onednn.rows(), *loops.rows(self), *packing.ROWS]

    reserve = staticmethod(memory_pages.block)

    def coming(self, nbytes):
        return memory_pages.Coming(nbytes) if memory_pages.is_large(nbytes) else None

    def view(self, block, shape, dtype, offset, strides):
        return np.ndarray(shape, dtypes.as_numpy(dtype), block, offset, strides)

    def full(self, shape, value, dtype):
        # Zeros too are written: reading memory that the system gives blank, then writing it, takes two page faults a page.
        out = memory_pages.empty(shape, dtype)
        memory_pages.fill(out, value)
        memory_pages.join(out)
        return out


CPU = register(Cpu(np))
