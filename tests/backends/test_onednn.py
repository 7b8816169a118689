"""oneDNN rows against the reference rows: random shapes, odd sizes, strided and empty operands, eager and in plans."""

import ctypes
import importlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlkit
import mlkit.ops
from mlkit.backends.native import onednn, table
from mlkit.backends.native.onednn import library
from mlkit.compiler.plan import Operand
from mlkit.core.backend import get_backend
from mlkit.core.tensor import Tensor
from mlkit.primitives.catalogue import OPS

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")
KERNELS = get_backend("native").kernels


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def row_of(name):
    return next(r for r in onednn.rows() if r.name == name)


def reference(name, args, params):
    """What the rows without oneDNN give."""
    rest = [(accepts, kernel) for accepts, kernel in KERNELS[name].rows if not hasattr(kernel, "prepare")]
    return several(table.Rows(*rest)(*args, **params))


def strided(x, axis=0):
    """The same values with gaps between them."""
    wide = np.full((*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :]), np.nan, x.dtype)
    view = wide[(slice(None),) * axis + (slice(None, None, 2),)]
    view[...] = x
    return view


@pytest.fixture(autouse=True)
def nothing_is_quick(monkeypatch):
    """Small arrays go through oneDNN as well."""
    for row in onednn.rows():
        monkeypatch.setattr(type(row), "is_quick", lambda *_, **__: False)


def check(name, *args, tolerance=2e-5, **params):
    """The row agrees with the reference: eager, with strided operands, and in plans whose operands are fixed, given and
    constant."""
    row, wanted = row_of(name), reference(name, args, params)
    assert row.accepts(*args, **params), f"{name} declines {[getattr(a, 'shape', a) for a in args]}, {params}"
    result = row(*args, **params)
    if result is not NotImplemented:
        compare(result, wanted, tolerance)
    for axis in (0, -1):
        gaps = [strided(a, axis % a.ndim) if isinstance(a, np.ndarray) and a.ndim else a for a in args]
        result = row(*gaps, **params)
        if result is not NotImplemented:
            compare(result, wanted, tolerance)
    tensors = [a for a in args if isinstance(a, np.ndarray)]

    def call(given):
        given = iter(given)
        return OPS[name](*(next(given) if isinstance(a, np.ndarray) else a for a in args), **params)

    fixed = mlkit.function(lambda *xs: call([x if x.dtype == "bool" else x * 2.0 * 0.5 for x in xs]))
    compare(fixed(*tensors), wanted, tolerance)
    variables = [mlkit.Variable(t, dtype=str(t.dtype)) for t in tensors]
    stateful = mlkit.function(lambda: call([v.value for v in variables]))
    compare(stateful(), wanted, tolerance)
    for v in variables:  # copies in another layout must not outlive the values
        v.assign(v * 0.0)
    zero = reference(name, [np.zeros_like(a) if isinstance(a, np.ndarray) else a for a in args], params)
    compare(stateful(), zero, tolerance)
    compare(mlkit.function(lambda: call(list(map(Tensor, tensors))))(), wanted, tolerance)


def several(x):
    return x if isinstance(x, tuple) else (x,)


def compare(result, wanted, tolerance):
    for a, b in zip(several(result), wanted):
        a, b = (np.asarray(x).astype("float32") for x in (a, b))
        scale = max(float(np.abs(b).max(initial=0.0)), 1.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)


@st.composite
def convolutions(draw):
    """(input shape, kernel shape, parameters)."""
    rank = draw(st.integers(1, 3))
    size = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))
    groups, each, filters = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    cells, dilation = size(1, 3), size(1, 2)
    padding = draw(st.sampled_from(["valid", "same", ((1, 2),) * rank, ((0, 1),) * rank]))
    spatial = tuple((k - 1) * d + n for k, d, n in zip(cells, dilation, size(1, 5)))
    p = dict(strides=size(1, 3), padding=padding, dilation=dilation, groups=groups)
    return (draw(st.integers(1, 3)), *spatial, groups * each), (*cells, each, groups * filters), p


@settings(max_examples=25, deadline=None, derandomize=True)
@given(convolutions())
def test_convolution(case):
    x_shape, w_shape, p = case
    x, w = drawn(*x_shape), drawn(*w_shape, seed=1)
    check("conv", x, w, **p)
    g = drawn(*reference("conv", (x, w), p)[0].shape, seed=2)
    check("conv_input", g, w, shape=x_shape, **p)
    check("conv_kernel", x, g, shape=w_shape, **p)


