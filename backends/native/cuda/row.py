"""Rows of the kernel table whose kernels are written in CUDA C, in the files of `kernels/`.

A file holds templates over the type in memory `T` and the type that is computed in, `W`: float for halves and float32, double for float64.
A row makes a function of one for the dtypes of a call.
"""

import functools
import math
import pathlib
import re

import numpy as np

from mlkit.backends.native.cuda.expressions import C_TYPES, STORED
from mlkit.core import dtypes
from mlkit.primitives.catalogue import OPS

FLOATS = ("float16", "bfloat16", "float32", "float64")
UNITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned", 8: "unsigned long long", 16: "sixteen_bytes"}
NOTHING = np.uint64(0)  # as an argument: a pointer to nothing
_FOLDER = pathlib.Path(__file__).with_name("kernels")


@functools.cache
def text_of(part):
    """The text of a file of `kernels/`, by its name without ending."""
    return (_FOLDER / f"{part}.cu").read_text()


class Kernel:
    """A function for the dtypes of a call: what `module.Modules` is asked for.

    Args:
        name: Of the function.
        parameters: As C has them.
        call: The call of a template that is its body.
        parts: Names of the files that it stands on, in their order.
    """

    def __init__(self, name, parameters, call, parts):
        self.name, self.parts = name, parts
        # How many blocks a multiprocessor must have room for: of doubles two, which leaves 128 registers a thread, of others four. Where it
        # is not said the compiler may keep to 48, and values in memory.
        bounds = f"256, {2 if 'double' in parameters else 4}"
        self.text = f'extern "C" __global__ void __launch_bounds__({bounds}) {name}({parameters}) {{ {call}; }}\n'


class Launcher:
    """What launches kernels of a GPU. parts: files of `kernels/` that they stand on."""

    parts = ()

    def __init__(self, device):
        self.device = device

    def start(self, template, types, arguments, blocks, threads=256):
        """Launch a template.

        Args:
            template: Its name.
            types: What stands between its angle brackets.
            arguments: (type in C, name, value) for each; a pointer's value is an array, or None.
            blocks, threads: How many.
        """
        name = re.sub(r"\W+", "_", "_".join([template, *types]))
        parameters = ", ".join(f"{kind} {argument}" for kind, argument, _ in arguments)
        of = f"<{', '.join(types)}>" if types else ""
        call = f"{template}{of}({', '.join(argument for _, argument, _ in arguments)})"
        values = [NOTHING if value is None else value for _, _, value in arguments]
        self.run(name, parameters, call, blocks, threads, values)

    def run(self, function, parameters, call, blocks, threads, args):
        """Launch a function, made of templates if it has not been made yet. args: arrays and numbers of NumPy."""
        kernel = _kernel(f"mlkit_{function}", parameters, call, self.parts)  # not the name of a template
        self.device.modules.want(kernel)
        self.device.modules.function(kernel.name)((blocks,), (threads,), tuple(args))


class DenseRow:
    """A row for the op `name`, with memory that is dense.

    fits(*args, **params)       whether it is right for these arguments
    scratch(*args, **params)    bytes of temporary memory that it needs
    launch(args, outs, params)  write the results; all arrays are dense and not empty. Behind the results `outs` has the temporary memory,
                                an array of bytes, if there is any.
    """

    name = None
    dtypes = FLOATS  # of the first argument

    def __init__(self, device):
        self.device = device

    def fits(self, *args, **params):
        return True

    def scratch(self, *args, **params):
        return 0

    def launch(self, args, outs, params):
        raise NotImplementedError

    # ---- the protocol of rows (see mlkit/backends/native/table.py) ---------------------------------------------------

    def accepts(self, *args, **params):
        first = next(a for a in args if hasattr(a, "dtype"))
        if dtypes.name_of(first.dtype) not in self.dtypes or any(0 in a.shape for a in args if hasattr(a, "shape")):
            return False
        return self.fits(*args, **params)

    def __call__(self, *args, **params):
        specs = OPS[self.name].outputs(args, params)
        several = type(specs) is tuple
        outs = tuple(self.device.xp.empty(s.shape, dtypes.as_numpy(s.dtype)) for s in (specs if several else (specs,)))
        self.into(*args, out=outs if several else outs[0], **params)
        return outs if several else outs[0]

    def into(self, *args, out, scratch=None, **params):
        """scratch: the temporary memory, given by plans."""
        xp = self.device.xp
        outs = out if type(out) is tuple else (out,)
        if any(o.size for o in outs):
            dense = [o if is_dense(o) else xp.empty(o.shape, o.dtype) for o in outs]
            if scratch is None and (wanted := self.scratch(*args, **params)):
                scratch = xp.empty(wanted, "uint8")
            room = [] if scratch is None else [scratch]
            self.launch([self.device.dense(a) if hasattr(a, "shape") else a for a in args], dense + room, params)
            for o, d in zip(outs, dense):
                if o is not d:
                    o[...] = d


class KernelRow(Launcher, DenseRow):
    """One whose kernels are in `kernels/`.

    launches                    so many of them are started; where that depends on arguments, `launches_for(*args, **params)` says it
    checks(*args, **params)     (indices, lowest, end, message) for each that kernels check: they write False into `device.fine(message)`
    """

    launches = 1

    def checks(self, *args, **params):
        return ()

    def launches_for(self, *args, **params):
        return self.launches


@functools.cache
def _kernel(function, parameters, call, parts):
    return Kernel(function, parameters, call, parts)


def is_dense(array):
    """Whether an array's elements lie one behind another. (CuPy makes an object of `flags`, which takes a microsecond.)"""
    return array._c_contiguous


def stored(*arrays):
    """C's types of what lies in memory."""
    return [STORED[dtypes.name_of(a.dtype)] for a in arrays]


def computed(array):
    """C's type that its elements are computed in."""
    return C_TYPES[dtypes.name_of(array.dtype)]


def last_axes(x, rank=1):
    """(rows, elements of each) where the last axes of an array are taken together."""
    split = len(x.shape) - rank
    return math.prod(x.shape[:split]), math.prod(x.shape[split:])


def threads_for(size):
    """Threads of a block that works on so many elements: whole warps, 256 at most."""
    return min(256, -(-size // 32) * 32)


def number(value):
    """A size as a kernel takes it."""
    return np.int64(value)


def unit(lengths, arrays):
    """(bytes, C's type) of the largest unit of memory in which all of some lengths and addresses can be counted, see `units.cu`."""
    size = next(u for u in (16, 8, 4, 2, 1) if all(n % u == 0 for n in lengths) and all(a.data.ptr % u == 0 for a in arrays))
    return size, UNITS[size]


def numbering(count):
    """C's type that numbers so many things: divisions of 32 bits take a fraction of the time of others."""
    return "unsigned" if count < 2**31 else "long long"
