"""`mlkit.distribution.run` and `forecast`."""

import functools
import importlib.util

import numpy as np
import pytest

import mlkit
from mlkit import distribution, layers
from mlkit.distribution.buckets import in_buckets
from mlkit.models.forecast import ring_seconds
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


@pytest.mark.parametrize("options", [{"engine": "ray"}, {"num_workers": (2, 4)}, {"use_gpu": True}])
def test_run_says_what_is_not_there(options):
    with pytest.raises(NotImplementedError, match=next(iter(options))):
        distribution.run(functions.fails, **{"num_workers": 2, **options})


def test_run_refuses_functions_that_nobody_else_can_find():
    with pytest.raises((ValueError, AttributeError), match="cannot be found|local object|Can't"):
        distribution.run(lambda: 1, num_workers=2)


def test_initialize_alone_does_not_ask_for_others_that_nobody_started():
    with pytest.raises(RuntimeError, match="was not started together with 3 other"):
        distribution.initialize(num_processes=4, process_id=0)


def _model():
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(3, name="one"), layers.Dense(2, name="two")])
    model.compile("sgd", "mse")
    return model


def test_forecast_says_that_it_is_one():
    found = distribution.forecast(_model(), (np.ones((8, 4)), np.ones((8, 2))), workers=4, bandwidth=1e6, latency=1e-3, runs=1)
    assert str(found).startswith("FORECAST, not measured: 4 processes")
    (bucket,) = found.buckets
    assert bucket.nbytes == 4 * 23
    assert bucket.first.endswith("two/bias")
    assert bucket.last.endswith("one/kernel")
    assert bucket.exposed == pytest.approx(ring_seconds(92, 4, 1e6, 1e-3)) == pytest.approx(6 * (23e-6 + 1e-3))
    assert found.speedup == pytest.approx(4 * found.step / (found.step + bucket.exposed))
    assert distribution.forecast(_model(), (np.ones((8, 4)), np.ones((8, 2))), workers=1, runs=1).speedup == 1.0
    with pytest.raises(ValueError, match="at least 1 worker"):
        distribution.forecast(_model(), (np.ones((8, 4)), np.ones((8, 2))), workers=0)


def test_buckets_keep_the_order_and_their_limits():
    tensors = [(k, np.zeros(n, "float32")) for k, n in enumerate([1, 2, 9, 1, 1])]
    assert in_buckets(tensors, full=12, limit=40) == [[0, 1], [2], [3, 4]]
    assert in_buckets([]) == []
