"""Numbers where shortcuts would show: NaN, infinities, zeros of either sign, integers that wrap, division by 0, long shifts."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the extra `jit` is not installed")

from mlkit.backends.native.jit import expressions, functions
from mlkit.backends.native.jit.places import DTYPES
from mlkit.core.backend import get_backend
from mlkit.core.graph import Graph
from mlkit.core.spec import Spec
from mlkit.core.tensor import Value
from mlkit.primitives import elementwise as el
from tests.backends.jit.as_native import reason_of, results

FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    3.0,
    np.inf,
    -np.inf,
    np.nan,
    1e-6,
    2.0**31,
    -(2.0**31),
    1e9,
    88.0,
    -88.0,
    104.0,
    0.625,
    -7.5,
]
INTS = [0, 1, -1, 2, -2, 7, -7, 31, 32, 33, 64, -64, 2**31 - 1, -(2**31), 100]
ROUNDED = {  # ops whose last places are free
    el.exp, el.expm1, el.log, el.log1p, el.sin, el.cos, el.tan, el.arcsin, el.arccos, el.arctan, el.sinh, el.cosh, el.tanh, el.sigmoid,
    el.arcsinh, el.arccosh, el.arctanh, el.erf, el.erfc, el.pow_, el.atan2, el.rsqrt,
}  # fmt: skip
OPS = [v for v in vars(el).values() if type(v) is el.Op and v.traits.elementwise and v is not el.cast]
BINARY = {
    el.add, el.sub, el.mul, el.div, el.floor_div, el.mod, el.pow_, el.maximum, el.minimum, el.atan2, el.nextafter, el.equal, el.not_equal,
    el.less, el.less_equal, el.and_, el.or_, el.xor, el.left_shift, el.right_shift,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_in_the_background(monkeypatch):
    monkeypatch.setattr("mlkit.backends.native.jit.loop.want", lambda code: None)


def pairs(dtype):
    """All pairs of special numbers, as two arrays."""
    if dtype == "bool":
        values = np.array([False, True])
    elif "int" in dtype:
        values = np.array([*INTS, *([2**63 - 1, -(2**63)] if dtype == "int64" else [])], dtype)
    else:
        values = np.array(FLOATS, dtype)
    x, y = np.meshgrid(values, values)
    return x.ravel(), y.ravel()


def calls(dtype):
    """(op, number of arguments, parameters) of all that native code has for a dtype."""
    for op in OPS:
        n = 2 if op in BINARY else 1
        if (op not in (el.where, el.pow_) and expressions.knows(op, dtype)) or (op is el.pow_ and "float" in dtype):
            yield op, n, {}
    for to in DTYPES:
        yield el.cast, 1, {"dtype": to}


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    x, y = pairs(dtype)
    graph = Graph([Value(Spec(a.shape, dtype)) for a in (x, y)])
    kinds = list(calls(dtype))
    for op, n, params in kinds:
        graph.outputs.append(graph.add(op, graph.inputs[:n], params))
    assert not reason_of(graph)
    assert len(kinds) >= 13
    kernels = get_backend("native").kernels
    for (op, n, params), found in zip(kinds, results(graph, [x, y]), strict=True):
        with np.errstate(all="ignore"):
            wanted = kernels[op.name](*(x, y)[:n], **params)
        assert found.dtype == wanted.dtype, op
        what = f"{op.name} {params}"
        if op in ROUNDED:
            np.testing.assert_allclose(found, wanted, rtol=1e-6 if dtype == "float32" else 1e-13, atol=1e-37, err_msg=what)
        else:
            _equal(op, found, wanted, x, y)


def _equal(op, found, wanted, x, y):
    """Bit by bit, signs of zeros too, but for those of NaN; minima and maxima of zeros may be either."""
    same = (found == wanted) | (found != found) & (wanted != wanted)
    assert same.all(), f"{op.name} of {x[~same][:5]} and {y[~same][:5]}: {found[~same][:5]} instead of {wanted[~same][:5]}"
    if found.dtype.kind == "f" and op not in (el.maximum, el.minimum):
        same = (np.signbit(found) == np.signbit(wanted)) | (found != found)
        assert same.all(), f"{op.name} of {x[~same][:5]} and {y[~same][:5]} has another sign"


@pytest.mark.parametrize("name", functions.TABLE)
def test_functions_of_our_own_are_right_to_the_last_places(name):
    """Over all of float32, and where they change from one formula to another."""
    bits = np.arange(0, 2**32, 65537, dtype="uint64").astype("uint32").view("float32")
    near = np.concatenate([bits, np.linspace(-12, 12, 20001), np.linspace(-1, 1, 20001), np.linspace(0.6249, 0.6251, 2001)])
    x = np.resize(near[(np.abs(near) > 1e-37) | (near != near)], (32, 1024)).astype("float32")
    op = {"exp": el.exp, "sigmoid": el.sigmoid, "tanh": el.tanh, "log": el.log}[name]
    with np.errstate(all="ignore"):
        wide = x.astype("float64")
        wanted = {"exp": np.exp, "tanh": np.tanh, "log": np.log, "sigmoid": lambda t: 1 / (1 + np.exp(-t))}[name](wide)
    graph = Graph([Value(Spec(x.shape, "float32"))])
    graph.outputs.append(graph.add(op, graph.inputs, {}))
    (found,) = results(graph, [x])
    with np.errstate(all="ignore"):
        normal = np.isfinite(wanted) & (np.abs(wanted) > 1.2e-38) & (np.abs(wanted) < 3.4e38)
        error = np.abs(found[normal] - wanted[normal]) / np.spacing(np.abs(wanted[normal]).astype("float32"))
        beyond = wanted[~normal].astype("float32") * (np.abs(wanted[~normal]) > 1.2e-38)
    assert error.max() < 3, error.max()
    np.testing.assert_array_equal(found[~normal], beyond)
