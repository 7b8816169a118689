"""A GPU as a `Device`: its memory is CuPy's pool, and one stream computes."""

import functools

import numpy as np

from mlkit.backends.native.cuda import indexing, norm, random, softmax
from mlkit.backends.native.cuda.chain import BLOCK, ChainKernel
from mlkit.backends.native.cuda.module import of_device
from mlkit.backends.native.device import Device


class Cuda(Device):
    """One GPU.

    Args:
        xp: CuPy, whose arrays lie there.
        number: Which one.
        modules: Where kernels are compiled, a `module.Modules`; NVRTC's unless given.
    """

    def __init__(self, xp, number=0, modules=None):
        super().__init__(xp)
        self.number, self.name = number, f"cuda:{number}"
        self.modules = modules or of_device(xp, number)
        self._doubts = {}  # message -> whether all is well so far, one truth value on the device

    def rows(self):
        return [row for family in (indexing, norm, random, softmax) for row in family.rows(self)]

    smallest_chain = 1  # a launch costs more than what a small op computes

    @functools.cached_property
    def most_blocks(self):
        """Blocks of threads of which it has work enough for all its multiprocessors."""
        return 16 * self.xp.cuda.Device(self.number).attributes["MultiProcessorCount"]

    def chain(self, chain, specs, kernels):
        """A kernel of its own; step by step where a step has no expression in CUDA C."""
        try:
            kernel = ChainKernel(chain, specs)
        except NotImplementedError:
            return super().chain(chain, specs, kernels)
        self.modules.want(kernel)
        return LaunchedChain(self, kernel)

    def indices(self, index, low, high, message):
        """The device is not waited for: that one is out of range is noted there, and told by `raise_doubts`."""
        xp = self.xp
        low = 0 if index.dtype.kind == "u" else low
        fine = xp.all((index >= low) & (index < high))
        known = self._doubts.setdefault(message, fine)
        if known is not fine:
            xp.logical_and(known, fine, out=known)
        return xp.clip(index, low, high - 1)

    def fine(self, message):
        """A truth value on the device for kernels that check indices themselves, who write False: then `raise_doubts` has the message."""
        known = self._doubts.get(message)
        if known is None:
            known = self._doubts[message] = self.xp.ones((), bool)
        return known

    def raise_doubts(self):
        """Raise IndexError if an index was out of range since the last time."""
        doubts, self._doubts = self._doubts, {}
        for message, fine in doubts.items():
            if not bool(fine):
                raise IndexError(message)

    def wait(self):
        """Until everything asked for has been computed."""
        self.xp.cuda.get_current_stream().synchronize()

    def memory(self):
        """(bytes that can be had, bytes there are)."""
        with self.xp.cuda.Device(self.number):
            free, total = self.xp.cuda.runtime.memGetInfo()
        return free + self.xp.get_default_memory_pool().free_bytes(), total


class LaunchedChain:
    """A chain of a plan: one launch."""

    def __init__(self, device, kernel):
        self.device, self.kernel = device, kernel
        self._sizes = [(np.uint32 if kernel.size < 2**32 // 2 else np.int64)(n) for n in kernel.sizes()]

    def __call__(self, *operands, out):
        kernel, xp = self.kernel, self.device.xp
        outs = out if type(out) is tuple else (out,)
        if not kernel.size:
            return
        operands = [xp.ascontiguousarray(a) for a in operands]
        dense = [o if o.flags.c_contiguous else xp.empty(o.shape, o.dtype) for o in outs]
        wide = kernel.is_flat and all(a.data.ptr % min(4 * a.itemsize, 16) == 0 for a in (*operands, *dense) if a.size > 1)
        function = self.device.modules.function(kernel.name)
        function((kernel.blocks(self.device.most_blocks),), (BLOCK,), (*operands, *dense, *self._sizes, np.int32(wide)))
        for o, d in zip(outs, dense):
            if o is not d:
                o[...] = d