@pytest.mark.parametrize("act", [None, "relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "gelu_exact"])
@pytest.mark.parametrize("bias", [False, True])
def test_convolution_with_bias_and_activation(act, bias):
    p = dict(strides=(1, 2), padding="same", dilation=(1, 1), groups=1)
    b = drawn(8) if bias else None
    check("conv_bias_act", drawn(2, 5, 6, 3), drawn(3, 3, 3, 8), b, act=act, **p)
    check("conv_bias_act", drawn(2, 5, 6, 3), drawn(3, 3, 3, 8), b, drawn(2, 5, 3, 8, seed=2), act=act, **p)


def test_other_dtypes_and_empty_arrays_are_declined():
    p = dict(strides=(1, 1), padding="same", dilation=(1, 1), groups=1)
    x, w = drawn(2, 5, 6, 3), drawn(3, 3, 3, 8)
    assert not row_of("conv").accepts(x.astype("float64"), w.astype("float64"), **p)
    assert not row_of("conv").accepts(x.astype("float16"), w.astype("float16"), **p)
    assert not row_of("conv").accepts(x[:0], w, **p)
    assert KERNELS["conv"](x[:0], w, **p).shape == (0, 5, 6, 8)


def test_without_the_library_everything_still_works():
    code = """
import mlkit, numpy as np
from mlkit import ops
from mlkit.backends.native.onednn.library import describe
assert "switched off" in describe(), describe()
f = mlkit.function(lambda x, w: ops.conv(x, w, padding="same"))
assert f(np.ones((1, 4, 4, 2), "float32"), np.ones((3, 3, 2, 5), "float32")).numpy().max() == 18
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ, MLKIT_ONEDNN="off"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_library_that_cannot_be_loaded_is_told_of(tmp_path):
    """Once, with the reason; in its place NumPy computes."""
    broken = tmp_path / "libdnnl.so.3"
    broken.write_bytes(b"no library")
    code = """
import mlkit, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for _ in range(2):
        assert float(mlkit.function(lambda x: mlkit.ops.matmul(x, x))(mlkit.ops.ones((4, 4)))[0, 0]) == 4
(one,) = said
print(one.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ, MLKIT_ONEDNN=str(broken)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "oneDNN is installed, but cannot be loaded" in done.stdout
    assert str(broken) in done.stdout
    assert "apt-get install libgomp1" in library._with_remedy("libgomp.so.1: cannot open shared object file")


PRODUCTS = [
    ((3, 4), (4, 5)),
    ((40, 17), (17, 9)),
    ((1, 7), (7, 1)),
    ((2, 3, 20, 8), (8, 6)),
    ((2, 3, 5, 8), (2, 3, 8, 6)),
    ((3, 5, 8), (2, 1, 8, 6)),
    ((5, 8), (4, 8, 6)),
    ((70, 64), (64, 64)),
    ((1024, 16), (16, 8)),
]


@pytest.mark.parametrize("a,b", PRODUCTS)
@pytest.mark.parametrize("transposed", [(), (0,), (1,), (0, 1)])
def test_matrix_product(a, b, transposed):
    x, y = drawn(*a), drawn(*b, seed=1)
    check("matmul", x, y)
    wanted = np.matmul(x, y)
    flipped = [np.ascontiguousarray(np.swapaxes(t, -1, -2)) if i in transposed else t for i, t in enumerate((x, y))]
    turn = lambda t, i: mlkit.ops.swapaxes(t, -1, -2) if i in transposed else t
    views = mlkit.function(lambda *ts: OPS["matmul"](*(turn(t, i) for i, t in enumerate(ts))))
    compare(views(*flipped), (wanted,), 2e-5)
    views = mlkit.function(lambda *ts: OPS["matmul"](*(turn(t * 2.0 * 0.5, i) for i, t in enumerate(ts))))
    compare(views(*flipped), (wanted,), 2e-5)
    product = row_of("matmul")(*(np.swapaxes(t, -1, -2) if i in transposed else t for i, t in enumerate(flipped)))
    assert product is NotImplemented or np.abs(product - wanted).max() < 1e-4


def test_product_of_repeated_matrices():
    x, y = drawn(4, 5, 6), drawn(6, 3, seed=1)
    repeated = mlkit.function(lambda x, y: OPS["matmul"](x, mlkit.ops.broadcast_to(y, (4, 6, 3))))
    compare(repeated(x, y), (x @ y,), 2e-5)


@pytest.mark.parametrize("act", [None, "relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "gelu_exact"])
@pytest.mark.parametrize("rows", [2, 33])
def test_matrix_product_with_bias_and_activation(act, rows):
    for bias in (None, drawn(9, seed=2)):
        check("matmul_bias_act", drawn(rows, 5), drawn(5, 9, seed=1), bias, act=act)
        check("matmul_bias_act", drawn(2, rows, 5), drawn(2, 5, 9, seed=1), bias, act=act)
        check("matmul_bias_act", drawn(rows, 5), drawn(5, 9, seed=1), bias, drawn(rows, 9, seed=3), act=act)
        check("matmul_bias_act", drawn(2, rows, 5), drawn(2, 5, 9, seed=1), bias, drawn(2, rows, 9, seed=3), act=act)


@pytest.mark.parametrize("size", [(5, 7), (6, 9)])
def test_windows_of_one_cell_with_steps(size):
    p = dict(strides=(2, 3), padding="same", dilation=(1, 1), groups=1)
    x, w = drawn(3, *size, 16), drawn(1, 1, 16, 24, seed=1)
    g = drawn(*reference("conv", (x, w), p)[0].shape, seed=2)
    check("conv", x, w, **p)
    check("conv_kernel", x, g, shape=w.shape, **p)
    check("conv_input", g, w, shape=x.shape, **p)


def test_every_other_row_of_an_odd_number():
    p = dict(strides=(1, 1), padding="same", dilation=(1, 1), groups=1)
    x, w = drawn(3, 5, 6, 4), drawn(1, 1, 4, 8, seed=1)
    f = mlkit.function(lambda x: OPS["conv"]((x * 1.5)[:, ::2], w, **p))
    compare(f(x), reference("conv", ((x * 1.5)[:, ::2], w), p), 2e-5)
    a, b = drawn(7, 40), drawn(40, 9, seed=1)
    compare(mlkit.function(lambda a: OPS["matmul"]((a * 1.5)[::2], b))(a), ((a * 1.5)[::2] @ b,), 2e-5)
    compare(KERNELS["conv"](x[:, ::2], w, **p), reference("conv", (x[:, ::2], w), p), 2e-5)


@pytest.mark.parametrize(
    "shape,axes", [((3000, 8), (0,)), ((16, 7, 11, 20), (0, 1, 2)), ((8209, 3), (0,)), ((64, 9, 40), (1, 0))]
)
def test_sums_over_first_axes(shape, axes):
    for keepdims in (False, True):
        check("sum", drawn(*shape), axes=axes, keepdims=keepdims)


def test_sums_over_other_axes_are_left_to_numpy():
    x = drawn(64, 256)
    assert not any(row_of("sum").accepts(x, axes=axes, keepdims=False) for axes in ((1,), (0, 1), ()))


def test_repeated_elements_are_copied_rather_than_left_to_numpy():
    """What oneDNN takes nothing of: BLAS would take it, and its threads would go on spinning."""
    p = dict(strides=(1, 1), padding="same", dilation=(1, 1), groups=1)
    x, w, kernel = drawn(3, 1, 40), drawn(40, 9, seed=1), drawn(3, 3, 40, 8, seed=2)
    wide = mlkit.function(lambda x: mlkit.ops.broadcast_to(x, (3, 6, 40)) @ w)
    compare(wide(x), (np.broadcast_to(x, (3, 6, 40)) @ w,), 2e-5)
    compare(mlkit.function(lambda x: wide(x * 2.0 * 0.5))(x), (np.broadcast_to(x, (3, 6, 40)) @ w,), 2e-5)
    images = np.broadcast_to(x[:, :, None], (3, 6, 5, 40))
    spread = mlkit.function(lambda x: OPS["conv"](mlkit.ops.broadcast_to(x[:, :, None] * 1.0, images.shape), kernel, **p))
    compare(spread(x), reference("conv", (np.ascontiguousarray(images), kernel), p), 2e-5)
    operands = [Operand(a.shape, "float32", a.strides) for a in (images, kernel)]
    assert row_of("conv").prepare(operands, [Operand((3, 6, 5, 8), "float32")], p) is not None


def test_the_example_of_a_row_runs():
    """The text of the package shows how a row is written; it is what people start from."""

    lines = onednn.__doc__.split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("    class "))
    after = next(i for i in range(first, len(lines)) if lines[i].startswith("`Kernel`"))
    names = {}
    for module in ("row", "kernel", "memory", "primitive"):
        names |= vars(importlib.import_module(f"mlkit.backends.native.onednn.{module}"))
    names |= dict(c=importlib.import_module("mlkit.backends.native.onednn.constants"), c_int=ctypes.c_int)
    exec(textwrap.dedent("\n".join(lines[first:after])), names)
    row, x = names["Softmax"](), drawn(3, 5)
    assert row.accepts(x, axis=1)
    assert not row.accepts(drawn(3, 1), axis=1)
    np.testing.assert_allclose(row(x, axis=1), np.exp(x) / np.exp(x).sum(1, keepdims=True), rtol=1e-5)
