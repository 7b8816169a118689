"""Jobs whose processes others start: leave-taking, deaths that mpiexec misses, and GPUs that Spark gives, with a double of its tasks."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from mlkit.distribution import courier, gpus, launch, manual
from tests.distribution.launching import ROOT

pytestmark = pytest.mark.native("processes of the native engine")
WAITS = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def folder():
    made = manual.new_folder()
    yield made
    manual.remove(made)


def bring(folder, rank):
    """A courier, as the proxy starts it."""
    command = manual.courier_command(folder)
    return subprocess.Popen(command, env={"PMI_RANK": str(rank), "PMI_SIZE": "2"})


@pytest.fixture
def seat(folder, monkeypatch):
    """(the place of rank 0, its courier, what MPI was asked for)"""
    asked = []
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", types.SimpleNamespace(Finalize=lambda: asked.append("Finalize")))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(manual, "_BROKEN", 0.2)
    mine = bring(folder, 0)
    place = manual.Seat(folder, 0)
    assert os.environ["PMI_SIZE"] == "2"
    yield place, mine, asked
    mine.kill()
    mine.wait()


def test_who_takes_leave_ends_mpi_first(seat, folder):
    place, mine, asked = seat
    place.leave()
    assert mine.wait(10) == 0
    assert asked == ["Finalize"]
    assert not courier.has_lost(folder)


def test_nobody_waits_for_one_that_has_died(seat, folder):
    place, mine, asked = seat
    other = bring(folder, 1)
    manual.Seat(folder, 1)._socket.close()  # as the system closes it when a process is killed
    assert other.wait(10) == 1
    assert courier.has_lost(folder)
    place.leave()
    assert asked == []
    assert mine.wait(10) == 1  # so that mpiexec, which has missed the other, hears of this one


def test_leave_taking_has_an_end(seat, monkeypatch):
    place, mine, _ = seat
    monkeypatch.setattr(sys.modules["mpi4py.MPI"], "Finalize", lambda: time.sleep(60))
    monkeypatch.setattr(manual, "_FAREWELL", 0.1)
    start = time.monotonic()
    place.leave()
    assert time.monotonic() - start < 10
    assert mine.wait(10) == 0


def test_a_death_that_mpiexec_misses_ends_it_and_its_proxies(folder, monkeypatch, capfd):
    monkeypatch.setattr(launch, "_LEAST_END", 0.1)
    job = manual.Job.__new__(manual.Job)  # without an mpiexec
    says = [sys.executable, "-S", "-E", "-u", "-c", "import time; print('from rank 0'); time.sleep(60)"]
    job.process = subprocess.Popen(says, stdout=subprocess.PIPE)
    proxy = subprocess.Popen(WAITS)
    with pytest.raises(subprocess.TimeoutExpired):  # while all is well it waits
        job.process.wait(1)
    report = {"rank": 1, "host": "a", "log": "rank-1.log", "pid": 7, "code": -9, "ended": 1.0}
    with open(os.path.join(folder, "rank-1.json"), "w") as file:
        json.dump(report, file)
    start = time.monotonic()
    assert job.wait(folder) == -signal.SIGTERM
    assert launch.waited(proxy, folder) == -signal.SIGTERM
    assert time.monotonic() - start < 20
    assert "from rank 0" in capfd.readouterr().out


class Task:
    """A double of pyspark's BarrierTaskContext; those of one stage share a barrier."""

    def __init__(self, number, stage, gpu):
        self._number, self._stage, self._gpu = number, stage, gpu

    def partitionId(self):
        return self._number

    def getTaskInfos(self):
        return [types.SimpleNamespace(address="127.0.0.1:7077")] * self._stage.barrier.parties

    def allGather(self, message):
        self._stage.said[self._number] = message
        self._stage.barrier.wait(60)
        every = list(self._stage.said)
        self._stage.barrier.wait(60)
        return every

    def resources(self):
        return {} if self._gpu is None else {"gpu": types.SimpleNamespace(addresses=[self._gpu])}


@pytest.fixture
def spark(monkeypatch):
    """`spark_engine` on a double of pyspark, of which it takes names alone."""
    names = {"BarrierTaskContext": Task, "cloudpickle": pickle}
    monkeypatch.setitem(sys.modules, "pyspark", types.SimpleNamespace(**names))
    monkeypatch.setitem(sys.modules, "pyspark.sql", types.SimpleNamespace(SparkSession=None))
    monkeypatch.delitem(sys.modules, "mlkit.distribution.spark_engine", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MLKIT_BACKEND", "native")
    from mlkit.distribution import spark_engine

    yield spark_engine
    sys.modules.pop("mlkit.distribution.spark_engine", None)


def run_stage(spark, command, given, use_gpu):
    """What two tasks return, or raise."""
    stage = types.SimpleNamespace(barrier=threading.Barrier(2), said=[None, None])
    found = [None, None]

    def run(number):
        try:
            found[number] = spark._task(Task(number, stage, given[number]), command, None, 0, use_gpu)
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return found


@pytest.mark.parametrize(
    "use_gpu, seen",
    [(True, ["0 3,5 None", "1 3,5 None"]), pytest.param(False, ["0 7 cpu", "1 7 cpu"], marks=pytest.mark.slow)],
)
def test_ranks_see_the_gpus_that_spark_has_given_to_the_tasks_of_their_host(spark, tmp_path, monkeypatch, use_gpu, seen):
    pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")  # of the driver
    monkeypatch.delenv("MLKIT_DEVICE", raising=False)
    script = str(ROOT / "tests" / "distribution" / "visible.py")
    if use_gpu:  # there is none: a word in place of that which asks for one
        monkeypatch.setattr(gpus, "FLAG", "--module")
        script = "tests.distribution.visible"
    assert run_stage(spark, [script, str(tmp_path)], ["3", "5"], use_gpu) == [[], []]
    assert [(tmp_path / f"rank-{r}.seen").read_text() for r in (0, 1)] == seen


def test_tasks_without_a_gpu_are_named_before_anything_starts(spark):
    for error in run_stage(spark, ["script.py"], ["3", None], True):
        assert isinstance(error, ValueError)
        assert "Spark has given no GPU to task 1 on 127.0.0.1" in str(error)


@pytest.mark.slow
def test_a_process_that_is_to_compute_on_a_gpu_says_why_it_does_not(spark):
    pytest.importorskip("mpi4py", reason="processes exchange arrays by mpi4py")
    errors = run_stage(spark, ["script.py"], ["3", "5"], True)
    assert all("`use_gpu=True`, but this process computes on cpu" in str(error) for error in errors)
    with pytest.raises(ValueError, match="2 process.* need a GPU each, but there are 0"):
        spark.SparkDistributor(2, local_mode=True, use_gpu=True)
