"""Jobs that lose processes and get them back, and jobs that are asked to end."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mlkit.distribution.launch import launch as launch_here
from tests.distribution.launching import ROOT, launch

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
pytestmark = pytest.mark.native("processes of the native engine")
SCRIPT = pathlib.Path(__file__).parent / "elastic.py"


def losses(folder):
    """(epoch, batch) -> loss, and the numbers of processes in the order in which they trained."""
    rows = [line.split() for line in (folder / "losses").read_text().splitlines()]
    sizes = [int(row[3]) for row in rows]
    return {tuple(map(int, row[:2])): float(row[2].removeprefix("np.float64(").rstrip(")")) for row in rows}, sizes


@pytest.mark.slow
def test_three_two_three(tmp_path):
    (tmp_path / "alone").mkdir()
    (tmp_path / "elastic").mkdir()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native"}
    subprocess.run([sys.executable, SCRIPT, tmp_path / "alone"], env=env, check=True, timeout=100)
    done = launch("--max-restarts", 1, "--min-workers", 2, SCRIPT, tmp_path / "elastic", workers=3, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "was ended by SIGKILL in train batch 2 of epoch 1. Its log:" in done.stderr
    assert "starting 2 again (1 of at most 1 times)" in done.stderr
    assert "going on with 3 processes instead of 2" in done.stderr
    wanted, _ = losses(tmp_path / "alone")
    found, sizes = losses(tmp_path / "elastic")
    assert list(dict.fromkeys(sizes)) == [3, 2]
    assert sizes[-1] == 3
    assert found.keys() == wanted.keys()
    for step, loss in wanted.items():
        np.testing.assert_allclose(found[step], loss, rtol=1e-9, err_msg=str(step))


@pytest.mark.slow
def test_a_job_that_is_asked_to_end_saves_first(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(
        "import sys, numpy as np, mlkit\n"
        "model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "backup = mlkit.callbacks.BackupAndRestore(sys.argv[1], save_freq='epoch')\n"
        "said = mlkit.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: open(sys.argv[1] + '.began', 'w').close())\n"
        "model.fit(np.ones((64, 2)), np.ones((64, 1)), batch_size=2, epochs=10**6, verbose=0, callbacks=[backup, said], check=False)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native"}
    command = [sys.executable, "-m", "mlkit", "launch", "-n", "2", "--max-restarts", "3", script, tmp_path / "backup"]
    launcher = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 200
    while not (tmp_path / "backup.began").exists():
        assert time.monotonic() < end, "it never began"
        time.sleep(0.1)
    launcher.send_signal(signal.SIGTERM)
    said, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 85
    assert "It is saved in" in said
    assert list((tmp_path / "backup").glob("backup_*.npz"))


def test_numbers_of_workers_that_do_not_fit():
    with pytest.raises(ValueError, match="`min_workers` must be from 1 to the number of workers, on one host, but is 3 of 2"):
        launch_here(["script.py"], 2, min_workers=3)
