"""Half floats, which NumPy compares slowly, and selections, through the kernels over NumPy: the same as in float32."""

import ml_dtypes
import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.backends.native.elementwise import PART

RNG = np.random.default_rng(0)
HALVES = [ml_dtypes.bfloat16, np.float16]


def drawn(dtype):
    """Numbers with infinities, NaNs of both signs, both zeros and the smallest ones."""
    x = RNG.normal(size=(40, 9, 30)).astype(dtype)
    x[3, 4], x[5, 6, 7] = [np.inf] * 30, -np.inf
    x[7, 0, 0], x[8, 0, 0] = np.nan, -np.nan
    x[9, :, 1:3] = [0.0, -0.0]
    x[10] = ml_dtypes.finfo(dtype).smallest_subnormal
    return x


def both(call, x):
    """Results of a kernel at once and in a program."""
    tensor = ops.convert_to_tensor(x)
    return [np.asarray(f(tensor)) for f in (call, mlkit.function(call))]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), None])
@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extremes(name, axis, dtype):
    if name.startswith("arg") and type(axis) is tuple:
        axis = 2
    x = drawn(dtype)
    wanted = getattr(np, name)(x.astype("float32"), axis=axis)
    for found in both(lambda x: getattr(ops, name)(x, axis=axis), x):
        assert found.dtype == ("int32" if name.startswith("arg") else dtype)
        np.testing.assert_array_equal(found.astype("float32"), wanted)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater"])
def test_comparisons(name, dtype):
    x, y = drawn(dtype), drawn(dtype)
    y[::2] = x[::2]
    single = x.astype("float32")
    for found in both(lambda x: getattr(ops, name)(x, y), x):
        np.testing.assert_array_equal(found, getattr(np, name)(single, y.astype("float32")))
    for found in both(lambda x: getattr(ops, name)(x, 0.3), x):  # the number is rounded
        np.testing.assert_array_equal(found, getattr(np, name)(single, np.float32(dtype(0.3))))


@pytest.mark.parametrize("dtype", [*HALVES, np.float32, np.uint8, np.complex128, bool])
@pytest.mark.parametrize("width", [1, PART])
@pytest.mark.parametrize("shape", [(6, 1, 1), (6, 5, 1), (1, 1, 1), (5, 1)])
def test_selections(shape, width, dtype):
    condition = RNG.random(shape) > 0.5
    x, y = ((RNG.random((6, 5, width)) * 3).astype(dtype) for _ in range(2))
    for a, b in ((x, y), (x[:, ::-1], y), (x[:, :, :1], y), (x[0, 0, 0], y), (x, y[:1, :1])):
        wanted = np.where(condition, a, b)
        for found in both(lambda c, a=a, b=b: ops.where(c, a, b), condition):
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)
    wanted = np.where(condition, x, x[:, ::-1])
    inside = mlkit.function(lambda x: ops.where(condition, ops.cast(x, dtype), ops.flip(ops.cast(x, dtype), axis=1)))
    np.testing.assert_array_equal(np.asarray(inside(x)), wanted)


def test_a_number_that_is_converted_and_repeated():
    f = mlkit.function(lambda x: ops.where(x > 0, x, ops.cast(ops.ones(()), "bfloat16")) * 2.0)
    x = drawn(ml_dtypes.bfloat16)
    wanted = np.where(x.astype("float32") > 0, x.astype("float32"), 1.0) * 2.0
    np.testing.assert_array_equal(np.asarray(f(x)).astype("float32"), wanted)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("axis", [0, -1])
def test_order(axis, dtype):
    """NaN comes last, and leaves the other numbers in order."""
    x = drawn(dtype)
    wide = x.astype("float32")
    for found in both(lambda x: ops.sort(x, axis=axis), x):
        np.testing.assert_array_equal(found.astype("float32"), np.sort(wide, axis=axis))
    for found in both(lambda x: ops.argsort(x, axis=axis), x):
        np.testing.assert_array_equal(found, np.argsort(wide, axis=axis, kind="stable"))
    for found in both(lambda x: ops.nanmedian(x, axis=axis), x):
        wanted = np.nanmedian(wide, axis=axis).astype(dtype)
        np.testing.assert_array_equal(found.astype("float32"), wanted.astype("float32"))
