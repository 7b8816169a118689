"""The number of threads: set, honoured, and what depends on it."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import ops


def test_setting():
    before = mlkit.config.num_threads()
    f = mlkit.function(lambda x, w: ops.relu(ops.conv(x, w, padding="same")))
    x, w = np.ones((2, 8, 8, 3), "float32"), np.ones((3, 3, 3, 8), "float32")
    wanted = f(x, w).numpy()
    try:
        for n in (1, 2):
            mlkit.config.set_num_threads(n)
            assert mlkit.config.num_threads() == n
            np.testing.assert_allclose(f(x, w), wanted)
            np.testing.assert_allclose(ops.conv(x, w, padding="same"), wanted)
    finally:
        mlkit.config.set_num_threads(before)


@pytest.mark.parametrize("wrong", [0, -1, 1.0, "2", True])
def test_wrong_numbers(wrong):
    with pytest.raises(ValueError, match="positive int"):
        mlkit.config.set_num_threads(wrong)


def test_environment():
    code = "import mlkit; print(mlkit.config.num_threads())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ, OMP_NUM_THREADS="3"), capture_output=True, text=True
    )
    assert done.stdout.strip() == "3", done.stderr


def test_same_seed_same_bits():
    def weights():
        mlkit.utils.set_random_seed(0)
        net = mlkit.Sequential(
            [
                mlkit.Input((8, 8, 3)),
                mlkit.layers.Conv2D(8, 3, activation="relu"),
                mlkit.layers.BatchNormalization(),
                mlkit.layers.Dropout(0.3),
                mlkit.layers.Flatten(),
                mlkit.layers.Dense(4, activation="softmax"),
            ]
        )
        net.compile("adam", "sparse_categorical_crossentropy")
        rng = np.random.default_rng(0)
        net.fit(rng.random((128, 8, 8, 3), "float32"), rng.integers(0, 4, 128), batch_size=16, epochs=5, verbose=0)
        return [w.numpy().copy() for w in net.weights]

    for a, b in zip(weights(), weights()):
        np.testing.assert_array_equal(a, b)
