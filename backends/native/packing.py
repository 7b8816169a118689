"""Rows for small tensors that lie side by side in a vector (`primitives/fused/pack.py`): a few of them cost as much as a kernel's call."""

import itertools
import math

import numpy as np

from mlkit.backends.native.operand_views import seen
from mlkit.primitives.fused.pack import pack, unpack


class _Prepared:
    """A call as `table.Rows` has it. operands: all arguments and results; shapes: of the parts of the vector."""

    workspace, inplace, is_small = 0, (), True

    def __init__(self, operands, shapes):
        self.operands, self.shapes = operands, shapes
        self.ends = [0, *itertools.accumulate(map(math.prod, shapes))]

    def bind(self, arrays):
        given = [k for k, a in enumerate(arrays) if a is None]
        vector = arrays[self.of_vector]
        ready = None if vector is None else self.ready(vector)
        partial = None  # which of the arrays that are given are not yet what is meant, but what that lies in

        def run(*some):
            nonlocal partial
            together = arrays[:]
            for k, a in zip(given, some):
                together[k] = a
            if partial is None:
                partial = [k for k in given if seen(together[k], self.operands[k]) is not together[k]]
            for k in partial:
                together[k] = seen(together[k], self.operands[k])
            vector = together.pop(self.of_vector)
            (ready or self.ready(vector))(together)

        return run

    def ready(self, vector):
        """A function of the tensors' arrays that moves their elements."""
        raise NotImplementedError

    def _parts(self, vector):
        return [vector[a:b].reshape(shape) for a, b, shape in zip(self.ends, self.ends[1:], self.shapes)]


class _Packed(_Prepared):
    of_vector = -1

    def ready(self, vector):
        parts = self._parts(vector)

        def copy(xs):
            for part, x in zip(parts, xs):
                part[...] = x

        *xs, _ = self.operands
        if vector.dtype.isbuiltin != 1 or any(tuple(x.shape) != shape for x, shape in zip(xs, self.shapes)):
            return copy  # Python may not read the memory of other dtypes; or a number is repeated
        memory = memoryview(vector).cast("B")

        def join(xs):
            """One call of C, a third of what a copy each costs."""
            try:
                memory[:] = b"".join(xs)
            except TypeError:  # one is not dense
                copy(xs)

        return join


class _Unpacked(_Prepared):
    of_vector = 0

    def ready(self, vector):
        parts = self._parts(vector)

        def copy(outs):
            for out, part in zip(outs, parts):
                out[...] = part

        return copy


class Pack:
    """Tensors -> a vector."""

    name = pack.name

    def accepts(self, *xs, sizes):
        return True

    def __call__(self, *xs, sizes):
        return np.concatenate([x.reshape(-1) if x.shape else np.broadcast_to(x, (n,)) for x, n in zip(xs, sizes)])

    def prepare(self, operands, outs, params):
        shapes = [tuple(x.shape) or (n,) for x, n in zip(operands, params["sizes"])]
        return _Packed([*operands, *outs], shapes)


class Unpack:
    """A vector -> tensors."""

    name = unpack.name

    def accepts(self, vector, shapes):
        return True

    def __call__(self, vector, shapes):
        ends = [0, *itertools.accumulate(map(math.prod, shapes))]
        return tuple(vector[a:b].reshape(shape).copy() for a, b, shape in zip(ends, ends[1:], shapes))

    def prepare(self, operands, outs, params):
        return _Unpacked([*operands, *outs], params["shapes"])


ROWS = [Pack(), Unpack()]
