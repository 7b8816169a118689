"""Kernels of collectives: what the communicator in force does with an array. Without one, each is the identity."""

import math

import numpy as np

from mlkit.core import dtypes
from mlkit.core.state import state

_WIDE = {"float16": "float32", "bfloat16": "float32"}  # what no communicator adds


def make(xp):
    return {
        "all_reduce": _AllReduce(xp), "all_gather": _all_gather, "reduce_scatter": _reduce_scatter, "broadcast": _broadcast,
        "rank": lambda: np.asarray(state.communicator.rank if state.communicator is not None else 0, "int32"),
    }  # fmt: skip


class _AllReduce:
    """Tensors travel as one piece of memory. A single one is reduced where it lies."""

    inplace = ((0, 0),)  # further results may lie where arguments do as well, but a plan looks for pairs one by one

    def __init__(self, xp):
        self.xp = xp

    def __call__(self, *xs, reduction="sum", label=""):
        outs = tuple(self.xp.empty(x.shape, x.dtype) for x in xs)
        self.into(*xs, out=outs, reduction=reduction, label=label)
        return outs

    @staticmethod
    def into(*xs, out, reduction="sum", label=""):
        communicator = state.communicator
        wide = _WIDE.get(dtypes.name_of(xs[0].dtype))
        if communicator is None or len(xs) == 1 and wide is None:
            for x, y in zip(xs, out):
                if x is not y:
                    y[...] = x
            if communicator is not None:
                _reduce(communicator, out[0], reduction, label)
            return
        together = np.empty(sum(math.prod(x.shape) for x in xs), wide or xs[0].dtype)
        _each(together, xs, lambda part, x: np.copyto(part, x))
        communicator.all_reduce(together, reduction, label)
        _each(together, out, lambda part, y: np.copyto(y, part, casting="same_kind"))


def _each(together, arrays, do):
    """Call ``do(part, array)`` for each array and its part of the memory in which all of them lie."""
    start = 0
    for a in arrays:
        end = start + math.prod(a.shape)
        do(together[start:end].reshape(a.shape), a)
        start = end


def _reduce(communicator, array, reduction, label):
    if array.flags.c_contiguous:
        communicator.all_reduce(array, reduction, label)
    else:
        dense = np.ascontiguousarray(array)
        communicator.all_reduce(dense, reduction, label)
        np.copyto(array, dense)


def _all_gather(x, size):
    communicator = state.communicator
    if communicator is None:
        return x.copy()
    return communicator.all_gather(np.ascontiguousarray(x)).reshape(-1, *x.shape[1:])


def _reduce_scatter(x, size):
    communicator = state.communicator
    if communicator is None:
        return x.copy()
    total = np.array(x, order="C")
    communicator.all_reduce(total)
    rows = len(total) // size
    return total[communicator.rank * rows : (communicator.rank + 1) * rows].copy()


def _broadcast(x, root=0):
    if state.communicator is None:
        return x.copy()
    result = np.array(x, order="C")
    state.communicator.broadcast(result, root)
    return result
