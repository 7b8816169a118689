"""How far results may differ: what happens to them when every rounding goes another way.

Monte Carlo arithmetic: the traced program runs several times, and each float that an op computes is moved by a few units in its
last place, at random. The spread of the results is what rounding can do to them; where a comparison, an argmax or a rounding to
integers hangs on the last place, the spread shows that too. No op and no value needs an exception of its own.
Method: Parker, Monte Carlo Arithmetic, UCLA Computer Science Technical Report CSD-970002, 1997.
"""

import functools
import math

import ml_dtypes
import numpy as np

from mlkit.compiler.contract import KernelTarget
from mlkit.compiler.passes.lower import lower
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core import dtypes
from mlkit.core.graph import Graph
from mlkit.core.state import state
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import trace_into
from mlkit.primitives import elementwise as el
from mlkit.primitives.catalogue import OPS

AMPLITUDE = 4  # units in the last place
RUNS = 24
SEQUENTIAL = ("cumsum", "cumprod")  # each partial result is rounded: a walk of as many steps; sums of trees are not so long
FACTOR = 4  # how many times the spread that was seen is allowed
# ops that copy, choose or count: nothing is rounded, and what they choose is still equal to what they chose it from
EXACT = {
    *(name for name, op in OPS.items() if op.traits.view), "ceil", "concat", "floor", "max", "maximum", "min", "minimum", "pad",
    "relu", "round", "sign", "sort", "take", "take_along_axis", "where",
}  # fmt: skip


def spread(graph, arrays, seed=0):
    """For each output of a graph, how far it moves: an array of the output's shape. Fused ops of half floats round at their end, and
    some within; both are tried."""
    *_, found = growing(graph, arrays, seed)
    return found


def growing(graph, arrays, seed=0):
    """What is known of the spread after each run; it only grows, so whoever has seen enough may stop."""
    first = None
    for g, kernels in ((_in_single(graph), {}), (graph, _FusedInHalves())):
        for found in _growing(lower(g, KernelTarget(kernels)), arrays, seed):
            best = found if first is None else list(map(np.maximum, first, found))
            yield best
        first = best


def _growing(graph, arrays, seed):
    plain = _run(graph, arrays, None)
    out = [np.zeros(np.shape(a)) for a in plain]
    rng = np.random.default_rng(seed)
    for change in [functools.partial(_moved, rng=rng)] * RUNS + [_flushed]:
        try:
            moved_results = _run(graph, arrays, change)
        except IndexError:  # an index that was computed from floats has left its axis: rounding decides everything
            yield [np.full(a.shape, np.inf) for a in out]
            return
        for k, a in enumerate(moved_results):
            with np.errstate(all="ignore"):
                moved = np.abs(wide(a) - wide(plain[k]))
            differs = np.not_equal(wide(a), wide(plain[k])) & ~(np.isnan(wide(a)) & np.isnan(wide(plain[k])))
            moved = np.where(differs & ~np.isfinite(moved), np.inf, np.where(differs, moved, 0))
            out[k] = np.maximum(out[k], moved)
        yield [FACTOR * _whole_if_lost(a, p) for a, p in zip(out, plain)]


def _whole_if_lost(moved, plain):
    """Where roundings decide most numbers of an array, as in the gradients of a long chaotic recurrence, they have no size of their
    own: a few runs tell how far the array moves, but not how far each number does."""
    lost = (moved > 0) & (moved >= np.abs(wide(plain)))
    if lost.sum() <= moved.size / 2:
        return moved
    return np.maximum(moved, moved[np.isfinite(moved)].max(initial=0))


class _FusedInHalves:
    """The kernels of fused ops that are asked for half floats; others are lowered to ops that round each step."""

    def get(self, name):
        return self

    def declines(self, *args, **params):
        return not any(map(_is_half, args))


def _in_single(graph):
    """The graph with fused ops of half floats as they are computed: in float32, rounded at the end."""
    rewriter = Rewriter(graph)

    def rule(call):
        if call.op.fallback is None or not any(map(_is_half, call.args)):
            return None
        part = Graph()
        with trace_into(part, call.place):
            args = [
                el.cast(Tensor(a), dtype="float32") if _is_half(a) else Tensor(a) if hasattr(a, "dtype") else a
                for a in call.args
            ]
            found = call.op(*args, **call.params)
            outs = [
                el.cast(t, dtype=v.spec.dtype) if t.dtype != v.spec.dtype else t
                for t, v in zip(found if call.is_tuple else (found,), call.outs)
            ]
        for c in part.calls:
            rewriter.keep(c)
        return tuple(t.data for t in outs) if call.is_tuple else outs[0].data

    return rewriter.run(rule)


def _is_half(a):
    dtype = a.spec.dtype if type(a) is Value else dtypes.name_of(a.dtype) if hasattr(a, "dtype") else None
    return dtype in dtypes.HALF


def _run(graph, arrays, change):
    """The outputs of a graph; `change(array, times=1)` is what happens to each array, unless it is None."""
    env = dict(zip(map(id, graph.inputs), arrays))
    if change is not None:
        env = {k: change(a) for k, a in env.items()}
    for call in graph.calls:
        args = [env[id(a)] if type(a) is Value else a for a in call.args]
        exact, times = call.op.name in EXACT, 1
        if change is not None and not exact and not call.op.traits.broadcasts:
            args = list(map(change, args))  # sums and products of many: each term is rounded
            if call.op.name in SEQUENTIAL:
                times = math.sqrt(max(1, args[0].shape[call.params["axis"]]))
        found = state.kernels[call.op.name](*args, **call.params)
        found = found if type(found) is tuple else (found,)
        env.update((id(v), a if change is None or exact else change(a, times)) for v, a in zip(call.outs, found))
    return [env[id(v)] if type(v) is Value else v for v in graph.outputs]


def _moved(a, times=1, *, rng):
    """By a few units in the last place, at random."""
    if not _is_inexact(a):
        return a
    x, name = wide(a), dtypes.name_of(a.dtype)
    with np.errstate(all="ignore"):
        relative = np.where((x != 0) & np.isfinite(x), unit(x, name) / np.abs(x), 0)
        return np.asarray(x * (1 + times * AMPLITUDE * relative * rng.uniform(-1, 1, a.shape))).astype(a.dtype)


def _flushed(a, times=1):
    """Without denormal numbers, which some processors' modes, XLA and float32 in the place of bfloat16 take for 0. Vector
    exponentials of float32 do so a little above them already."""
    if not _is_inexact(a):
        return a
    limit = float(ml_dtypes.finfo(a.dtype).smallest_normal) * (2 if a.dtype == np.float32 else 1)
    return np.where(np.abs(wide(a)) < limit, 0, a).astype(a.dtype)


def _is_inexact(a):
    return hasattr(a, "dtype") and dtypes.name_of(a.dtype) in dtypes.FLOATS + dtypes.COMPLEX


def unit(x, dtype):
    """A unit in the last place of each number in a dtype; 0 for integers. Below the smallest normal number it shrinks no more."""
    if dtype not in dtypes.FLOATS + dtypes.COMPLEX:
        return np.zeros(np.shape(x))
    info = ml_dtypes.finfo(dtypes.as_numpy(dtype))
    return float(info.eps) * np.maximum(np.abs(x), float(info.smallest_normal))


def wide(a):
    """As float64, or complex128."""
    a = np.asarray(a)
    return a.astype("complex128") if a.dtype.kind == "c" else a.astype("float64")
