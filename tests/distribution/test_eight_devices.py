"""Runs the tests of tests/distribution/eight_devices in a process in which JAX has eight devices."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.distribution.eight_devices.conftest import FLAG

FOLDER = pathlib.Path(__file__).parent / "eight_devices"


@pytest.mark.parametrize("marked", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_on_eight_devices(marked):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MLKIT_BACKEND"))}
    env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} {FLAG}"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--color=no", "-m", marked, FOLDER]
    done = subprocess.run(command, cwd=FOLDER.parents[2], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
