"""What goes wrong on one rank ends all of them, with a message that names it."""

import json
import os
import pathlib
import signal
import sys
import time

import pytest

from mlkit.distribution import launch as launcher
from tests.distribution.launching import launch

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
pytestmark = pytest.mark.native("processes of the native engine")
SCRIPT = pathlib.Path(__file__).parent / "troubles.py"


@pytest.mark.parametrize(
    "what, status, words",
    [
        ("raises", 1, "ValueError: on purpose"),
        pytest.param("leaves", 7, "has ended with exit status 7", marks=pytest.mark.slow),
        pytest.param("nan", 1, "the first at index (6, 0) of the batch", marks=pytest.mark.slow),
    ],
)
def test_all_ranks_end(what, status, words):
    start = time.monotonic()
    done = launch(SCRIPT, what, timeout=60)
    assert done.returncode == status
    assert words in done.stderr
    assert time.monotonic() - start < 40


def test_who_waits_says_for_whom():
    done = launch(
        SCRIPT, "late", MLKIT_COLLECTIVE_TIMEOUT="6"
    )  # by more than that the other one may start later on a busy machine
    assert done.returncode == 124
    assert "Rank 0 on" in done.stderr
    assert "Those that did not come: rank 1 on" in done.stderr
    assert "troubles.py" in done.stderr  # the stacks


def test_a_job_ends_where_mpiexec_has_missed_that_a_rank_was_killed(tmp_path, monkeypatch):
    """Its place is taken by a process that does nothing but wait."""
    monkeypatch.setattr(launcher, "_LEAST_END", 0.1)
    report = {
        "rank": 1,
        "host": "a",
        "log": "rank-1.log",
        "pid": 7,
        "code": -9,
        "ended": 1.0,
        "step": "in train batch 2 of epoch 0",
    }
    (tmp_path / "rank-0.json").write_text(json.dumps({**report, "rank": 0, "code": None, "ended": 2.0}))
    (tmp_path / "rank-1.json").write_text(json.dumps(report))
    waits = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"]
    start = time.monotonic()
    assert launcher._run(waits, dict(os.environ), launcher.Asked(), str(tmp_path)) == -signal.SIGTERM
    assert time.monotonic() - start < 20
    assert launcher.first_failed(str(tmp_path)).rank == 1


@pytest.mark.slow
def test_all_pairs_can_talk():
    done = launch("--check")
    assert done.returncode == 0
    assert "rank 0 - rank 1:" in done.stdout
    assert "GB/s" in done.stdout


def test_no_script():
    assert "which script?" in launch().stderr
