"""`forecast`: what it says. Whether it comes true, `benchmarks/distributed.py --only forecast` measures."""

import numpy as np
import pytest

import mlkit
from mlkit import distribution, layers
from mlkit.models.forecast import ring_seconds

pytestmark = pytest.mark.native("the engine's own profile")
BATCH = np.ones((8, 4)), np.ones((8, 2))


def _model():
    model = mlkit.Sequential(
        [mlkit.Input((4,)), layers.Dense(3, name="one"), layers.BatchNormalization(), layers.Dense(2, name="two")]
    )
    model.compile("sgd", "mse")
    return model


def test_forecast_says_that_it_is_one():
    found = distribution.forecast(_model(), BATCH, workers=4, bandwidth=1e6, latency=1e-3, overlap=False, runs=1)
    assert str(found).startswith("FORECAST, not measured: 4 processes")
    bucket, averages, metrics = found.buckets
    assert bucket.nbytes == 4 * 29
    assert averages.nbytes == 4 * 6
    assert (metrics.first, metrics.last, metrics.nbytes) == ("loss/total", "loss/count", 8)
    assert bucket.first.endswith("two/bias")
    assert bucket.last.endswith("one/kernel")
    assert bucket.exposed == pytest.approx(ring_seconds(116, 4, 1e6, 1e-3)) == pytest.approx(6 * (29e-6 + 1e-3))
    assert metrics.exposed == pytest.approx(6 * (2e-6 + 1e-3))
    waiting = bucket.exposed + averages.exposed + metrics.exposed
    assert found.speedup == pytest.approx(4 * found.step / (found.step + waiting))
    assert distribution.forecast(_model(), BATCH, workers=1, runs=1).speedup == 1.0


def test_a_step_that_was_measured_elsewhere_is_said_to_be_given():
    found = distribution.forecast(_model(), BATCH, workers=64, runs=1, step=2.0)
    assert found.step == 2.0
    assert "step of one process, given: 2000.00 ms" in str(found)
    assert 0 < found.buckets[0].ready <= 2.0


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"bandwidth": 0}, {"latency": -1}, {"step": 0.0}])
def test_numbers_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="at least 1 worker"):
        distribution.forecast(_model(), BATCH, **wrong)
