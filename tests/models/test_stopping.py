"""Loops that end before their data does: by flags that callbacks set, and by limits that hold for all models."""

import numpy as np
import pytest

import mlkit
from mlkit import callbacks, layers

X, Y = np.ones((8, 4), "float32"), np.zeros((8, 1), "float32")


@pytest.fixture
def model():
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def after_two_batches(flag, hook):
    """A callback that sets a flag of the model, and the numbers of the batches it has seen."""
    seen = []

    def stop(batch, logs):
        seen.append(batch)
        setattr(one.model, flag, len(seen) == 2)

    one = callbacks.LambdaCallback(**{hook: stop})
    return one, seen


def test_training_stops_within_an_epoch(model):
    one, seen = after_two_batches("stop_training", "on_train_batch_end")
    assert model.fit(X, Y, batch_size=1, epochs=3, callbacks=[one], verbose=0).epoch == [0]
    assert seen == [0, 1]


def test_evaluation_stops(model):
    one, seen = after_two_batches("stop_evaluating", "on_test_batch_end")
    model.evaluate(X, Y, batch_size=1, callbacks=[one], verbose=0)
    assert seen == [0, 1]


def test_prediction_stops(model):
    one, seen = after_two_batches("stop_predicting", "on_predict_batch_end")
    assert model.predict(X, batch_size=1, callbacks=[one], verbose=0).shape == (2, 1)
    assert seen == [0, 1]


def test_limits_of_all_models(model, request):
    request.addfinalizer(lambda: (mlkit.config.set_max_epochs(None), mlkit.config.set_max_steps_per_epoch(None)))
    mlkit.config.set_max_epochs(1)
    mlkit.config.set_max_steps_per_epoch(3)
    seen = []
    count = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    assert model.fit(X, Y, batch_size=1, epochs=4, callbacks=[count], verbose=0).epoch == [0]
    assert seen == [0, 1, 2]
    assert model.predict(X, batch_size=1, verbose=0).shape == (3, 1)


@pytest.mark.parametrize("returned, history", [(lambda: mlkit.ops.ones(()), {"loss": [1.0]}), (lambda: None, {})])
def test_steps_that_return_no_dict(returned, history):
    class Own(mlkit.Sequential):
        def train_step(self, data):
            return returned()

    own = Own([mlkit.Input((4,)), layers.Dense(1)])
    own.compile("sgd", "mse")
    assert own.fit(X, Y, verbose=0).history == history
