"""Scatter kernels against NumPy's unbuffered updates: few and many repetitions, narrow and wide rows."""

import numpy as np
import pytest

from mlkit.core.backend import get_backend

KERNELS = get_backend("native").kernels


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum"])
@pytest.mark.parametrize("width", [1, 3, 40])
@pytest.mark.parametrize("rows", [0, 1, 30, 500])
def test_repeated_rows(name, width, rows):
    rng = np.random.default_rng(rows + width)
    x, updates = rng.uniform(0.5, 1.5, (20, width)), rng.uniform(0.5, 1.5, (rows, width))
    index = rng.integers(0, 20, (rows, 1))
    wanted = x.copy()
    getattr(np, name).at(wanted, index[:, 0], updates)
    kernel = KERNELS["scatter_" + dict(add="add", multiply="mul", maximum="max", minimum="min")[name]]
    before = x.copy()
    np.testing.assert_allclose(kernel(x, index, updates), wanted, rtol=1e-12)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("width", [1, 40])
@pytest.mark.parametrize("rows, size", [(0, 3), (1, 1), (30, 200), (30, 40), (500, 20)])
def test_sums_of_rows(rows, size, width):
    rng = np.random.default_rng(rows + width)
    index, updates = rng.integers(0, size, rows), rng.normal(size=(rows, width))
    wanted = np.zeros((size, width))
    np.add.at(wanted, index, updates)
    found = KERNELS["sum_rows"](index, updates, size)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    with pytest.raises(IndexError, match="out of range"):
        KERNELS["sum_rows"](np.array([size]), np.ones((1, width)), size)


@pytest.mark.parametrize("name", ["add", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16"])
@pytest.mark.parametrize("width", [0, 3, 40])
def test_narrow_dtypes_stay_themselves(width, dtype, name):
    """NumPy's sums and products of a run are of wider integers; truth values are ored and anded, other integers wrap."""
    rng = np.random.default_rng(width)
    x, updates = (rng.integers(0, 3, (n, width)).astype(dtype) for n in (2, 40))
    index = rng.integers(0, 2, (40, 1))
    wanted = x.copy()
    function = dict(add=np.add, mul=np.multiply, max=np.maximum, min=np.minimum)[name]
    function.at(wanted, index[:, 0], updates)
    found = KERNELS[f"scatter_{name}"](x, index, updates)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, wanted)
