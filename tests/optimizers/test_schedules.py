"""Learning rate schedules against Keras, step by step, at once and traced."""

import numpy as np
import pytest

from mlkit.core.function import function
from mlkit.optimizers import schedules
from tests.optimizers.against_keras import keras

STEPS = [0, 1, 2, 3, 4, 5, 7, 9, 10, 11, 14, 15, 19, 20, 21, 30, 31, 69, 70, 150, 1000]

SCHEDULES = [
    ("ExponentialDecay", (0.1, 10, 0.9), {}),
    ("ExponentialDecay", (0.1, 10, 0.9), {"staircase": True, "name": "stairs"}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}),
    ("PiecewiseConstantDecay", ([10], [0.5, 0.1]), {}),
    ("PiecewiseConstantDecay", ([3, 10, 15], [0.5, 0.1, 0.05, 0.01]), {}),
    ("PolynomialDecay", (0.1, 10), {}),
    ("PolynomialDecay", (0.1, 10), {"end_learning_rate": 0.02, "power": 0.5}),
    ("PolynomialDecay", (0.1, 10), {"power": 2.0, "cycle": True}),
    ("CosineDecay", (0.1, 10), {}),
    ("CosineDecay", (0.1, 10), {"alpha": 0.2}),
    ("CosineDecay", (0.01, 10), {"alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 5}),
    ("CosineDecay", (0.01, 10), {"warmup_target": 0.2}),
    ("CosineDecayRestarts", (0.1, 10), {}),
    ("CosineDecayRestarts", (0.1, 10), {"t_mul": 1.0, "m_mul": 0.5, "alpha": 0.1}),
    ("CosineDecayRestarts", (0.1, 10), {"t_mul": 3.0, "m_mul": 0.9}),
]


@pytest.mark.parametrize("cls, args, options", SCHEDULES)
def test_values_and_config(cls, args, options):
    ours, theirs = (getattr(module, cls)(*args, **options) for module in (schedules, keras.optimizers.schedules))
    traced = function(lambda step: ours(step))
    for step in STEPS:
        expected = float(theirs(step))
        assert float(ours(step)) == pytest.approx(expected, rel=1e-4, abs=1e-7), step
        assert float(traced(np.int32(step))) == pytest.approx(expected, rel=1e-4, abs=1e-7), step
    assert ours.get_config() == theirs.get_config()
    again = schedules.deserialize(schedules.serialize(ours))
    assert type(again) is type(ours)
    assert again.get_config() == ours.get_config()
    assert keras.optimizers.schedules.deserialize(schedules.serialize(ours)).get_config() == ours.get_config()


def test_whole_numbers_as_rates():
    """As in Keras's own example: the warmup starts at 0."""
    schedule = schedules.CosineDecay(0, 1000, warmup_target=0.1, warmup_steps=1000)
    assert float(schedule(500)) == pytest.approx(0.05)


def test_short_form():
    schedule = schedules.deserialize(
        {"class_name": "PolynomialDecay", "config": {"initial_learning_rate": 0.5, "decay_steps": 2}}
    )
    assert float(schedule(0)) == 0.5


@pytest.mark.parametrize("cls", ["ExponentialDecay", "InverseTimeDecay"])
def test_bad_arguments(cls):
    with pytest.raises(ValueError, match=f"{cls}: `decay_steps` must be positive, but got 0"):
        getattr(schedules, cls)(0.1, 0, 0.5)
    with pytest.raises(ValueError, match="one value more than boundaries"):
        schedules.PiecewiseConstantDecay([1], [0.1])
    with pytest.raises(NotImplementedError, match="must define __call__"):
        schedules.LearningRateSchedule()(0)
    with pytest.raises(ValueError, match="'NoDecay'"):
        schedules.deserialize({"class_name": "NoDecay", "config": {}})
