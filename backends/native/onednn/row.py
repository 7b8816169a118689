"""What all oneDNN rows of the kernel table share: when they decline, how they run outside plans, strides."""

import collections
import threading

import numpy as np

from mlkit.backends.native import threads
from mlkit.backends.native.onednn.densify import densified
from mlkit.backends.native.onednn.library import library
from mlkit.compiler.plan import Operand
from mlkit.core import dtypes
from mlkit.core.layout import reshape
from mlkit.core.op import OPS

MOST_AXES = 12
FLOATS = "float32", "bfloat16"  # bfloat16 only where the processor multiplies it


class Row:
    """A row of the kernel table for the op `name`.

    fits(*args, **params)            whether oneDNN is right for these shapes and parameters; all tensors have dtypes of `exact`
                                     and are not empty
    build(operands, outs, **params)  the Kernel, or None where oneDNN has none or cannot take the operands' strides
    """

    name = None
    exact = ("float32",)  # dtypes of arguments that are taken; FLOATS where all primitives know both

    def fits(self, *args, **params):
        return True

    def is_quick(self, *args, **params):
        """Whether outside plans another row is done before this one has found its primitive."""
        return False

    def build(self, operands, outs, **params):
        raise NotImplementedError

    # ---- the protocol of rows (see mlkit/backends/native/table.py) ---------------------------------------------------

    def accepts(self, *args, **params):
        lib = library()
        if lib is None:
            return False
        for a in args:
            if not hasattr(a, "shape"):
                continue
            dtype = a.dtype if type(a.dtype) is str else dtypes.name_of(a.dtype)
            if dtype not in self.exact or 0 in a.shape or len(a.shape) > MOST_AXES:
                return False
            if dtype == "bfloat16" and not lib.multiplies_bfloat16:
                return False
        return self.fits(*args, **params)

    def prepare(self, operands, outs, params):
        return self.build(operands, outs, **params) or densified(self.build, operands, outs, params)

    def __call__(self, *args, **params):
        """Run at once. NotImplemented where the row declines after all."""
        if self.is_quick(*args, **params):
            return NotImplemented
        bound, outs, workspace = self._bound(args, params)
        if bound is None:
            dense = [np.ascontiguousarray(a) if _has_gaps(a) else a for a in args]
            return self(*dense, **params) if any(map(_has_gaps, args)) else NotImplemented
        results = [np.empty(o.shape, o.dtype) for o in outs[0]]
        arrays = [a for a in args if hasattr(a, "shape")] + results
        status = bound(*arrays, *([np.empty(workspace, "uint8")] if workspace else []))
        if status:
            raise RuntimeError(f"oneDNN: {self.name} failed with status {status}.")
        return tuple(results) if outs[1] else results[0]

    def _bound(self, args, params):
        """(function, outputs, bytes of workspace) for arrays like these; the last ones are remembered, per thread."""
        if getattr(_local, "epoch", None) != threads.epoch:
            _local.__dict__.clear()
            _local.epoch = threads.epoch
            threads.apply()
        key = tuple((a.shape, a.dtype, a.strides) if hasattr(a, "shape") else a for a in args), tuple(params.items())
        cache = _local.__dict__.setdefault(self.name, collections.OrderedDict())
        found = cache.get(key)
        if found is None:
            found = cache[key] = self._make(args, params)
            if len(cache) > 64:
                cache.popitem(last=False)
        return found

    def _make(self, args, params):
        operands = [Operand(a.shape, dtypes.name_of(a.dtype), a.strides) if hasattr(a, "shape") else a for a in args]
        specs = OPS[self.name].outputs(args, params)
        several = type(specs) is tuple
        outs = [Operand(s.shape, s.dtype) for s in (specs if several else (specs,))]
        kernel = self.build(operands, outs, **params)
        if kernel is None:
            return None, None, 0
        return (
            kernel.bind([None] * (len(operands) + len(outs) + bool(kernel.workspace)), strided=True),
            (outs, several),
            kernel.workspace,
        )


_local = threading.local()


def _has_gaps(a):
    return isinstance(a, np.ndarray) and not a.flags.c_contiguous


def element_strides(operand, repeated=0):
    """Strides in elements; None where they are negative, an element repeats, or the last step along an axis would leave its row
    (every other one of an odd number), which oneDNN refuses. repeated: so many first axes may repeat.

    An axis of size 1 gets the stride that it would have in a dense array.
    """
    size = dtypes.as_numpy(operand.dtype).itemsize
    strides, step = [], 1
    for i in reversed(range(operand.ndim)):
        n, s = operand.shape[i], operand.strides[i]
        if n > 1 and (s < 0 or s % size or (s == 0 and i >= repeated)):
            return None
        strides.append(s // size if n > 1 and s else step)
        step = strides[-1] * n
    strides = tuple(reversed(strides))
    reach = 0
    for s, n in sorted((s, n) for s, n, old in zip(strides, operand.shape, operand.strides) if n > 1 and old):
        if s < reach:
            return None
        reach = s * n
    return strides


def dense_rows(operand, shape):
    """Strides in elements of the operand seen in another shape; None where that needs its elements moved."""
    strides = reshape(operand.shape, operand.strides, shape)
    return strides and element_strides(Operand(shape, operand.dtype, strides))
