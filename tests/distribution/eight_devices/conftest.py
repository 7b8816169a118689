"""These tests need eight devices, which JAX makes of the CPU if it is told so before it starts: tests/distribution/test_eight_devices.py
runs them in a process of their own."""

import os

import pytest

FLAG = "--xla_force_host_platform_device_count=8"
collect_ignore_glob = [] if FLAG in os.environ.get("XLA_FLAGS", "") else ["test_*.py"]


@pytest.fixture(autouse=True)
def _on_jax():
    """The jax backend, no distribution left over, numbers and names from the beginning."""
    import mlkit

    mlkit.config.set_backend("jax")
    mlkit.utils.clear_session()
    mlkit.utils.set_random_seed(0)
    yield
    mlkit.distribution.set_distribution(None)
