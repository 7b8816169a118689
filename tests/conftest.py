"""Settings of all tests: Keras, where a test compares with it, runs on JAX; global settings are put back.

pytest --backend NAME              the tests that every backend passes, on one: native, jax, or one that is installed
pytest --backend NAME --share 2/7  every seventh of them, from the second on
"""

import gc
import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys
import zlib

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# XLA compiles here more than it computes: thousands of small programs.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: threads of each would only wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

TESTS = pathlib.Path(__file__).parent
WITHOUT_EMITTERS = "--xla_cpu_use_fusion_emitters=false"
OF_EVERY_BACKEND = ("test_tiny.py", "test_random.py", "test_random_gradients.py", "test_initializers.py", "test_activations.py") + (
    "core", "ops", "layers", "losses", "metrics", "optimizers", "models"
)  # fmt: skip


def pytest_addoption(parser):
    parser.addoption("--backend", metavar="NAME", help="run the tests that every backend passes, on this one")
    parser.addoption("--share", metavar="K/N", type=_share, help="run share K of N of the tests")


def _share(text):
    k, n = map(int, text.split("/"))
    return k % n, n


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" not in os.environ:  # workers have the flags of the process that starts them
        _compile_quickly(config)
    if name := config.getoption("backend"):
        os.environ["MLKIT_BACKEND"] = name  # for processes that tests start
        from mlkit.core.backend import set_backend

        set_backend(name)


def _compile_quickly(config):
    """Have XLA do without what makes small programs slow to compile (tests/xla.py). It ends a process whose flags it does not know, so
    another one tries them, once for each version."""
    flags, found = f"{os.environ['XLA_FLAGS']} {WITHOUT_EMITTERS}", importlib.util.find_spec("jaxlib")
    if WITHOUT_EMITTERS in os.environ["XLA_FLAGS"] or found is None:
        return
    tried = f"xla/{importlib.metadata.version('jaxlib')} {WITHOUT_EMITTERS}"
    knows = config.cache.get(tried, None) if hasattr(config, "cache") else None
    if knows is None:
        command = [sys.executable, "-c", "import jax; jax.devices()"]
        knows = subprocess.run(command, env={**os.environ, "XLA_FLAGS": flags}, capture_output=True).returncode == 0
        if hasattr(config, "cache"):
            config.cache.set(tried, knows)
    if knows:
        os.environ["XLA_FLAGS"] = flags


def pytest_collection_modifyitems(config, items):
    name, share = config.getoption("backend"), config.getoption("share")
    eager = os.environ.get("MLKIT_EAGER") == "1"

    def is_wanted(item):
        if name and item.path.relative_to(TESTS).parts[0] not in OF_EVERY_BACKEND:
            return False
        if name not in (None, "native") and item.get_closest_marker("native"):
            return False
        if eager and item.get_closest_marker("compiled"):
            return False
        return share is None or zlib.crc32(item.nodeid.encode()) % share[1] == share[0]

    left_out = [item for item in items if not is_wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = filter(is_wanted, items)


def pytest_collection_finish(session):
    """Thirty thousand tests stay until the end: nobody needs to look through them whenever garbage is collected."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _same_settings():
    """A test may change the float type, the policy, the image layout or the backend; the next one starts with the defaults."""
    from mlkit import config
    from mlkit.core import backend as registry
    from mlkit.core.backend import set_backend
    from mlkit.core.state import state

    known = dict(registry._makers)
    before = config.floatx(), config.image_data_format(), config.epsilon(), config.dtype_policy()
    backend = state.backend.name
    yield
    config.set_floatx(before[0])
    config.set_image_data_format(before[1])
    config.set_epsilon(before[2])
    config.set_dtype_policy(before[3])
    set_backend(backend)
    if registry._makers != known:  # a test has made others known
        registry._makers.clear()
        registry._makers.update(known)


@pytest.fixture(scope="module")
def all_passes():
    """For tests of what graph passes do: none is left out, whatever MLKIT_PASSES_OFF says."""
    from mlkit.core import debug

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debug, "PASSES_OFF", set())
        yield
