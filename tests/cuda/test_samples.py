"""Every op of the sample table on the GPU's backend, eager and staged, against the CPU's kernels; and what is waited for meanwhile."""

import re

import numpy as np
import pytest

from mlkit.core import tree
from mlkit.core.function import function
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor
from mlkit.primitives.convert import as_tensor
from tests.cuda import fake_cupy
from tests.ops.checks import flat, host
from tests.ops.sample import gather, ids

ROWS = gather("SAMPLES")
STAGED = [r for r in ROWS if not r.option("eager_only", False)]
# Of arguments that no pooling made, of which each library makes something else.
UNDEFINED = {r for r in ROWS if r.name.startswith("max_pool_grad") and not r.option("grad", True)}
# What depends on values waits for them: `unique` and its like, control flow by conditions, whether a matrix is singular.
WAITS = re.compile(r"(get|bool) at .*cuda/(backend|doubts)\.py:\d+|.* at .*(control|linalg|random|foreign)\.py:\d+")
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}


def run(row, staged):
    """The results of a row: of tensors (array of NumPy, dtype), the rest as it is."""
    args, kwargs = tree.map_structure(lambda a: as_tensor(a) if isinstance(a, np.ndarray) else a, row.draw())
    if not staged:
        return [(host(o), o.dtype) if isinstance(o, Tensor) else o for o in flat(row.function(*args, **kwargs))]
    tensors = [a for a in tree.flatten((args, kwargs)) if isinstance(a, Tensor)]

    def call(*given):
        rest = iter(given)
        a, k = tree.map_structure(lambda x: next(rest) if isinstance(x, Tensor) else x, (args, kwargs))
        return flat(row.function(*a, **k))

    return [(host(o), o.dtype) if isinstance(o, Tensor) else o for o in flat(function(call)(*tensors))]


def compare(row, gpu, reference, staged):
    with swapped(backend=reference, kernels=reference.kernels):
        wanted = run(row, staged)
    fake_cupy.counts.clear()
    with swapped(backend=gpu, kernels=gpu.kernels):
        got = run(row, staged)
    assert [w for w in fake_cupy.counts.waits if not WAITS.fullmatch(w)] == []
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted):
        if not isinstance(b, tuple) or not isinstance(b[0], np.ndarray):
            np.testing.assert_equal(a, b)
            continue
        (a, dtype), (b, wanted_dtype) = a, b
        assert (a.shape, dtype) == (b.shape, wanted_dtype)
        if row not in UNDEFINED:
            tolerance = TOLERANCE.get(dtype, 1e-5)
            wide = np.complex128 if b.dtype.kind in "fc" else b.dtype
            np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))
def test_eager(row, gpu, reference):
    compare(row, gpu, reference, staged=False)


@pytest.mark.parametrize("row", STAGED, ids=ids(STAGED))
def test_staged(row, gpu, reference):
    compare(row, gpu, reference, staged=True)
