"""Kernels of collectives: what the communicator in force does with an array. Without one, each is the identity."""

import functools
import math

from mlkit.core import dtypes
from mlkit.core.state import state
from mlkit.primitives.collectives import TRAVELS_AS


def make(xp):
    return {
        "all_reduce": _AllReduce(xp), "all_reduce_start": _Start(xp), "all_reduce_wait": _Wait(xp),
        "all_gather": functools.partial(_all_gather, xp), "reduce_scatter": functools.partial(_reduce_scatter, xp),
        "broadcast": functools.partial(_broadcast, xp),
        "rank": lambda: xp.full((), 0 if state.communicator is None else state.communicator.rank, "int32"),
    }  # fmt: skip


class _AllReduce:
    """Tensors travel as one vector. A single one is reduced where its result lies."""

    inplace = ((0, 0),)  # further results may lie where arguments do as well, but a plan looks for pairs one by one

    def __init__(self, xp):
        self.xp = xp

    def __call__(self, *xs, reduction="sum", scale=1.0, label=""):
        outs = tuple(self.xp.empty(x.shape, x.dtype) for x in xs)
        self.into(*xs, out=outs, reduction=reduction, scale=scale, label=label)
        return outs

    def into(self, *xs, out, reduction="sum", scale=1.0, label=""):
        dtype = _travels_as(xs)
        alone = len(xs) == 1 and out[0].dtype == dtype and out[0].flags.c_contiguous
        vector = out[0].reshape(-1) if alone else self.xp.empty(sum(math.prod(x.shape) for x in xs), dtype)
        _pack(self.xp, vector, xs, scale)
        if state.communicator is not None:
            state.communicator.all_reduce(vector, reduction, label)
        if not alone:
            _each(vector, out, lambda part, y: self.xp.copyto(y, part, casting="same_kind"))


class _Start:
    def __init__(self, xp):
        self.xp = xp

    def __call__(self, *xs, **params):
        vector = self.xp.empty(sum(math.prod(x.shape) for x in xs), _travels_as(xs))
        self.into(*xs, out=vector, **params)
        return vector

    def into(self, *xs, out, reduction="sum", scale=1.0, label=""):
        if state.communicator is not None:
            state.communicator.free(out)  # a step that an error has ended may have left it on its way
        _pack(self.xp, out, xs, scale)
        if state.communicator is not None:
            state.communicator.start(out, reduction, label)


class _Wait:
    inplace = ((0, 0),)

    def __init__(self, xp):
        self.xp = xp

    def __call__(self, x):
        out = self.xp.empty_like(x)
        self.into(x, out=out)
        return out

    @staticmethod
    def into(x, out):
        if state.communicator is not None:
            state.communicator.wait(x)
        if out is not x:
            out[...] = x


def _travels_as(xs):
    dtype = dtypes.name_of(xs[0].dtype)
    return dtypes.as_numpy(TRAVELS_AS.get(dtype, dtype))


def _pack(xp, vector, xs, scale):
    """Write the elements of all tensors, times a number, into a vector."""

    def write(part, x):
        if scale == 1 or part.dtype != x.dtype:
            xp.copyto(part, x)
            x = part
        if scale != 1:
            xp.multiply(x, part.dtype.type(scale), out=part)

    _each(vector, xs, write)


def _each(together, arrays, do):
    """Call ``do(part, array)`` for each array and its part of the memory in which all of them lie."""
    start = 0
    for a in arrays:
        end = start + math.prod(a.shape)
        do(together[start:end].reshape(a.shape), a)
        start = end


def _all_gather(xp, x, size):
    communicator = state.communicator
    if communicator is None:
        return x.copy()
    return communicator.all_gather(xp.ascontiguousarray(x)).reshape(-1, *x.shape[1:])


def _reduce_scatter(xp, x, size):
    communicator = state.communicator
    if communicator is None:
        return x.copy()
    total = xp.array(x, order="C")
    communicator.all_reduce(total)
    rows = len(total) // size
    return total[communicator.rank * rows : (communicator.rank + 1) * rows].copy()


def _broadcast(xp, x, root=0):
    if state.communicator is None:
        return x.copy()
    result = xp.array(x, order="C")
    state.communicator.broadcast(result, root)
    return result
