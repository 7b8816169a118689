"""How far results may differ: what happens to them when every rounding goes another way.

Monte Carlo arithmetic: the traced program runs several times, and each float that an op computes is moved by a few units in its
last place, at random. The spread of the results is what rounding can do to them; where a comparison, an argmax or a rounding to
integers hangs on the last place, the spread shows that too. No op and no value needs an exception of its own.
Method: Parker, Monte Carlo Arithmetic, UCLA Computer Science Technical Report CSD-970002, 1997.
"""

import math

import ml_dtypes
import numpy as np

from mlkit.core import dtypes
from mlkit.core.graph import Graph
from mlkit.core.passes.lower import lower
from mlkit.core.passes.rewrite import Rewriter
from mlkit.core.plan import VIEWS
from mlkit.core.state import state
from mlkit.core.tensor import Tensor, Value
from mlkit.core.trace import trace_into
from mlkit.ops import elementwise as el

AMPLITUDE = 4  # units in the last place
RUNS = 24
SEQUENTIAL = ("cumsum", "cumprod")  # each partial result is rounded: a walk of as many steps; sums of trees are not so long
FACTOR = 4  # how many times the spread that was seen is allowed


def spread(graph, arrays, seed=0):
    """For each output of a graph, how far it moves: an array of the output's shape."""
    graph = lower(_in_single(graph), {})
    plain = _run(graph, arrays, None)
    out = [np.zeros(np.shape(a)) for a in plain]
    rng = np.random.default_rng(seed)
    for _ in range(RUNS):
        try:
            moved_results = _run(graph, arrays, rng)
        except IndexError:  # an index that was computed from floats has left its axis: rounding decides everything
            return [np.full(a.shape, np.inf) for a in out]
        for k, a in enumerate(moved_results):
            with np.errstate(all="ignore"):
                moved = np.abs(wide(a) - wide(plain[k]))
            differs = np.not_equal(wide(a), wide(plain[k])) & ~(np.isnan(wide(a)) & np.isnan(wide(plain[k])))
            moved = np.where(differs & ~np.isfinite(moved), np.inf, np.where(differs, moved, 0))
            out[k] = np.maximum(out[k], moved)
    return [FACTOR * a for a in out]


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


def _run(graph, arrays, rng):
    env = dict(zip(map(id, graph.inputs), arrays))
    if rng is not None:
        env = {k: _moved(a, rng) for k, a in env.items()}
    for call in graph.calls:
        args = [env[id(a)] if type(a) is Value else a for a in call.args]
        exact, times = call.op.name in VIEWS, 1
        if rng is not None and not exact and not getattr(call.op.spec, "elementwise", False):
            args = [_moved(a, rng) for a in args]  # sums and products of many: each term is rounded
            if call.op.name in SEQUENTIAL:
                times = math.sqrt(max(1, args[0].shape[call.params["axis"]]))
        found = state.kernels[call.op.name](*args, **call.params)
        found = found if type(found) is tuple else (found,)
        env.update((id(v), a if rng is None or exact else _moved(a, rng, times)) for v, a in zip(call.outs, found))
    return [env[id(v)] if type(v) is Value else v for v in graph.outputs]


def _moved(a, rng, times=1):
    if not hasattr(a, "dtype"):
        return a
    name = dtypes.name_of(a.dtype)
    if name not in dtypes.FLOATS + dtypes.COMPLEX:
        return a
    a = np.asarray(a)
    with np.errstate(all="ignore"):
        x = wide(a)
        relative = np.where((x != 0) & np.isfinite(x), unit(x, name) / np.abs(x), 0)
        return np.asarray(x * (1 + times * AMPLITUDE * relative * rng.uniform(-1, 1, a.shape))).astype(a.dtype)


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
