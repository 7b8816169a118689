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
from mlkit.core.passes.lower import lower
from mlkit.core.plan import VIEWS
from mlkit.core.state import state
from mlkit.core.tensor import Value

AMPLITUDE = 4  # units in the last place
RUNS = 24
SEQUENTIAL = ("cumsum", "cumprod")  # each partial result is rounded: a walk of as many steps; sums of trees are not so long
FACTOR = 4  # how many times the spread that was seen is allowed


def spread(graph, arrays, seed=0):
    """For each output of a graph, how far it moves: an array of the output's shape."""
    graph = lower(graph, _FusedInHalves())
    plain = _run(graph, arrays, None)
    out = [np.zeros(np.shape(a)) for a in plain]
    rng = np.random.default_rng(seed)
    for _ in range(RUNS):
        for k, a in enumerate(_run(graph, arrays, rng)):
            with np.errstate(all="ignore"):
                moved = np.abs(wide(a) - wide(plain[k]))
            differs = np.not_equal(wide(a), wide(plain[k])) & ~(np.isnan(wide(a)) & np.isnan(wide(plain[k])))
            moved = np.where(differs & ~np.isfinite(moved), np.inf, np.where(differs, moved, 0))
            out[k] = np.maximum(out[k], moved)
    return [FACTOR * a for a in out]


class _FusedInHalves:
    """The kernels of fused ops that are asked for half floats, which are rounded at the end only; others are lowered to ops that round
    each step."""

    def get(self, name):
        return self

    def declines(self, *args, **params):
        return not any(type(a) is Value and a.spec.dtype in ("bfloat16", "float16") for a in args)


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
