"""Kernels of our own in CUDA C, run on the host in several orders of their threads: as the reference computes them."""

import numpy as np
import pytest

import mlkit
from mlkit.backends.native.cuda.device import Cuda
from mlkit.core import dtypes
from mlkit.core.state import swapped
from mlkit.primitives.fused.normalization import batch_norm
from tests.cuda import fake_cupy
from tests.cuda.double import DoubleOfGpu, by_reference, make_reference
from tests.cuda.host_compiler import COMPILER, HostModules

pytestmark = pytest.mark.skipif(COMPILER is None, reason="these tests compile kernels with g++, which is not there")

F = ("float32", "float16", "bfloat16", "float64")
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 3e-6, "float64": 1e-12}
SIZES = [(1, 1), (3, 7), (2, 33), (5, 257), (70, 24), (4, 1000), (3, 2056), (2, 2100)]
KEY = np.array([7, 2**31 + 5], "uint32")


def f(*shape, dtype="float32", seed=0, scale=2.0):
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtypes.as_numpy(dtype))


def classes(rows, size, dtype):
    found = np.random.default_rng(1).integers(0, size, rows).astype(dtype)
    if dtype == "int32":
        found[0] = -1  # no class
    return found


def softmaxes():
    for dtype in F:
        for shape in SIZES if dtype == "float32" else SIZES[2:3]:
            for name in ("softmax", "log_softmax"):
                yield name, [f(*shape, dtype=dtype)], dict(axis=-1)
                yield f"{name}_grad", [f(*shape, dtype=dtype), f(*shape, dtype=dtype, seed=1, scale=0.5)], dict(axis=1)
            rows, size = shape
            kinds = ("int32", "int64") if shape == (3, 7) else ("int32",)
            for target in (*(classes(rows, size, kind) for kind in kinds), np.abs(f(*shape, dtype=dtype, seed=3))):
                yield "softmax_cross_entropy", [f(*shape, dtype=dtype), target], {}
                g, total = (f(rows, dtype=dtype, seed=s) for s in (4, 5))
                yield "softmax_cross_entropy_grad", [g, f(*shape, dtype=dtype), target, total], {}
    yield "softmax", [np.array([[np.inf, 1, 2], [np.nan, 1, 2], [-np.inf, 0, 1]], "float32")], dict(axis=-1)


def randoms():
    for n in (1, 3, 8, 31, 32, 33, 1000):
        for dtype in ("uint8", "uint16", "uint32", "uint64"):
            yield "random_bits", [KEY], dict(shape=(n,), dtype=dtype)
        for dtype in ("float32", "float64"):
            yield "random_uniform", [KEY], dict(shape=(n,), dtype=dtype)
            yield "random_uniform", [KEY], dict(shape=(n, 2), dtype=dtype, low=-3.0, high=0.5)
        for p in (0.0, 0.3, 0.5, 1.0):
            yield "bernoulli", [KEY], dict(shape=(n, 3), p=p)
    yield "bernoulli", [KEY], dict(shape=(3000,), p=0.1)


