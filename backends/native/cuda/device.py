"""A GPU as a `Device`: its memory is CuPy's pool, and one stream computes for all threads."""

import contextlib
import functools
import threading
import types
import warnings

import numpy as np

from mlkit.backends.native import tiled_chain, version_counters
from mlkit.backends.native.cuda import families, words
from mlkit.backends.native.cuda.blas import Blas
from mlkit.backends.native.cuda.captured import CapturedProgram, LockedProgram, calls_back, can_capture
from mlkit.backends.native.cuda.chain import BLOCK, ChainKernel
from mlkit.backends.native.cuda.cudnn.library import plans_of
from mlkit.backends.native.cuda.cudnn.rnn import networks_of
from mlkit.backends.native.cuda.cudnn.weights import LaunchedWeights
from mlkit.backends.native.cuda.doubts import Doubts
from mlkit.backends.native.cuda.epilogue import LaunchedFinish
from mlkit.backends.native.cuda.module import of_device
from mlkit.backends.native.cuda.movement import StridedCopy
from mlkit.backends.native.cuda.multi_chain import LaunchedChains, rule
from mlkit.backends.native.cuda.nccl import NcclCommunicator
from mlkit.backends.native.cuda.recurrent import LaunchedCells
from mlkit.backends.native.cuda.row import is_dense
from mlkit.backends.native.cuda.streams import Streams
from mlkit.backends.native.device import Device
from mlkit.core import settings
from mlkit.core.deferred import Deferred

