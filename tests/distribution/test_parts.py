"""Data that each rank brings itself; random numbers of ranks."""

import pathlib

import pytest

from tests.distribution.launching import launch

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
pytestmark = pytest.mark.native("processes of the native engine")
HERE = pathlib.Path(__file__).parent


@pytest.mark.parametrize("script", ["own_parts.py", "drawn.py"])
def test_script(script):
    done = launch(HERE / script)
    assert done.returncode == 0, done.stderr
    assert "as it should be" in done.stdout
