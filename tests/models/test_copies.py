"""Copies and pickles of models that have run: the same weights, optimizer state and arguments, and a life of their own."""

import copy
import pickle

import numpy as np
import pytest

import mlkit
from mlkit import layers

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = np.zeros((16, 1), "float32")


class Subclassed(mlkit.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def sequential():
    parts = [layers.Dense(4, activation="relu"), layers.Dropout(0.3), layers.BatchNormalization(), layers.Dense(1)]
    return mlkit.Sequential([mlkit.Input((3,)), *parts])


def functional():
    inputs, shared = mlkit.Input((3,)), layers.Dense(3)
    return mlkit.Model(inputs, layers.Dense(1)(layers.add([shared(inputs), shared(shared(inputs))])))


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


@pytest.mark.parametrize("make", [sequential, functional, Subclassed])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("optimizer", ["adam", "loss scale"])
def test_training_goes_on_in_a_copy_as_in_the_model(make, copied, optimizer):
    mlkit.utils.set_random_seed(1)
    model = make()
    chosen = (
        mlkit.optimizers.LossScaleOptimizer(mlkit.optimizers.Adam(), initial_scale=8.0)
        if optimizer == "loss scale"
        else optimizer
    )
    model.compile(chosen, "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    predictions = model.predict(X, verbose=0)
    other = copied(model)
    assert int(other.optimizer.iterations) == 1
    trained = model.fit(X, Y, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_array_equal(other.predict(X, verbose=0), predictions)  # it shares no weights
    assert other.fit(X, Y, epochs=2, shuffle=False, verbose=0).history == trained


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_variable_keeps_its_attributes(copied):
    v = mlkit.Variable([1.0, 2.0], trainable=False, autocast=False, aggregation="sum", synchronization="on_read", name="v")
    v.overwrite_with_gradient = True
    other = copied(v)
    for name in ("trainable", "autocast", "aggregation", "synchronization", "name", "path", "overwrite_with_gradient", "dtype"):
        assert getattr(other, name) == getattr(v, name)
    other.assign_add([1.0, 1.0])
    assert v.numpy().tolist() == [1, 2] and other.numpy().tolist() == [2, 3]
