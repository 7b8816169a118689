"""Losses that layers add: they belong to the outermost call around, and are there to be asked for until the next one."""

import keras
import numpy as np
import pytest

import mlkit

X = np.ones((1, 2), "float32")


def model_of(module):
    """A model whose first and last layers add losses in training only."""

    class Adds(module.layers.Layer):
        def call(self, x, training=False):
            if training:
                self.add_loss(module.ops.sum(x))
            return x * 1.0

    return module.Sequential([module.Input((2,)), Adds(), module.layers.Dense(1, kernel_initializer="ones"), Adds()])


@pytest.mark.parametrize("module", [mlkit, keras])
def test_a_call_drops_what_earlier_ones_added(module):
    model = model_of(module)
    first = model.layers[0]
    model(X, training=True)
    assert [float(loss) for loss in model.losses] == [2.0, 2.0]
    model(X, training=False)
    assert model.losses == first.losses == []
    model(X, training=True)
    first(2 * X, training=True)  # a call of its own; what the last layer has added stays
    assert [float(loss) for loss in model.losses] == [4.0, 2.0]


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_validation_has_no_losses_of_training(run_eagerly):
    model = model_of(mlkit)
    model.compile(mlkit.optimizers.SGD(0.0), "mse", run_eagerly=run_eagerly)
    history = model.fit(X, [[2.0]], validation_data=(2 * X, [[4.0]]), verbose=0).history
    assert history["loss"] == [4.0]
    assert history["val_loss"] == [0.0]


def test_shapes_leave_losses_alone():
    model = model_of(mlkit)
    model(X, training=True)
    model.compute_output_shape((None, 2))
    assert len(model.losses) == 2


def test_a_call_that_fails_leaves_what_it_added():
    class Fails(mlkit.Layer):
        def call(self, x):
            self.add_loss(1.0)
            assert self.losses == [1.0]
            raise ValueError("no")

    layer = Fails()
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            layer(X)
        assert layer.losses == [1.0]
