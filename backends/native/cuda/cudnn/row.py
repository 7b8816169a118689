"""What rows of cuDNN have in common: ways to compute an op, of which the first that has a plan is taken."""

import math

from mlkit.backends.native.cuda.cudnn.plans import ALIGNMENT
from mlkit.backends.native.cuda.row import DenseRow
from mlkit.core import dtypes

HALVES = ("float16", "bfloat16")


class CudnnRow(DenseRow):
    """A row whose launches are cuDNN's.

    ways(*args, **params)                     objects with `find(plans)`, which gives a plan or None, best first
    call(way, plan, args, outs, room, params) compute it; room: a `Room`
    room(way, *args, **params)                bytes of temporary memory besides the plan's
    """

    dtypes = (*HALVES, "float32")

    def ways(self, *args, **params):
        raise NotImplementedError

    def room(self, way, *args, **params):
        return 0

    def call(self, way, plan, args, outs, room, params):
        raise NotImplementedError

    def fits(self, *args, **params):
        return self.device.cudnn is not None and self._found(args, params) is not None

    def scratch(self, *args, **params):
        way, plan = self._found(args, params)
        return _aligned(plan.nbytes) + self.room(way, *args, **params)

    def launch(self, args, outs, params):
        results = outs[: self._results(args, params)]
        way, plan = self._found(args, params)
        room = Room(self.device, outs[len(results)] if len(outs) > len(results) else None, plan.nbytes)
        args = [in_step(a) for a in args]
        written = [in_step(o) for o in results]
        self.call(way, plan, args, written, room, params)
        for o, w in zip(results, written):
            if o is not w:
                o[...] = w

    def _found(self, args, params):
        """(way, plan), or None."""
        for way in self.ways(*args, **params):
            plan = way.find(self.device.cudnn)
            if plan is not None:
                return way, plan
        return None

    def _results(self, args, params):
        return 1


def in_step(array):
    """The array, or a copy if it does not begin where cuDNN expects arrays to: it may be a part of another one."""
    return array.copy() if hasattr(array, "data") and array.data.ptr % ALIGNMENT else array


def _aligned(nbytes):
    return -(-nbytes // 256) * 256


class Room:
    """Temporary memory, of which the plan has the first bytes.

    workspace: the plan's.
    """

    def __init__(self, device, block, nbytes):
        self._device, self._block, self._next = device, block, _aligned(nbytes)
        self.workspace = block if nbytes else None

    def take(self, shape, dtype):
        """An array in what is left."""
        itemsize = dtypes.itemsize(dtype)
        strides = [itemsize]
        for n in reversed(shape[1:]):
            strides.insert(0, strides[0] * n)
        view = self._device.view(self._block, tuple(shape), dtype, self._next, tuple(strides))
        self._next += _aligned(math.prod(shape) * itemsize)
        return view


def room_for(shape, dtype):
    """Bytes that `Room.take` takes."""
    return _aligned(math.prod(shape) * dtypes.itemsize(dtype))
