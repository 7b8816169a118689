"""Settings of all tests: Keras, where a test compares with it, runs on JAX; global settings are put back."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# XLA compiles here more than it computes: thousands of small programs
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: threads of each would only wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def _same_settings():
    """A test may change the float type, the policy, the image layout or the backend; the next one starts with the defaults."""
    from mlkit import config
    from mlkit.core.backend import set_backend
    from mlkit.core.state import state

    before = config.floatx(), config.image_data_format(), config.epsilon(), config.dtype_policy()
    backend = state.backend.name
    yield
    config.set_floatx(before[0])
    config.set_image_data_format(before[1])
    config.set_epsilon(before[2])
    config.set_dtype_policy(before[3])
    set_backend(backend)


@pytest.fixture(scope="module")
def all_passes():
    """For tests of what graph passes do: none is left out, whatever MLKIT_PASSES_OFF says."""
    from mlkit.core import debug

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(debug, "PASSES_OFF", set())
        yield
