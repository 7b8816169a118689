"""Products by cuBLAS, of which there is none here: the calls, over a library that reads the memory it is told of."""

import numpy as np
import pytest

import mlkit
from mlkit.backends.native.cuda import blas, product
from mlkit.backends.native.cuda.blas import WORKSPACE, Blas
from mlkit.core import dtypes
from tests.cuda import fake_cupy
from tests.cuda.double import DoubleOfGpu, make_reference
from tests.cuda.fake_cublas import Library
from tests.cuda.test_kernels import Collecting

F = ("float32", "float64", "float16", "bfloat16")
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 2e-6, "float64": 1e-12}


@pytest.fixture
def device():
    made = DoubleOfGpu(Collecting())
    made.copies_alone()
    made.blas = Blas(made, Library())
    fake_cupy.counts.clear()
    return made


def f(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtypes.as_numpy(dtype))


def swapped(x):
    return np.swapaxes(x, -1, -2)


CASES = {
    "matrices": (f(5, 3), f(3, 4, seed=1)),
    "a column": (f(5, 3), f(3, 1, seed=1)),
    "a row": (f(1, 3), f(3, 4, seed=1)),
    "numbers": (f(1, 1), f(1, 1, seed=1)),
    "first turned": (swapped(f(3, 5)), f(3, 4, seed=1)),
    "second turned": (f(5, 3), swapped(f(4, 3, seed=1))),
    "both turned": (swapped(f(3, 5)), swapped(f(4, 3, seed=1))),
    "a batch as rows": (f(2, 6, 5, 3), f(3, 4, seed=1)),
    "a batch of turned": (swapped(f(2, 3, 5)), f(3, 4, seed=1)),
    "two batches": (f(2, 6, 5, 3), f(2, 6, 3, 4, seed=1)),
    "two batches, turned": (f(2, 6, 5, 3), swapped(f(2, 6, 4, 3, seed=1))),
    "one for a batch": (f(5, 3), f(2, 6, 3, 4, seed=1)),
    "heads between": (np.moveaxis(f(2, 5, 6, 3), 2, 1), np.moveaxis(f(2, 4, 6, 3, seed=1), 1, 3)),
    "parts of others": (f(5, 9)[:, 2:5], f(7, 4, seed=1)[1:4]),
    "every second": (f(5, 6)[:, ::2], f(6, 4, seed=1)[::2]),
    "repeated": (np.broadcast_to(f(1, 3), (5, 3)), f(3, 4, seed=1)),
}


def on_device(x):
    """With the strides that it has."""
    base = x
    while base.base is not None:
        base = base.base
    offset = x.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    whole = fake_cupy.module.asarray(base)
    return fake_cupy.ndarray(x.shape, x.dtype, whole.data + offset, x.strides)


