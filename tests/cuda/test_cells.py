"""The cells of recurrent nets in CUDA C, run on the host in several orders of their threads: as NumPy computes them."""

import numpy as np
import pytest

from mlkit.backends.native.cuda.recurrent import LaunchedCells
from mlkit.backends.native.recurrent import Cells
from tests.cuda import fake_cupy
from tests.cuda.double import DoubleOfGpu
from tests.cuda.host_compiler import COMPILER, HostModules
from tests.cuda.test_kernels import Collecting, f

pytestmark = pytest.mark.skipif(COMPILER is None, reason="these tests compile kernels with g++, which is not there")


def cases():
    """(name of a cell, its arrays)"""
    for dtype in ("float32", "float64"):
        for units, batch, time in ((3, 5, 2), (40, 9, 3)):

            def g(*shape, seed=0, dtype=dtype):
                return f(*shape, dtype=dtype, seed=seed, scale=0.7)

            ub, bu = (units, batch), (batch, units)
            yield "lstm", [g(4, *ub), g(7, *ub, seed=1), g(*ub, seed=2), g(batch, time, units)[:, 1]]
            for ghs in (None, g(batch, time, units, seed=3)[:, 1]):
                arrays = [g(7, *ub), ghs, g(*ub, seed=1), g(*ub, seed=2), g(4, *ub), g(4, units, time, batch)[:, :, 1]]
                yield "lstm_grad", arrays
                arrays = [g(batch, 5 * units), g(*bu, seed=1), ghs, g(*bu, seed=2), g(*bu, seed=4)]
                yield "gru_grad", [*arrays, g(batch, 3 * units), g(batch, 3 * units)]
            for bias in (None, g(3 * units, seed=5)):
                arrays = [g(batch, 3 * units), g(batch, 3 * units, seed=1), bias, g(*bu, seed=2), g(batch, 5 * units), g(*bu)]
                yield "gru", arrays
            for ghs in (None, g(batch, time, units, seed=3)[:, 1]):
                arrays = [g(batch, 5 * units), g(*bu, seed=1), ghs, g(*bu, seed=2), g(*bu, seed=4), g(batch, 3 * units), g(*bu)]
                yield "gru_candidate_grad", arrays
                for activation in ("tanh", "sigmoid", "relu"):
                    yield "rnn_grad", [g(*bu), ghs, g(*bu, seed=1), g(*bu, seed=2), activation]
            for activation in ("tanh", "sigmoid", "relu"):
                yield "rnn", [g(*bu), g(*bu, seed=1), activation]
            arrays = [g(batch, 3 * units), g(batch, 2 * units, seed=1), g(*bu, seed=2), g(batch, 5 * units), g(*bu)]
            yield "gru_gates", arrays
            yield "gru_candidate", [arrays[0], g(*bu, seed=6), *arrays[2:]]
            yield (
                "gru_gates_grad",
                [g(batch, 5 * units), *(g(*bu, seed=s) for s in (1, 2)), g(batch, 3 * units), g(batch, 2 * units)],
            )


CASES = list(cases())
# What a cell leaves behind in arrays that nobody reads then: the gradient of later steps, the product with the bias.
NOT_READ = {"lstm_grad": (2,), "gru": (1,)}


def on_device(a):
    return fake_cupy.module.asarray(a) if isinstance(a, np.ndarray) else a


def kernels_of_cells():
    """All kernels that the cases need."""
    found = Collecting()
    for name, arrays in CASES:
        getattr(LaunchedCells(DoubleOfGpu(found)), name)(*map(on_device, arrays))
    return found.kernels


@pytest.fixture(scope="module", params=[0, 1, 5], ids=["in order", "backwards", "scattered"])
def cells(request):
    modules = HostModules(request.param)
    modules.kernels = kernels_of_cells()
    return LaunchedCells(DoubleOfGpu(modules))


@pytest.mark.parametrize("name, arrays", CASES, ids=[f"{name}-{arrays[0].dtype}-{arrays[0].shape}" for name, arrays in CASES])
def test_as_numpy(name, arrays, cells):
    wanted = [a.copy() if isinstance(a, np.ndarray) else a for a in arrays]
    getattr(Cells(np), name)(*wanted)
    given = [on_device(a if getattr(a, "base", None) is None else a.base.copy()) for a in arrays]  # with what lies between
    views = [
        v if getattr(a, "base", None) is None else v[:, :, 1] if name == "lstm_grad" and k == 5 else v[:, 1]
        for k, (a, v) in enumerate(zip(arrays, given))
    ]
    fake_cupy.counts.clear()
    getattr(cells, name)(*views)
    assert fake_cupy.counts.launches == 1
    for k, (got, a) in enumerate(zip(views, wanted)):
        if isinstance(a, np.ndarray) and k not in NOT_READ.get(name, ()):
            np.testing.assert_allclose(got.get(), a, rtol=1e-5, atol=2e-6)