_cupyx = Deferred("cupyx")


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
        self.streams = Streams(xp, number)
        self._strided_copy = StridedCopy(self)
        self.lock = threading.RLock()  # held while a program is launched; then the order in the stream keeps their memory apart
        self._numbers = None  # the settings that kernels are chosen by; CuPy has not been told yet
        self._own_doubts = Doubts(xp)  # of ops that run one by one
        self._doubted = {}  # id -> Doubts to be looked at when something is read
        self._noting = threading.local()  # .doubts: those of the program that the thread launches

    local = types.SimpleNamespace  # what threads have of their own on the CPU they share here
    written = staticmethod(version_counters.written)
    carries = joins_chains = True
    smallest_chain = 1  # a launch costs more than what a small op computes

    def rows(self):
        return families.rows(self)

    @functools.cached_property
    def cudnn(self):
        """The plans of cuDNN, or None without it; looked for when they are first asked for."""
        return plans_of(self)

    def tuning(self):
        return contextlib.nullcontext() if self.cudnn is None else self.cudnn.tuning()

    @functools.cached_property
    def networks(self):
        """The recurrent nets of cuDNN, or None without it."""
        return None if self.cudnn is None else networks_of(self)

    @functools.cached_property
    def recurrent_weights(self):
        return LaunchedWeights(self)

    @functools.cached_property
    def blas(self):
        """Products of matrices. It is there when the first program is captured, which its first call sees to."""
        return Blas(self)

    @property
    def uses_tf32(self):
        """Whether products of float32 are rounded to TF32."""
        return settings.float32() == "tf32" and self.is_ampere_or_later

    @functools.cached_property
    def is_ampere_or_later(self):
        """Whether it multiplies TF32 and bfloat16."""
        return int(self.xp.cuda.Device(self.number).compute_capability) >= words.OLD

    @functools.cached_property
    def most_blocks(self):
        """Blocks of threads of which it has work enough for all its multiprocessors."""
        return 16 * self.xp.cuda.Device(self.number).attributes["MultiProcessorCount"]

    @functools.cached_property
    def counters(self):
        """Zeros that blocks of one launch count each other by, and leave so: launches come one after another. Like `blas` they are there
        before something is captured."""
        with self.outliving_graphs():
            return self.xp.zeros(self.most_blocks, "uint32")

    def outliving_graphs(self):
        """A block that allocates memory which is not given back with the graph that it is made for."""
        return self.xp.cuda.using_allocator(self.xp.get_default_memory_pool().malloc)

    def chain(self, chain, specs, kernels):
        """A kernel of its own; step by step where a step has no expression in CUDA C."""
        try:
            kernel = ChainKernel(chain, specs)
        except NotImplementedError:
            return super().chain(chain, specs, kernels)
        self.modules.want(kernel)
        return LaunchedChain(self, kernel)

    def can_join(self, chain, specs):
        try:
            rule(tiled_chain.in_single(chain, specs), specs)
        except NotImplementedError:
            return False
        return True

    def chains(self, chains, specs):
        return LaunchedChains(self, chains, specs)

    @functools.cached_property
    def parameter_bytes(self):
        """How large the arguments of a launch may be: since CUDA 12.1 more than 4 KB."""
        return 32000 if self.xp.cuda.runtime.driverGetVersion() >= 12010 else 4000

    def cells(self, plain):
        return LaunchedCells(self)

    def finish(self, plain):
        return LaunchedFinish(self, plain)

    def indices(self, index, low, high, message):
        """The device is not waited for: that one is out of range is noted there, and told by `raise_doubts`."""
        xp = self.xp
        low = 0 if index.dtype.kind == "u" else low
        known = self.fine(message)
        xp.logical_and(known, xp.all((index >= low) & (index < high)), out=known)
        return xp.clip(index, low, high - 1)

    def strict(self):
        return _cupyx.errstate(linalg="raise")

    @functools.cached_property
    def is_alone(self):
        """Whether there is no other GPU, so that each array of CuPy's is here."""
        return self.xp.cuda.runtime.getDeviceCount() == 1

    def elsewhere(self, arrays):
        if self.is_alone:
            return super().elsewhere(arrays)
        kind, number = self.xp.ndarray, self.number
        return [i for i, a in enumerate(arrays) if type(a) is not kind or a.data.device_id != number]

    def fine(self, message):
        """A truth value on the device for kernels that check indices themselves, who write False: then `raise_doubts` has the message."""
        doubts = getattr(self._noting, "doubts", None)
        if doubts is None:
            doubts = self._own_doubts
            self._doubted[id(doubts)] = doubts
        return doubts.fine(message)

    @contextlib.contextmanager
    def noting(self, doubts):
        """A block in which this thread notes in `Doubts` of its own whether indices are in range."""
        before = getattr(self._noting, "doubts", None)
        self._noting.doubts = doubts
        try:
            yield
        finally:
            self._noting.doubts = before

    def doubt(self, doubts):
        """Have `Doubts` looked at when something is read."""
        if doubts:
            self._doubted[id(doubts)] = doubts

    def raise_doubts(self):
        """Raise IndexError if an index was out of range since the last time."""
        if not self._doubted:
            return
        doubted, self._doubted = self._doubted, {}
        wrong = [message for message in [d.first() for d in doubted.values()] if message]
        if wrong:
            raise IndexError(wrong[0])

    # ---- other processes -----------------------------------------------------------------------------------------------

    def place(self):
        return self.xp.cuda.runtime.deviceGetPCIBusId(self.number)

    def communicator(self, host):
        return NcclCommunicator(self, host)

    # ---- running -------------------------------------------------------------------------------------------------------

    def enter(self):
        self.streams.enter()
        if self._numbers != (settings.float32(), settings.deterministic()):
            self._set_numbers()

    def _set_numbers(self):
        """Compute in another way from now on; graphs hold the old one, so programs are prepared anew."""
        products = self.xp._core._routines_linalg
        kind = products.COMPUTE_TYPE_TF32 if self.uses_tf32 else products.COMPUTE_TYPE_FP32
        products.set_compute_type("float32", kind)
        self._numbers = settings.float32(), settings.deterministic()
        self.epoch += 1

    def runner(self, run, plan, whole):
        if words.has_bfloat16(plan.graph):
            self._warn_of_bfloat16()
        if whole and can_capture(plan.graph):
            return CapturedProgram(self, run, plan)
        return LockedProgram(self, run, threading.RLock() if self.keeps_apart(plan) else self.lock)

    def keeps_apart(self, plan):
        return calls_back(plan.graph)

    def wait(self):
        """Until everything asked for has been computed."""
        self.streams.computing.synchronize()

    def copy(self, array, into):
        """Copy a dense array into another one of the same kind."""
        into.data.copy_from_device_async(array.data, array.nbytes)

    def scattered(self, arrays):
        return [i for i, a in enumerate(arrays) if not is_dense(a)]

    def dense(self, array):
        """The array, or a dense copy of one that is not."""
        if is_dense(array):
            return array
        new = self.xp.empty(array.shape, array.dtype)
        self.copy_into(array, new)
        return new

    def copy_into(self, array, out):
        """Copy an array that lies in any way into one of the same shape and dtype."""
        if not (array.size and is_dense(out) and self._strided_copy(array, out)):
            self.xp.copyto(out, array)

    # ---- how much memory there is --------------------------------------------------------------------------------------

    def memory(self):
        """(bytes that can be had, bytes there are)."""
        with self.xp.cuda.Device(self.number):
            free, total = self.xp.cuda.runtime.memGetInfo()
            return free + self.xp.get_default_memory_pool().free_bytes(), total

    def taken_by_others(self):
        """Bytes that are neither free nor in this program's pool."""
        with self.xp.cuda.Device(self.number):
            free, total = self.xp.cuda.runtime.memGetInfo()
            return total - free - self.xp.get_default_memory_pool().total_bytes()

    def check_room(self, plan, name):
        block = self.backend.arena.current()
        words.check_room(self, plan, name, 0 if block is None else block.nbytes)

    @functools.cache  # noqa: B019  # said once; devices live as long as the process
    def _warn_of_bfloat16(self):
        if text := words.old_card(self):
            warnings.warn(text, stacklevel=2)


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
        operands = [self.device.dense(a) for a in operands]
        dense = [o if is_dense(o) else xp.empty(o.shape, o.dtype) for o in outs]
        wide = kernel.is_flat and all(a.data.ptr % min(4 * a.itemsize, 16) == 0 for a in (*operands, *dense) if a.size > 1)
        function = self.device.modules.function(kernel.name)
        function((kernel.blocks(self.device.most_blocks),), (BLOCK,), (*operands, *dense, *self._sizes, np.int32(wide)))
        for o, d in zip(outs, dense):
            if o is not d:
                o[...] = d
