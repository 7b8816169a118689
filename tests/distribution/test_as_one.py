"""Several processes train as one does: the cases of `cases.py`, many in one start."""

import functools
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
ALWAYS = ["functional", "custom_train_step", "fewer_samples_than_processes", "evaluated_and_predicted", "stopped_early"]
SLOW = [name for name in cases.CASES if name not in ALWAYS]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """A function: (number of processes, names of cases) -> folder of what they have found."""

    @functools.cache
    def run(size, names):
        folder = tmp_path_factory.mktemp("cases")
        script = pathlib.Path(__file__).parent / "run_cases.py"
        env = {**os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native"}
        start = ["-m", "mlkit", "launch", "-n", str(size)] if size > 1 else []
        command = [sys.executable, *start, script, folder, *names]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return folder

    return run


def marked(size, name):
    return pytest.param(size, name, marks=[] if size == 2 and name in ALWAYS else pytest.mark.slow)


@pytest.mark.native("processes of the native engine")
@pytest.mark.parametrize("size, name", [marked(size, name) for size in (2, 4) for name in (*ALWAYS, *SLOW)])
def test_processes_do_as_one(outcome, size, name):
    names = tuple(ALWAYS if name in ALWAYS else SLOW)
    alone = dict(np.load(outcome(1, names) / f"{name}.alone.npz"))
    ranks = [dict(np.load(outcome(size, names) / f"{name}.{rank}.npz")) for rank in range(size)]
    assert "error" not in alone | ranks[0], (alone | ranks[0])["error"]
    for key, value in alone.items():
        for other in ranks[1:]:
            np.testing.assert_array_equal(ranks[0][key], other[key], err_msg=key)  # replicas are equal to the bit
        if name == "mixed_precision":
            tolerance = dict(rtol=0.02, atol=0.02)  # bfloat16 rounds the gradients of each rank
        elif re.search(r"weight \d+$", key):
            tolerance = dict(rtol=1e-9, atol=1e-12)
        else:
            tolerance = dict(rtol=2e-6, atol=1e-7)  # the trainer tracks losses in float32, and some metrics compute in it
        np.testing.assert_allclose(ranks[0][key], value, err_msg=key, **tolerance)
    assert alone.keys() == ranks[0].keys()
