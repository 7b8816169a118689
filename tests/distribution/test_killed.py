"""A process is killed; the launcher says which, starts all again, and the training ends as if nothing had been."""

import pathlib

import numpy as np
import pytest

from tests.distribution.launching import launch

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
pytestmark = [pytest.mark.slow, pytest.mark.native("processes of the native engine")]
SCRIPT = pathlib.Path(__file__).parent / "killed.py"
POINTS = [
    ("before batch 0.2", 1), ("after batch 1.0", 0), ("before batch 2.3", 1), ("epoch 1", 0), ("validation 1", 1),
    ("before a backup has its name", 0), ("after a backup has its name", 0),
]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    done = launch(SCRIPT, folder, "nowhere", 0)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / "result.npz"))


@pytest.mark.parametrize("point, rank, overlap", [*((*point, "0") for point in POINTS), ("before batch 1.2", 1, "1")])
def test_ends_in_the_same_bits(undisturbed, tmp_path, point, rank, overlap):
    done = launch("--max-restarts", 1, "--logs", tmp_path / "logs", SCRIPT, tmp_path, point, rank, MLKIT_OVERLAP=overlap)
    assert done.returncode == 0, done.stderr
    assert f"rank {rank} on" in done.stderr
    assert "was ended by SIGKILL" in done.stderr
    assert str(tmp_path / "logs" / "start-0" / f"rank-{rank}.log") in done.stderr
    require_equal(tmp_path, undisturbed)
    assert not (tmp_path / "backup").exists()


def require_equal(folder, undisturbed):
    found = dict(np.load(folder / "result.npz"))
    assert found.keys() == undisturbed.keys()
    for key, value in undisturbed.items():
        if key.startswith("weight"):
            np.testing.assert_array_equal(found[key], value, err_msg=key)
        else:  # the history of the process that ended holds the epochs since the restart
            np.testing.assert_array_equal(found[key], value[-len(found[key]) :], err_msg=key)


@pytest.mark.parametrize("overlap", ["0", "1"])  # the thread by which arrays travel may be anywhere too
def test_twenty_times_anywhere(tmp_path, overlap):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    done = launch(SCRIPT, tmp_path / "whole", "nowhere", 0, 15)
    assert done.returncode == 0, done.stderr
    done = launch(
        "--max-restarts",
        25,
        SCRIPT,
        tmp_path / "killed",
        "anywhere",
        0,
        15,
        timeout=500,
        MLKIT_COLLECTIVE_TIMEOUT="300",
        MLKIT_OVERLAP=overlap,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("was ended by SIGKILL ") == 20
    require_equal(tmp_path / "killed", dict(np.load(tmp_path / "whole" / "result.npz")))
