"""Ray Train and Spark start the processes; one is killed, and the weights are those of the undisturbed training, bit by bit."""

import functools
import importlib.util
import shutil
import sys

import numpy as np
import pytest

from mlkit import distribution
from tests.distribution.launching import ROOT
from tests.distribution.trained import trained

pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
pytestmark = [pytest.mark.slow, pytest.mark.native("processes of the native engine")]

ENGINES = [
    pytest.param("ray", marks=pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="there is no Ray")),
    pytest.param(
        "spark",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
            reason="there is no PySpark, or no Java",
        ),
    ),
]


@pytest.fixture
def engine(request, monkeypatch, tmp_path):
    """Ray or Spark on this machine, with two processes."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MLKIT_BACKEND", "native")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if request.param == "ray":
        import ray

        monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "1")
        ray.init(
            num_cpus=3,
            num_gpus=2,  # which are not there
            include_dashboard=False,
            runtime_env={"env_vars": {"PYTHONPATH": str(ROOT), "MLKIT_BACKEND": "native"}},
        )
        yield request.param
        ray.shutdown()
    else:
        from pyspark.sql import SparkSession

        monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
        session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
        yield request.param
        session.stop()


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_a_killed_process_changes_no_bit(engine, tmp_path):
    found = []
    for killed in (False, True):
        folder = tmp_path / str(killed)
        folder.mkdir()
        found.append(distribution.run(functools.partial(trained, str(folder), killed), num_workers=2, engine=engine))
        assert killed == (folder / "killed").exists()
    (size, undisturbed), (_, restarted) = found
    assert size == 2
    for a, b in zip(undisturbed, restarted):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_processes_that_get_no_gpu_say_so(engine, tmp_path):
    said = "Spark has given no GPU to task 0" if engine == "spark" else "this process computes on cpu"
    with pytest.raises(Exception, match=said):  # of the engine's own classes
        distribution.run(functools.partial(trained, str(tmp_path)), 2, engine, max_restarts=0, use_gpu=True)
