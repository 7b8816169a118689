"""Run other tests on the double of a GPU: pytest -p tests.cuda.on_double tests/layers

The native backend of that session computes on "cuda:0", of which there is none. Tests of what only the CPU has (oneDNN, NumPy's threads)
are no part of that.
"""

from mlkit.core import backend as registry
from tests.cuda.double import CPU, make_gpu


def pytest_configure(config):
    registry._backends["native"] = gpu = make_gpu()
    gpu.devices = lambda: ["cuda:0", "cpu:0"]
    gpu.on = {"cuda:0": gpu, "cpu:0": CPU}.get
    registry.set_backend("native")
