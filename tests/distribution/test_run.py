"""`mlkit.distribution.run`, and buckets."""

import functools
import importlib.util

import numpy as np
import pytest

from mlkit import distribution
from mlkit.distribution.buckets import in_buckets
from tests.distribution import functions

needs_mpi = pytest.mark.skipif(importlib.util.find_spec("mpi4py") is None, reason="processes exchange arrays by mpi4py")
pytestmark = pytest.mark.native("processes of the native engine")


@pytest.fixture
def native(monkeypatch):
    monkeypatch.setenv("MLKIT_BACKEND", "native")


@needs_mpi
def test_run_returns_what_rank_0_returns(native):
    assert distribution.run(functools.partial(functions.sum_of_ranks, factor=2), num_workers=2) == 6.0


@needs_mpi
@pytest.mark.slow
def test_run_starts_again_after_a_kill_and_not_after_an_error(native, capfd):
    assert distribution.run(functions.killed_once, num_workers=2, max_restarts=1) == "1"
    with pytest.raises(RuntimeError, match="failed with exit status 1"):
        distribution.run(functions.fails, num_workers=2)
    assert "ValueError: on purpose" in capfd.readouterr().err


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_jobs_of_clusters_do_not_change_their_size(engine):
    with pytest.raises(NotImplementedError, match="num_workers"):
        distribution.run(functions.fails, num_workers=(2, 4), engine=engine)


def test_run_says_how_many_gpus_are_missing():
    with pytest.raises(ValueError, match=r"2 process\(es\) need a GPU each, but there are 0. No GPU can be used"):
        distribution.run(functions.fails, num_workers=2, use_gpu=True)


def test_run_knows_its_engines():
    with pytest.raises(ValueError, match="must be one of local, ray, spark, but is 'dask'"):
        distribution.run(functions.fails, num_workers=2, engine="dask")


def test_run_refuses_functions_that_nobody_else_can_find():
    with pytest.raises((ValueError, AttributeError), match="cannot be found|local object|Can't"):
        distribution.run(lambda: 1, num_workers=2)


def test_initialize_alone_does_not_ask_for_others_that_nobody_started():
    with pytest.raises(RuntimeError, match="was not started together with 3 other"):
        distribution.initialize(num_processes=4, process_id=0)


def test_buckets_keep_the_order_and_their_limits():
    tensors = [(k, np.zeros(n, "float32")) for k, n in enumerate([1, 2, 9, 1, 1])]
    assert in_buckets(tensors, full=12, limit=40) == [[0, 1], [2], [3, 4]]
    assert in_buckets([]) == []
