"""Class weights follow the labels, which the loss knows how to read."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

WEIGHTS = {0: 1.0, 1: 10.0, 2: 0.5}
LABELS = np.array([[0, 1], [2, 1]])


@pytest.mark.parametrize("labels", [LABELS, LABELS[..., None]], ids=["steps", "steps, 1"])
def test_labels_of_each_step_of_a_sparse_loss(labels):
    model = mlkit.Sequential([layers.Input((2, 3)), layers.Dense(3, activation="softmax")])
    model.compile(mlkit.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    x, wanted = np.zeros((2, 2, 3), "float32"), np.log(3) * (1 + 10 + 0.5 + 10) / 4
    assert model.fit(x, labels, class_weight=WEIGHTS, verbose=0).history["loss"][0] == pytest.approx(wanted, rel=1e-4)
    assert model.train_on_batch(x, labels, class_weight=WEIGHTS) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    "loss, labels",
    [("categorical_crossentropy", np.eye(3)[[0, 1, 2, 1]]), ("sparse_categorical_crossentropy", LABELS.ravel())],
)
def test_one_label_a_sample(loss, labels):
    model = mlkit.Sequential([layers.Input((3,)), layers.Dense(3, activation="softmax")])
    model.compile(mlkit.optimizers.SGD(0.0), loss)
    found = model.fit(np.zeros((4, 3), "float32"), labels, class_weight=WEIGHTS, verbose=0).history["loss"][0]
    assert found == pytest.approx(np.log(3) * (1 + 10 + 0.5 + 10) / 4, rel=1e-4)
