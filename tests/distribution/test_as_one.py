"""Several processes train as one does: the cases of `cases.py`, all in one start of two processes."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from tests.distribution import cases

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Folder of what two processes have found, and one alone."""
    folder = tmp_path_factory.mktemp("cases")
    script = pathlib.Path(__file__).parent / "run_cases.py"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native"}
    for command in ([script, folder], ["-m", "mlkit", "launch", "-n", "2", script, folder]):
        done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.native("processes of the native engine")
@pytest.mark.parametrize("name", cases.CASES)
def test_two_processes_do_as_one(found, name):
    alone, first, second = (dict(np.load(found / f"{name}.{rank}.npz")) for rank in ("alone", 0, 1))
    assert "error" not in alone | first, (alone | first)["error"]
    assert alone.keys() == first.keys()
    for key, value in alone.items():
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)  # replicas are equal to the bit
        loose = not re.search(r"weight \d+$", key)  # the trainer tracks losses in float32, and some metrics compute in it
        np.testing.assert_allclose(first[key], value, rtol=2e-6 if loose else 1e-9, atol=1e-7 if loose else 1e-12, err_msg=key)
