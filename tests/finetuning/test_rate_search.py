"""The learning rate finder leaves no trace, and finds rates that train."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, lr_find, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 5)).astype("float32")
Y = X @ np.array([[1.0], [-2.0], [0.5], [0.0], [3.0]], "float32")


def net(optimizer="sgd"):
    mlkit.utils.set_random_seed(2)
    model = mlkit.Sequential([mlkit.Input((5,)), layers.BatchNormalization(), layers.Dropout(0.1), layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def state(model):
    return [np.array(v.numpy()) for v in model.variables + model.optimizer.variables]


@pytest.mark.parametrize("rate", ["number", "schedule"])
def test_everything_is_put_back(rate):
    model = net(optimizers.Adam(0.01 if rate == "number" else optimizers.schedules.one_cycle(0.1, 10)))
    model.fit(X, Y, verbose=0)
    before, order = state(model), [v.path for v in model.optimizer.variables]
    own = model.optimizer._learning_rate
    search = lr_find(model, X, Y, batch_size=16, steps=20)
    assert len(search.rates) > 5
    assert search.rates[0] == pytest.approx(1e-6)
    assert all(map(np.array_equal, before, state(model)))
    assert order == [v.path for v in model.optimizer.variables]
    assert model.optimizer._learning_rate is own
    model.fit(X, Y, verbose=0)


def test_the_suggestion_trains_and_the_search_stops_when_the_loss_explodes():
    model = net()
    search = lr_find(model, X, Y, batch_size=16, highest=1e4, steps=100)
    assert len(search.rates) < 100
    assert 1e-3 < search.suggestion < 1
    model.optimizer.learning_rate = search.suggestion
    losses = model.fit(X, Y, epochs=5, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_the_model_need_not_have_been_built_and_the_global_order_stays():
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([layers.Dense(1)])
    model.compile("adam", "mse")
    drawn = np.random.RandomState(5).rand()
    np.random.seed(5)
    lr_find(model, X, Y, steps=5)
    assert np.random.rand() == drawn
    assert int(model.optimizer.iterations.numpy()) == 0


def test_messages():
    with pytest.raises(ValueError, match="not compiled"):
        lr_find(mlkit.Sequential([layers.Dense(1)]), X, Y)
    with pytest.raises(ValueError, match="lowest < highest"):
        lr_find(net(), X, Y, lowest=1.0, highest=0.1)
    with pytest.raises(ValueError, match="ran out after 1 passes"):
        lr_find(net(), ((X, Y) for _ in range(2)), steps=10)
    with pytest.raises(ValueError, match="MultiOptimizer"):
        lr_find(net(optimizers.MultiOptimizer(lambda v: optimizers.SGD())), X, Y)
