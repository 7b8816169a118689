"""Run other tests on the double of a GPU: pytest -p tests.cuda.on_double tests/layers

The native backend of that session computes on "cuda:0", of which there is none. Tests of what only the CPU has (marked `cpu`: oneDNN,
arrays of NumPy, how updates are grouped) are left out.
"""

from mlkit.core import backend as registry
from tests.cuda.double import CPU, make_gpu


def pytest_configure(config):
    registry._backends["native"] = gpu = make_gpu()
    gpu.devices = lambda: ["cuda:0", "cpu:0"]
    gpu.on = {"cuda:0": gpu, "cpu:0": CPU}.get
    registry.set_backend("native")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if item.get_closest_marker("cpu")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("cpu")]
