"""Graphs run as native code: as the one step of a scan, whose results are what the graph's are."""

import numpy as np

from mlkit.backends.native.jit.loop import NativeScan
from mlkit.backends.native.jit.places import Declined
from mlkit.backends.native.jit.target import LoopTarget
from mlkit.compiler.passes import optimize
from mlkit.compiler.plan import Operand
from mlkit.core import dtypes
from mlkit.core.backend import get_backend
from mlkit.core.graph import Graph, spec_of


def combined(graphs):
    """One graph that does what some do: LLVM takes less time for one large module than for many small ones."""
    parts = [[v for g in graphs for v in getattr(g, name)] for name in ("inputs", "calls", "outputs")]
    return Graph(*parts)


def lowered(graph):
    """The graph without fused ops, as native code is made of it."""
    return optimize(graph, LoopTarget(get_backend("native")))


def prepared(graph):
    """The native form; Declined where there is none."""
    operands = [Operand((1, *v.shape), v.dtype) for v in graph.inputs]
    params = dict(body=graph, xs=len(operands), carry=0, length=1, reverse=False, save=False)
    return NativeScan(get_backend("native"), operands, params)


def reason_of(graph):
    """Why a graph has no native form, or ""."""
    try:
        prepared(graph)
    except Declined as reason:
        return str(reason)
    return ""


def results(graph, arrays):
    """What native code makes of arrays."""
    native = prepared(graph)
    native.code.make()
    assert not native.code.failure, native.code.failure
    rooms = [_Guarded((1, *s.shape), dtypes.as_numpy(s.dtype)) for s in map(spec_of, graph.outputs)]
    block = _Guarded((native.nbytes,), np.dtype("uint8"))
    arrays = [np.array(a, order="C")[None] for a in arrays]
    native.bind(None, [*arrays, *(r.array for r in rooms)], block.array)()
    assert all(room.is_whole() for room in (*rooms, block)), "something was written beside the results"
    return [room.array[0] for room in rooms]


class _Guarded:
    """An array between bytes that nobody may write."""

    WIDTH = 256

    def __init__(self, shape, dtype):
        size = int(np.prod(shape)) * dtype.itemsize
        self._bytes = np.full(size + 2 * self.WIDTH, 77, "uint8")
        self.array = np.ndarray(shape, dtype, self._bytes, self.WIDTH)

    def is_whole(self):
        return bool((self._bytes[: self.WIDTH] == 77).all() and (self._bytes[-self.WIDTH :] == 77).all())
