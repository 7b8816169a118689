"""Scripts that several processes run: draws, numbers that are not finite, gradients on their way, data that each rank brings itself."""

import pathlib

import pytest

from tests.distribution.launching import launch

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
pytestmark = pytest.mark.native("processes of the native engine")
HERE = pathlib.Path(__file__).parent


def test_scripts():
    scripts = [HERE / name for name in ("drawn.py", "disagreeing.py", "nonfinite.py", "overlapping.py", "own_parts.py")]
    done = launch(HERE / "scripts.py", *scripts)
    assert done.returncode == 0, done.stderr
    for script in scripts:
        assert f"done: {script}" in done.stdout