def norms():
    for dtype in F:
        wide = "float64" if dtype == "float64" else "float32"

        def g(*shape, seed=0, scale=1.0, dtype=wide):
            return f(*shape, dtype=dtype, seed=seed, scale=scale) + 0

        for shape in (
            [(300, 5), (2, 3, 3, 40), (1, 2), (9, 64), (3, 2056), (2, 2100)] if dtype == "float32" else [(70, 5), (2, 3, 3, 40)]
        ):
            x = f(*shape, dtype=dtype) + dtypes.as_numpy(dtype).type(3)
            columns, axes, p = shape[-1:], tuple(range(len(shape) - 1)), dict(epsilon=1e-3)
            scale, offset, mean, variance = (
                g(*columns, seed=1),
                g(*columns, seed=2),
                g(*columns, seed=3),
                g(*columns, seed=4) ** 2,
            )
            slope = f(*shape, dtype=dtype, seed=5)
            mask = np.random.default_rng(6).integers(0, 256, -(-x.size // 8)).astype("uint8")
            for a, b in ((scale, offset), (None, None), (scale, None))[: 1 if columns[0] > 2000 else 3]:
                yield "batch_norm", [x, a, b], dict(p, axes=axes)
                yield "batch_norm_relu", [x, a, b], dict(p, axes=axes)
                yield "batch_norm_add_relu", [x, a, b, slope], dict(p, axes=axes)
                yield "batch_norm_grad", [slope, x, a, mean, variance], dict(p, axes=axes)
                for op in ("batch_norm_relu_grad", "batch_norm_add_relu_grad"):
                    yield op, [slope, x, a, mean, variance, mask], dict(p, axes=axes)
            rows = (*shape[:-1], 1)
            mean, variance = g(*rows, seed=3), g(*rows, seed=4) ** 2
            for a, b in ((scale, offset), (None, None), (scale, None)):
                yield "layer_norm", [x, a, b], dict(p, rank=1)
                yield "layer_norm_grad", [slope, x, a, mean, variance], dict(p, rank=1)
            for a in (scale, None):
                yield "rms_norm", [x, a], dict(p, rank=1)
                yield "rms_norm_grad", [slope, x, a, variance], dict(p, rank=1)
        for shape, groups in (((2, 5, 12), 3), ((3, 2, 3, 16), 2), ((2, 6), 6), ((1, 40, 24), 1), ((2, 90, 40), 5)):
            if dtype != "float32" and shape[1] > 5:
                continue
            x, slope, rows = f(*shape, dtype=dtype), f(*shape, dtype=dtype, seed=5), (shape[0], groups)
            scale, offset, mean, variance = (g(*n, seed=s) for s, n in enumerate((shape[-1:], shape[-1:], rows, rows), 1))
            for a, b in ((scale, offset), (None, offset), (scale, None)):
                yield "group_norm", [x, a, b], dict(p, groups=groups)
                yield "group_norm_grad", [slope, x, a, mean, variance**2], dict(p, groups=groups)
    x, slope, ones = f(4, 2, 3, 5), f(4, 2, 3, 5, seed=1), (4, 1, 1, 1)
    yield "layer_norm", [x, f(2, 3, 5), None], dict(rank=3, epsilon=1e-6)
    yield "layer_norm_grad", [slope, x, f(2, 3, 5), f(*ones), f(*ones) ** 2], dict(rank=3, epsilon=1e-6)
    yield "rms_norm", [x, f(2, 3, 5)], dict(rank=3, epsilon=1e-6)
    yield "rms_norm_grad", [slope, x, f(2, 3, 5), f(*ones) ** 2], dict(rank=3, epsilon=1e-6)
    yield "batch_norm", [x, None, None], dict(axes=(0, 1), epsilon=1e-6)
    for rows, columns in ((700, 48), (7000, 5)):  # a thread has more than one turn
        x, slope, p = f(rows, columns), f(rows, columns, seed=1), dict(axes=(0,), epsilon=1e-3)
        scale, offset, mean, variance = (f(columns, seed=s) for s in range(2, 6))
        yield "batch_norm", [x, scale, offset], p
        yield "batch_norm_grad", [slope, x, scale, mean, variance**2], p


def indexings():
    def ints(high, *shape, dtype="int32"):
        return np.random.default_rng(9).integers(0, high, shape).astype(dtype)

    for dtype in ("float32", "float16", "float64", "bool", "int8", "complex128"):
        for shape, axis in (((9, 16), 0), ((9, 5), 0), ((3, 9, 2), 1), ((3, 9), 1)):
            yield "take", [f(*shape).astype(dtype), ints(9, 4, 3, dtype="int64" if axis else "int32")], dict(axis=axis)
    for dtype in ("uint8", "int16", "uint32"):
        yield "take", [f(9, 7), ints(9, 12, dtype=dtype)], dict(axis=0)
    for shape, axis in (((9, 5), 0), ((3, 9, 2), 1), ((3, 9), 1)):
        index = ints(9, *(4 if i == axis else n for i, n in enumerate(shape)))
        yield "take_along_axis", [f(*shape), index], dict(axis=axis)
        yield "take_along_axis", [f(*shape, dtype="bfloat16"), index.astype("int64")], dict(axis=axis)
    for dtype in (*F, "int32", "int64"):
        for count, size, width in ((1, 1, 1), (7, 3, 5), (50, 20, 40), (300, 9, 3)):
            updates = f(count, width).astype(dtypes.as_numpy(dtype))
            yield "sum_rows", [ints(size, count), updates], dict(size=size)
            yield "scatter_add", [f(size, width).astype(updates.dtype), ints(size, count, 1, dtype="int64"), updates], {}
    yield "sum_rows", [ints(5, 6, dtype="uint16"), f(6, 2, 300)], dict(size=5)
    yield "sum_rows", [ints(8, 4200), f(4200, 2)], dict(size=8)  # more than a block keeps at once
    often = np.where(np.arange(300) % 3 == 0, ints(20, 300), 11).astype("int32")  # as a padding token is
    yield "sum_rows", [often, f(300, 270, scale=0.1)], dict(size=20)
    yield "scatter_add", [f(20, 5, dtype="bfloat16"), often[:, None], f(300, 5, scale=0.1, dtype="bfloat16")], {}
    yield "take", [f(4, 5), np.array([3, 0], "uint64")], dict(axis=0)
    yield "take", [f(4, 5), np.array([3, 1], "int64")], dict(axis=1)
    yield "take_along_axis", [f(9, 5), ints(9, 4, 5)], dict(axis=0)
    for name in ("scatter_mul", "scatter_max", "scatter_min", "scatter_set"):
        for dtype in ("float32", "bfloat16", "int8"):
            updates = (
                np.round(f(300, 3)).astype(dtypes.as_numpy(dtype)) if name != "scatter_mul" else f(300, 3).astype("int8") | 1
            )
            start = f(20, 3, seed=1).astype(updates.dtype)
            for count in (7, 300):
                yield name, [start.astype(updates.dtype), often[:count, None], updates[:count].astype(updates.dtype)], {}
        yield name, [f(3, 4, 2), ints(3, 5, 6, 2), np.sign(f(5, 6, 2))], {}
    yield "scatter_set", [f(40, 16, dtype="float16"), ints(40, 60, 1, dtype="uint8"), f(60, 16, dtype="float16", seed=1)], {}
    yield "scatter_set", [f(9) > 0, ints(9, 5, 1), f(5) > 0], {}
    nans = f(20, 3)
    nans[4], nans[5] = np.nan, np.inf
    yield "scatter_max", [f(9, 3), ints(9, 20, 1), nans], {}
    yield "scatter_add", [f(3, 4, 2), ints(3, 5, 6, 2), f(5, 6, 2)], {}
    yield "scatter_add", [f(3, 4, 3), ints(3, 11, 3), f(11)], {}


def pools():
    table = make_reference().table
    for dtype in (*F, "int32", "uint8"):
        for shape, window, strides, padding in (
            ((2, 7, 3), (3,), (2,), "same"), ((2, 6, 5, 3), (2, 2), (2, 2), "valid"), ((1, 7, 6, 2), (3, 3), (2, 2), "same"),
            ((2, 5, 4, 2), (3, 2), (1, 1), "same"), ((1, 4, 5, 4, 2), (2, 2, 3), (2, 1, 2), "same"), ((1, 9, 4, 2), (2, 3), (3, 4), "same"),
        ):  # fmt: skip
            p = dict(window=window, strides=strides, padding=padding)
            x = np.round(f(*shape)).astype(dtypes.as_numpy(dtype))  # many are equal
            y = table["max_pool"](x, **p)
            yield "max_pool", [x], p
            if dtype in F:
                g = np.round(f(*y.shape, seed=1)).astype(x.dtype)
                yield "max_pool_grad", [x, y, g], p
                yield "avg_pool", [x], p
                yield "avg_pool_grad", [g], dict(p, shape=shape)
    x, p = f(2, 6, 3), dict(window=(3,), strides=(1,), padding="same")
    x[0, 2, 1], x[1] = np.nan, -np.inf
    yield "max_pool", [x], p
    yield "max_pool_grad", [x, table["max_pool"](x, **p), f(2, 6, 3, seed=1)], p


def reductions():
    shapes = [
        ((5, 37), (1,)),
        ((5, 37), (0,)),
        ((3, 4, 50), (0, 1)),
        ((2, 70, 3), (1,)),
        ((1, 1), (0, 1)),
        ((4, 1, 6), (0, 1, 2)),
    ]
    for dtype in (*F, "int8", "int64", "uint64"):
        for shape, axes in shapes if dtype == "float32" else shapes[:2]:
            x = np.abs(f(*shape)).astype(dtypes.as_numpy(dtype)) if dtype.startswith("u") else f(*shape, dtype=dtype)
            for name in ("sum", "max", "min"):
                yield name, [x], dict(axes=axes, keepdims=axes == (1,))
            yield "prod", [np.sign(x) if dtype.startswith("u") else np.clip(x, -1, 1)], dict(axes=axes, keepdims=False)
            for name in ("argmax", "argmin"):
                yield name, [x], dict(axis=axes[0])
        if dtype in ("float16", "bfloat16"):
            yield "sum_wide", [f(9, 50, dtype=dtype)], dict(axes=(0,), keepdims=False)
    for shape, axes in (((5000,), (0,)), ((2, 2500), (1,)), ((2500, 2), (0,)), ((2, 1500, 3), (1,)), ((2500, 40), (0,))):
        for name in ("sum", "max"):  # in parts
            yield name, [f(*shape)], dict(axes=axes, keepdims=False)
        yield "sum", [f(*shape, dtype="bfloat16", scale=0.1)], dict(axes=axes, keepdims=False)
        yield "argmax", [np.round(f(*shape))], dict(axis=axes[0])
    apart = [
        ((3, 5, 4), (0, 2)),
        ((2, 3, 4, 5, 2), (0, 2, 4)),
        ((2, 2, 2500), (0, 2)),
        ((40, 3, 50), (0, 2)),
        ((1, 3, 1, 4), (0, 2)),
    ]
    for shape, axes in apart:
        for name in ("sum", "max"):
            yield name, [f(*shape)], dict(axes=axes, keepdims=name == "max")
    for dtype in ("bfloat16", "float64", "int8", "uint32"):
        yield "sum", [np.abs(np.round(f(3, 5, 4))).astype(dtypes.as_numpy(dtype))], dict(axes=(0, 2), keepdims=False)
    yield "sum_wide", [f(9, 5, 6, dtype="float16")], dict(axes=(0, 2), keepdims=False)
    for dtype in (*F, "int8", "int64", "uint32"):
        for shape, axis in (((5, 37), 1), ((37, 5), 0), ((2, 9, 3), 1)) if dtype in ("float32", "int8") else (((2, 9, 3), 1),):
            for name in ("cumsum", "cumprod"):
                x = np.abs(f(*shape)) if dtype.startswith("u") else f(*shape, scale=1.0)
                yield name, [x.astype(dtypes.as_numpy(dtype))], dict(axis=axis)
    for shape, axis in (((5000,), 0), ((2, 2500), 1), ((2500, 2), 0), ((2, 150, 3), 1), ((1, 1), 1), ((900, 2), 1)):  # in parts
        yield "cumsum", [f(*shape)], dict(axis=axis)
        yield "cumprod", [1 + f(*shape, scale=0.02)], dict(axis=axis)
    yield "cumsum", [np.array([1, np.inf, 2, -np.inf, 3, np.nan, 4], "float32")], dict(axis=0)
    x = f(3, 40)
    x[0, 7] = x[0, 30] = np.nan
    x[1] = -np.inf
    for name in ("max", "min", "sum"):
        yield name, [x], dict(axes=(1,), keepdims=False)
    for name in ("argmax", "argmin"):
        yield name, [x], dict(axis=1)
        yield name, [x.T.copy()], dict(axis=0)


def sortings():
    for dtype in (*F, "int8", "int64", "uint16", "bool"):
        for shape, axis in (((5, 37), 1), ((3, 1), 1), ((2, 9, 3), 1)) if dtype in ("float32", "int64") else (((2, 9, 3), 1),):
            x = np.round(f(*shape)).astype(dtypes.as_numpy(dtype))  # many are equal
            for name in ("sort", "argsort"):
                yield name, [x], dict(axis=axis)
        for k in (2, 9):
            yield "top_k_indices", [np.round(f(4, 9)).astype(dtypes.as_numpy(dtype))], dict(k=k)
    special = np.array([[np.nan, 0.0, -0.0, np.inf, -np.inf, 0.0, np.nan, 1.0]], "float32")
    for x in (special, special.astype("float64"), special.astype("float16")):
        yield "argsort", [x], dict(axis=1)
        yield "sort", [x], dict(axis=1)
        yield "top_k_indices", [x], dict(k=5)
    for shape, axis in (((3, 1500), 1), ((2, 1025), 1), ((2100, 2), 0)):  # several runs
        for dtype in ("float32", "int64") if shape == (3, 1500) else ("float32",):
            x = np.round(f(*shape, scale=9)).astype(dtype)
            yield "sort", [x], dict(axis=axis)
            yield "argsort", [x], dict(axis=axis)
    for dtype in ("complex64", "complex128"):
        x = (np.round(f(3, 40)) + 1j * np.round(f(3, 40, seed=1))).astype(dtype)
        x[0, :4] = [complex(np.nan, 1), complex(2, np.nan), complex(np.nan, np.nan), complex(np.nan, -np.inf)]
        x[1, :5] = [
            complex(-3, np.nan),
            complex(np.inf, -np.inf),
            complex(-np.inf, np.inf),
            complex(-0.0, 0.0),
            complex(0.0, -0.0),
        ]
        for given in (x, x.T.copy(), (f(2, 1100) + 1j * np.round(f(2, 1100, seed=1))).astype(dtype)):
            for name in ("sort", "argsort"):
                yield name, [given], dict(axis=int(given.shape != x.T.shape))
        for side in ("left", "right"):
            yield "searchsorted", [np.sort(x.ravel()), x], dict(side=side)
    for dtype in (*F, "int8", "uint64", "bool"):
        x = np.round(f(3, 40)).astype(dtypes.as_numpy(dtype))
        for side in ("left", "right"):
            yield "searchsorted", [np.sort(x.ravel()[:100]), x], dict(side=side)
            yield "searchsorted", [x.ravel()[:1], x[0]], dict(side=side)
    line = np.array([-np.inf, -1, -0.0, 0.0, 2, np.inf, np.nan, np.nan], "float32")
    for side in ("left", "right"):
        yield "searchsorted", [line, np.array([[np.nan, 0.0, -0.0, np.inf], [-np.inf, 3, -2, 1]], "float32")], dict(side=side)
    for k in (1, 1100, 2100):
        yield "top_k_indices", [np.round(f(2, 2100, scale=9))], dict(k=k)


def movements():
    def ones(*shape, dtype="float32", seed=0):
        return np.round(f(*shape, seed=seed)).astype(dtypes.as_numpy(dtype))

    for dtype in ("float32", "bfloat16", "bool", "int64", "complex128"):
        for shapes, axis in (
            (((2, 3), (2, 5)), 1), (((3, 4), (1, 4), (0, 4)), 0), (((2, 1, 4), (2, 3, 4), (2, 2, 4)), 1), (((2, 8), (2, 16)), 1),
        ):  # fmt: skip
            yield "concat", [ones(*s, dtype=dtype, seed=k) for k, s in enumerate(shapes)], dict(axis=axis)
    yield "concat", [ones(5, 1 + k % 3, seed=k) for k in range(19)], dict(axis=1)
    yield "concat", [ones(4, 1, 2)], dict(axis=1)
    for dtype in ("float32", "float16", "uint8", "complex128"):
        for shape, low, high, interior in (
            ((3, 4), (1, 0), (0, 2), (0, 0)), ((2, 3, 4, 8), (0, 1, 2, 0), (0, 1, 0, 0), (0, 0, 0, 0)), ((5,), (1,), (2,), (3,)),
            ((2, 3, 2, 4), (0, 1, 0, 0), (0, 0, 1, 0), (0, 2, 1, 0)), ((2, 1, 3), (0, 0, 0), (0, 0, 0), (0, 0, 0)), ((), (), (), ()),
        ):  # fmt: skip
            yield "pad", [ones(*shape, dtype=dtype)], dict(value=7, low=low, high=high, interior=interior)
    yield "pad", [ones(2, 2, 2, 2, 2)], dict(value=-np.inf, low=(1,) * 5, high=(0,) * 5, interior=(1,) * 5)


def resamplings():
    for dtype in F:
        for shape, size in (((2, 5, 3), (11,)), ((2, 5, 6, 3), (10, 4)), ((1, 3, 2, 4, 2), (3, 5, 2)), ((1, 7, 1, 8), (3, 3))):
            for method in ("nearest", "linear"):
                yield "resample", [f(*shape, dtype=dtype)], dict(size=size, method=method)
                g = f(shape[0], *size, shape[-1], dtype=dtype, scale=0.5)
                yield "resample_grad", [g], dict(size=shape[1:-1], method=method)
    yield "resample", [np.arange(60, dtype="uint8").reshape(1, 4, 5, 3)], dict(size=(7, 3), method="nearest")
    yield "resample", [f(1, 13, 2)], dict(size=(41,), method="nearest")


CASES = [
    *softmaxes(), *randoms(), *norms(), *indexings(), *pools(), *reductions(), *sortings(), *movements(), *resamplings(),
]  # fmt: skip
EXACT = ("random_bits", "bernoulli")


def ident(case):
    name, args, params = case
    return f"{name}-{args[0].dtype}-{'x'.join(map(str, params.get('shape', args[0].shape)))}"


@pytest.fixture(scope="module")
def reference():
    return make_reference()


def on_device(a):
    return a if a is None else fake_cupy.module.asarray(a)


class Collecting:
    """Runs nothing, and notes which kernels are asked for."""

    def __init__(self):
        self.kernels = {}

    def want(self, kernel):
        self.kernels[kernel.name] = kernel

    def function(self, name):
        return lambda blocks, threads, args: None


def rows_of(modules):
    """Name of an op -> its row on a device with these modules."""
    return {row.name: row for row in Cuda.rows(DoubleOfGpu(modules))}


def kernels_of_cases():
    """All kernels that the cases need."""
    found = Collecting()
    rows = rows_of(found)
    for name, args, params in CASES:
        rows[name](*map(on_device, args), **params)
    return found.kernels


@pytest.fixture(scope="module", params=[0, 1, 5], ids=["in order", "backwards", "scattered"])
def rows(request):
    """The rows on a device that runs its kernels, compiled all at once, on the host."""
    modules = HostModules(request.param)
    modules.kernels = kernels_of_cases()
    return rows_of(modules)


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_as_the_reference(case, rows):
    name, args, params = case
    row, arrays = rows[name], [on_device(a) for a in args]
    assert row.accepts(*arrays, **params)
    for *_, message in row.checks(*arrays, **params):
        row.device.fine(message)  # the array of truth values that kernels write into is there
    assert row.device.counters.size
    fake_cupy.counts.clear()
    found = row(*arrays, **params)
    assert fake_cupy.counts.launches == row.launches_for(*arrays, **params)
    assert not fake_cupy.counts.waits
    row.device.raise_doubts()
    wanted = by_reference(name, args, params)
    for got, a in zip(found if type(found) is tuple else (found,), wanted if type(wanted) is tuple else (wanted,)):
        got = got.get()
        assert (got.shape, got.dtype) == (a.shape, a.dtype)
        if a.dtype.kind in "biuc":
            np.testing.assert_array_equal(got, a)
        else:
            tolerance = TOLERANCE[dtypes.name_of(a.dtype)]
            a, got = a.astype("float64"), got.astype("float64")
            scale = np.max(np.abs(a), initial=1.0, where=np.isfinite(a))  # sums are taken in another order
            np.testing.assert_allclose(got, a, rtol=tolerance, atol=tolerance * scale)


def test_results_of_parts_are_the_same_bits_whichever_block_comes_last():
    cases = [
        ("sum", [f(5000)], dict(axes=(0,), keepdims=False)), ("sum", [f(2500, 2)], dict(axes=(0,), keepdims=False)),
        ("batch_norm", [f(300, 5), None, None], dict(axes=(0,), epsilon=1e-3)),
        ("rms_norm_grad", [f(300, 5), f(300, 5, seed=1), None, f(300, 1) ** 2], dict(rank=1, epsilon=1e-3)),
        ("cumsum", [f(5000)], dict(axis=0)),
    ]  # fmt: skip
    collected = Collecting()
    for name, args, params in cases:
        rows_of(collected)[name](*map(on_device, args), **params)
    found = []
    for order in (0, 1, 5):
        modules = HostModules(order)
        modules.kernels = collected.kernels
        rows, bits = rows_of(modules), []
        for name, args, params in cases:
            results = rows[name](*map(on_device, args), **params)
            bits += [r.get().tobytes() for r in (results if type(results) is tuple else (results,))]
            assert not rows[name].device.counters.get().any()
        found.append(bits)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name, args, params, message", [
    ("take", [f(3, 4), np.array([0, 3])], dict(axis=0), "take: an index is out of range for size 3"),
    ("take", [f(3, 4), np.array([0, -1])], dict(axis=1), "take: an index is out of range for size 4"),
    ("take", [f(3, 4), np.array([0, 2**64 - 1], "uint64")], dict(axis=0), "take: an index is out of range for size 3"),
    ("take_along_axis", [f(9, 5), np.full((4, 5), 9, "int32")], dict(axis=0), "take_along_axis: an index is out of range for size 9"),
    ("sum_rows", [np.array([1, -1], "int32"), f(2, 5)], dict(size=3), "scatter: an index along axis 0 is out of range for size 3"),
    ("scatter_add", [f(3, 4, 2), np.array([[1, 4]], "int32"), f(1, 2)], {}, "scatter: an index along axis 1 is out of range for size 4"),
], ids=str)  # fmt: skip
def test_an_index_out_of_range_is_noted(name, args, params, message, rows):
    row = rows[name]
    row(*map(on_device, args), **params)
    with pytest.raises(IndexError, match=message):
        row.device.raise_doubts()


