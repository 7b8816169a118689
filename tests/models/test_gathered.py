"""Results of batches in one array: as many rows as there are, whatever was foretold, and no second copy."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.models.gathered import Gathered


def parts(*sizes):
    counts = np.cumsum((0, *sizes))
    return [np.arange(a, b, dtype="float32")[:, None] * np.ones(3, "float32") for a, b in pairwise(counts)]


@pytest.mark.parametrize("foretold", [None, 1, 2, 4, 100])
@pytest.mark.parametrize("sizes", [(4, 4, 4, 1), (1, 7, 2, 30), (5,), (0, 3), (3, 0)])
def test_as_if_joined_in_the_end(foretold, sizes):
    gathered = Gathered(foretold)
    for part in parts(*sizes):
        gathered.add({"a": part, "b": (part[:, 0],)})
    found = gathered.result()
    expected = np.concatenate(parts(*sizes))
    assert np.array_equal(found["a"], expected)
    assert np.array_equal(found["b"][0], expected[:, 0])
    assert found["a"].flags.owndata
    assert found["a"].flags.writeable


def test_of_nothing_there_is_nothing():
    assert Gathered(3).result() is None


def test_what_does_not_fit_together():
    gathered = Gathered(2)
    gathered.add(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"one is of shape \(2, 4\) and those before it of \('batch', 3\)"):
        gathered.add(np.zeros((2, 4)))
    gathered = Gathered(2)
    gathered.add(np.float32(1))
    with pytest.raises(ValueError, match="without axes"):
        gathered.add(np.float32(2))


def test_numbers_are_promoted_as_joining_does():
    gathered = Gathered(2)
    gathered.add(np.array([1, 2], "int32"))
    gathered.add(np.array([0.5], "float64"))
    assert gathered.result().tolist() == [1, 2, 0.5]


def test_predict_holds_its_result_once():
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(4), layers.RepeatVector(5000)])
    x = np.random.default_rng(0).random((256, 4), dtype="float32")
    model.predict(x[:32], verbose=0)
    tracemalloc.start()
    try:
        found = model.predict(x, verbose=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.shape == (256, 5000, 4)
    assert peak < 1.5 * found.nbytes