@pytest.mark.parametrize("dtype", F)
@pytest.mark.parametrize("name", ["matmul", "matmul_wide"])
@pytest.mark.parametrize("case", CASES)
def test_as_numpy(case, name, dtype, device):
    a, b = CASES[case]
    if dtype != "float32":
        kept = [(x.shape, x.strides) for x in (a, b)]
        a, b = (np.asarray(x, dtypes.as_numpy(dtype)) if x.flags.c_contiguous else _cast(x, dtype) for x in (a, b))
        assert [(x.shape, tuple(s // x.itemsize for s in x.strides)) for x in (a, b)] == [
            (shape, tuple(s // 4 for s in strides)) for shape, strides in kept
        ]
    row = product.Product(device, name)
    args = [on_device(x) for x in (a, b)]
    assert row.accepts(*args)
    got = row(*args).get()
    wanted = make_reference().table[name](np.ascontiguousarray(a), np.ascontiguousarray(b))
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    tolerance = TOLERANCE[dtypes.name_of(wanted.dtype)]
    np.testing.assert_allclose(got.astype("float64"), wanted.astype("float64"), rtol=tolerance, atol=3 * tolerance)
    copies = {"every second": 2, "repeated": 1, "a batch of turned": 0, "heads between": 1}.get(case, 0)
    assert fake_cupy.counts.launches <= 1 + copies + (2 if case == "heads between" else 0)


def _cast(x, dtype):
    """A view of another dtype with the strides that it has."""
    base = x
    while base.base is not None:
        base = base.base
    whole = base.astype(dtypes.as_numpy(dtype))
    offset = (x.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // 4 * whole.itemsize
    return np.ndarray(x.shape, whole.dtype, whole, offset, [s // 4 * whole.itemsize for s in x.strides])


@pytest.mark.parametrize("shapes", [((2, 1, 5, 3), (1, 6, 3, 4)), ((0, 3), (3, 4)), ((5, 0), (0, 4))], ids=str)
def test_what_is_left_to_others(shapes, device):
    assert not product.Product(device, "matmul").accepts(*map(np.ones, shapes))
    assert not product.Product(device, "matmul").accepts(np.ones((2, 2), "int32"), np.ones((2, 2), "int32"))


@pytest.mark.parametrize("act", [None, "relu", "softsign"])
def test_what_follows_a_product(act, gpu, reference, use):
    """Over the whole backend, by plans that give the memory."""
    x, w, b = f(6, 5), f(5, 4, seed=1), f(4, seed=2)
    found = {}
    for backend in (gpu, reference):
        use(backend)
        call = mlkit.function(lambda x: mlkit.activations.get(act)(x @ w + b))
        found[backend] = call(mlkit.ops.convert_to_tensor(x)).numpy()
    np.testing.assert_allclose(found[gpu], found[reference], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("residual", [False, True])
def test_a_product_with_bias_and_activation_is_written_in_place(residual, device):
    x, w, b, r = f(6, 5), f(5, 4, seed=1), f(4, seed=2), f(6, 4, seed=3)
    finished = []

    def finish(y, bias, more, act):
        finished.append((bias is not None, more is not None, act))
        y += bias
        return y + more if more is not None else y

    device.finish = lambda plain: finish
    row = product.FinishedProduct(device)
    xp = fake_cupy.module
    got = row(*map(xp.asarray, (x, w, b)), *([xp.asarray(r)] if residual else []), act="relu").get()
    np.testing.assert_allclose(got, x @ w + b + (r if residual else 0), rtol=1e-5, atol=1e-6)
    assert finished == [(True, residual, "relu")]


# ---- the handle ----------------------------------------------------------------------------------------------------------


def test_the_workspace_is_given_again_when_the_stream_changes(device):
    row, lib = product.Product(device, "matmul"), device.blas._lib
    a = fake_cupy.module.asarray(f(3, 3))
    first, second = device.streams.computing, device.streams.recording
    for stream in (first, first, second, second, first):
        with stream:
            row(a, a)
    streams = [args[1] for args in lib.arguments("cublasSetStream_v2")]
    assert streams == [first.ptr, second.ptr, first.ptr]
    spaces = lib.arguments("cublasSetWorkspace_v2")
    assert [(args[1], args[2]) for args in spaces] == [(device.blas._workspace.data.ptr, WORKSPACE)] * 3
    names = [name for name, _ in lib.calls]
    assert names.index("cublasSetStream_v2") < names.index("cublasSetWorkspace_v2") < names.index("cublasGemmStridedBatchedEx")


@pytest.mark.parametrize("capability, mode, way", [("90", "tf32", 77), ("90", "exact", 68), ("75", "tf32", 68)])
def test_products_of_float32_use_tf32_where_that_is_wanted_and_there(capability, mode, way, device, monkeypatch):
    monkeypatch.setattr(type(device), "is_ampere_or_later", int(capability) >= 80)
    mlkit.config.set_float32(mode)
    try:
        for dtype in F:
            a = fake_cupy.module.asarray(f(3, 3, dtype=dtype))
            product.Product(device, "matmul")(a, a)
    finally:
        mlkit.config.set_float32("tf32")
    ways = [args[-2] for args in device.blas._lib.arguments("cublasGemmStridedBatchedEx")]
    assert ways == [way, 70, 68, 68]


def test_what_cublas_refuses_is_told_in_words(device):
    device.blas._lib.fails["cublasGemmStridedBatchedEx"] = 3
    a = fake_cupy.module.asarray(f(3, 3))
    with pytest.raises(
        RuntimeError, match="cuda:0: cublasGemmStridedBatchedEx of cuBLAS failed with CUBLAS_STATUS_ALLOC_FAILED"
    ):
        product.Product(device, "matmul")(a, a)


def test_the_real_library_has_what_is_called():
    pytest.importorskip("cuda.pathfinder", reason="comes with CuPy", exc_type=ImportError)
    try:
        lib = blas.library()
    except Exception as error:
        pytest.skip(f"cuBLAS is not installed: {error}")
    for name in (
        "cublasCreate_v2",
        "cublasSetStream_v2",
        "cublasSetWorkspace_v2",
        "cublasSetMathMode",
        "cublasGemmStridedBatchedEx",
    ):
        assert getattr(lib, name)