@pytest.mark.parametrize("name, args, params", [
    ("softmax", [f(3, 4)], dict(axis=0)), ("softmax", [f(0, 4)], dict(axis=-1)),
    ("random_uniform", [KEY], dict(shape=(3,), dtype="float16")), ("top_k_indices", [f(3, 4)], dict(k=0)),
], ids=["another axis", "nothing", "halves", "none of them"])  # fmt: skip
def test_what_is_left_to_other_kernels(name, args, params, rows):
    assert not rows[name].accepts(*args, **params)


def test_results_that_are_parts_of_others_are_written_in_place(rows, reference):
    xp = fake_cupy.module
    whole, x = xp.asarray(np.zeros((3, 8), "float32")), f(3, 4)
    rows["softmax"].into(xp.asarray(np.asfortranarray(x)), out=whole[:, 2:6], axis=-1)
    np.testing.assert_allclose(whole.get()[:, 2:6], reference.table["softmax"](x, axis=-1), rtol=1e-6)
    assert not whole.get()[:, [0, 1, 6, 7]].any()


LAST_OF_SCATTERS = {case[0]: case for case in CASES if case[0].startswith("scatter")}


@pytest.mark.parametrize("case", LAST_OF_SCATTERS.values(), ids=ident)
def test_what_scatters_begin_with_may_be_written_over(case, rows):
    name, args, params = case
    x, *others = map(on_device, args)
    rows[name].into(x, *others, out=x, **params)
    wanted = by_reference(name, args, params)
    tolerance = TOLERANCE.get(dtypes.name_of(wanted.dtype), 0)
    np.testing.assert_allclose(x.get().astype("float64"), wanted.astype("float64"), tolerance, 2 * tolerance)


def test_temporary_memory_is_a_part_of_the_plan(gpu, monkeypatch):
    row, given = gpu.table["batch_norm"].rows[0][1], []
    launch = row.launch
    monkeypatch.setattr(row, "launch", lambda args, outs, params: (given.append(outs[-1]), launch(args, outs, params)))
    x = f(300, 5)
    with swapped(backend=gpu, kernels=gpu.kernels):
        normalize = mlkit.function(lambda x: batch_norm(x, None, None, axes=(0,), epsilon=1e-3)[0])
        for _ in range(2):
            normalize(mlkit.ops.convert_to_tensor(x))
    block = gpu.arena.current()
    assert [g.nbytes for g in given] == [row.scratch(x, None, None, axes=(0,), epsilon=1e-3)] * 2
    assert all(0 <= g.data.ptr - block.data.ptr <= block.nbytes - g.nbytes for g in given)
