"""Attention without cuDNN: products over the double of cuBLAS, kernels run on the host, against the reference."""

import types

import numpy as np
import pytest

from mlkit.backends.native.cuda import attention
from mlkit.backends.native.cuda.blas import Blas
from mlkit.core import dtypes
from tests.cuda import fake_cupy
from tests.cuda.double import DoubleOfGpu, make_reference
from tests.cuda.fake_cublas import Library
from tests.cuda.host_compiler import COMPILER, HostModules
from tests.cuda.test_kernels import Collecting

TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 5e-6, "float64": 1e-12}


def f(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtypes.as_numpy(dtype))


def mask(*shape):
    return np.random.default_rng(7).random(shape) < 0.6


MASKS = {
    "none": None,
    "pairs": mask(5, 7),
    "keys": mask(3, 1, 1, 7),
    "heads": mask(2, 1, 7),
    "all": mask(3, 2, 5, 7),
    "nothing": np.zeros((1, 7), bool),
}
CASES = [(d, m, causal) for d in ("float32", "bfloat16") for m in MASKS for causal in (False, True)]
CASES += [("float64", "pairs", True), ("float16", "keys", False)]


def on_device(a):
    return a if a is None else fake_cupy.module.asarray(a)


def rows_of(modules, blas=None):
    device = DoubleOfGpu(modules)
    device.blas = blas or Blas(device, Library())
    return {row.name: row for row in attention.rows(device)}


def kernels_of_attention():
    """All kernels that the cases need."""
    found, nothing = Collecting(), types.SimpleNamespace(products=lambda *args: None)  # whose tables nobody has written
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        for name, row in rows_of(found, nothing).items():
            row(*map(on_device, arguments(name, dtype, "pairs")), scale=0.5, causal=True)
    return found.kernels


def arguments(name, dtype, which):
    q, k, v = f(3, 5, 2, 4, dtype=dtype), f(3, 7, 2, 4, dtype=dtype, seed=1), f(3, 7, 2, 6, dtype=dtype, seed=2)
    g = [f(3, 5, 2, 6, dtype=dtype, seed=3)] if name.endswith("grad") else []
    return [*g, q, k, v, MASKS[which]]


@pytest.fixture(scope="module", params=[0, 5], ids=["in order", "scattered"])
def rows(request):
    if COMPILER is None:
        pytest.skip("compiles kernels with g++, which is not there")
    modules = HostModules(request.param)
    modules.kernels = kernels_of_attention()
    return rows_of(modules)


@pytest.mark.parametrize("at_once", [3, 2], ids=["all", "two by two"])
@pytest.mark.parametrize("name", ["attention", "attention_grad"])
@pytest.mark.parametrize("dtype, which, causal", CASES)
def test_as_the_reference(dtype, which, causal, name, at_once, rows, monkeypatch):
    of_one = 2 * 5 * 7 * (dtypes.itemsize(dtype) + (8 if dtype == "float64" else 4))
    monkeypatch.setattr(attention, "MOST_BYTES", at_once * of_one)
    args, params = arguments(name, dtype, which), dict(scale=0.5, causal=causal)
    row, arrays = rows[name], list(map(on_device, args))
    assert row.accepts(*arrays, **params)
    fake_cupy.counts.clear()
    found = row(*arrays, **params)
    assert fake_cupy.counts.launches == row.launches_for(*arrays, **params) == row.launches * (1 if at_once == 3 else 2)
    assert not fake_cupy.counts.waits
    wanted = make_reference().table[name](*args, **params)
    for got, a in zip(found if type(found) is tuple else (found,), wanted if type(wanted) is tuple else (wanted,)):
        got = got.get()
        assert (got.shape, got.dtype) == (a.shape, a.dtype)
        np.testing.assert_allclose(got.astype("float64"), a.astype("float64"), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
