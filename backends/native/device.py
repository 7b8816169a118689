"""Device: what plans and kernels that are written over an array module ask of where they run: its memory, and what stands around calls."""

import contextlib
import threading

from mlkit.backends.native.tiled_chain import BlockedChain
from mlkit.core import dtypes


class Device:
    """A device whose arrays a module `xp` makes, with NumPy's functions. What is right for most is given here.

    backend   the backend that computes there, which says so when it is made
    epoch     counts changes of what programs are prepared for (the number of threads): those prepared before are prepared anew
    smallest_chain  as `Target` has it
    carries   whether programs keep copies of weights in half floats from run to run (`passes/carry`)
    joins_chains  whether several chains are one launch (`chains`)
    alone     a block in which kernels of NumPy keep to the thread that calls them
    threads   a function that gives a block; between its `one()` and its `all()` stand calls that say they are small, which are left to
              the thread that makes them, and are bound in a block that `bound_small` gives; None where one thread makes all calls
    tuning    a function that gives a block in which kernels that a library has several of are chosen by trying them
    local()   an object for what each thread that computes has of its own: memory that programs run in, and those bound to it
    lock      a block that is held while programs are bound to memory, where threads share it
    kernels() those of ops that it computes in a way of its own: op name -> kernel
    rows()    kernels beside those over `xp`, which come first: objects as `table.Rows` has them, each with the `name` of its op
    """

    backend = None
    epoch = 0
    smallest_chain = None
    carries = False
    joins_chains = False
    alone = contextlib.nullcontext()
    threads = None
    bound_small = tuning = staticmethod(contextlib.nullcontext)
    local = threading.local
    lock = contextlib.nullcontext()

    def __init__(self, xp):
        self.xp = xp
        self.quiet = getattr(xp, "errstate", lambda **_: contextlib.nullcontext())

    def kernels(self):
        return {}

    def rows(self):
        return ()

    # ---- other processes ---------------------------------------------------------------------------------------------

    def place(self):
        """Which one of this host's devices it is, where that can be told; two processes cannot have one of these."""
        return None

    def communicator(self, host):
        """The `Communicator` for arrays of this device and of the host, from that for the host's alone."""
        return host

    # ---- memory ------------------------------------------------------------------------------------------------------

    def reserve(self, nbytes):
        """A block of memory, an array of bytes that begins where the widest loads may begin."""
        return self.xp.empty(nbytes, "uint8")

    def coming(self, nbytes):
        """Memory that is being made ready meanwhile, with a method `claim(nbytes)` that gives the block; None where that is no use."""

    def view(self, block, shape, dtype, offset, strides):
        """An array that lies in a block."""
        return self.xp.ndarray(shape, dtypes.as_numpy(dtype), block.data + offset, strides)

    def empty(self, shape, dtype):
        """An array of its own, not filled."""
        return self.xp.empty(shape, dtype)

    def full(self, shape, value, dtype):
        """An array of its own with one number in all places."""
        return self.xp.full(shape, value, dtype)

    def fill(self, array, value):
        """Write a number into all elements of a dense array."""
        array.fill(value)

    def elsewhere(self, arrays):
        """The numbers of those among a program's arrays that are not on this device."""
        kind = self.xp.ndarray
        return [i for i, a in enumerate(arrays) if type(a) is not kind]

    def scattered(self, arrays):
        """The numbers of the arrays that do not lie dense in memory."""
        return [i for i, a in enumerate(arrays) if not a.flags.c_contiguous]

    def borrowed(self, arrays, numbers):
        """Those of the numbers whose arrays have memory that something else has too."""
        return [i for i in numbers if arrays[i].base is not None]

    def dense(self, array):
        """The array, or a dense copy of one that is not."""
        return self.xp.ascontiguousarray(array)

    def settle(self, array):
        """Memory has been written to from end to end for the first time."""

    def channel_block(self):
        """How many channels lie together in images in blocks; None where no kernel gains by that."""

    def chain(self, chain, specs, kernels):
        """A function (*operands, out=) that runs a chain of elementwise ops. kernels: those that write into given memory."""
        return BlockedChain(self.xp, chain, specs, kernels, self.scalar)

    def can_join(self, chain, specs):
        """Whether `chains` takes a chain of operands of these specs."""
        return False

    def chains(self, chains, specs):
        """A function (*operands, out=) that runs several chains; operands and results are those of all. specs: of the operands."""
        raise NotImplementedError(f"{type(self).__name__} runs chains one by one.")

    def cells(self, plain):
        """What recurrent nets do element by element in a step, an object as `recurrent.Cells`. plain: the one over `xp`."""
        return plain

    def finish(self, plain):
        """What follows a product in place, a function as `epilogue` has it. plain: the one over `xp`."""
        return plain

    def scalar(self, value, dtype):
        """A Python number as kernels of `xp` take it fastest."""
        return dtype.type(value)

    def indices(self, index, low, high, message):
        """The indices, of which each must be from `low` to below `high`.

        Raises:
            IndexError: One is not; a device that would have to wait to know may say so later, and computes with some other index
                till then.
        """
        if index.size == 1:  # two reductions take ten times as long
            fits = low <= index.item() < high
        else:
            fits = not index.size or (index.min() >= low and index.max() < high)
        if not fits:
            raise IndexError(message)
        return index

    def strict(self):
        """A block in which linear algebra raises where there is no answer; to wait for nothing, some libraries say nothing else."""
        return contextlib.nullcontext()

    def keeps_apart(self, plan):
        """Whether a program needs memory of its own, for others may run while it does."""
        return False

    def check_room(self, plan, name):
        """Raise MemoryError where it is known beforehand that a program cannot be run. name: of the function it was traced from."""

    # ---- running -----------------------------------------------------------------------------------------------------

    def enter(self):
        """The thread is about to run a program here."""

    def runner(self, run, plan, whole):
        """A function that runs a program, given the one that runs it kernel by kernel. whole: it is no part of another one, and nobody
        asks how long its kernels take."""
        return run

    def prepare(self):
        """Before primitives are made, and before a program is bound to memory."""

    def written(self, arrays):
        """A program writes into arrays that were made before."""


_known = {}  # array module -> its Device, where more is known of it than `Device` gives


def register(device):
    """Have `device_of` find it."""
    _known[device.xp] = device
    return device


def device_of(xp):
    """The Device of an array module."""
    return _known.get(xp) or Device(xp)
