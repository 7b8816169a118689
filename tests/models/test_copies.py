"""Copies and pickles of models that have run: the same weights, optimizer state and arguments, and a life of their own."""

import copy

import numpy as np
import pytest

import mlkit
from mlkit import layers
from tests.layers.check_layer import COPIES

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
    assert v.numpy().tolist() == [1, 2]
    assert other.numpy().tolist() == [2, 3]


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_what_belongs_together_is_copied_together(copied):
    """A loop of one's own has model and optimizer side by side."""
    model, optimizer = functional(), mlkit.optimizers.LossScaleOptimizer(mlkit.optimizers.Adam(), initial_scale=8.0)

    def steps(model, optimizer):
        losses = []
        for _ in range(3):
            with mlkit.GradientTape() as tape:
                loss = mlkit.ops.mean((model(X) - 1) ** 2)
                scaled = optimizer.scale_loss(loss)
            optimizer.apply(tape.gradient(scaled, model.trainable_variables), model.trainable_variables)
            losses.append(float(loss))
        return losses

    steps(model, optimizer)
    first, second = copied((optimizer, model)), copied({"model": model, "optimizer": optimizer})
    losses = steps(model, optimizer)
    assert steps(*reversed(first)) == losses
    assert steps(second["model"], second["optimizer"]) == losses
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model, optimizer, layer = copied([model, model.optimizer, model.layers[1]])
    assert model.optimizer is optimizer
    assert model.layers[1] is layer
    assert int(optimizer.iterations) == 1


def test_a_shallow_copy_shares_the_layers():
    model = sequential()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    other = copy.copy(model)
    other.fit(X, Y, verbose=0)
    assert other.layers[0] is model.layers[0]
    assert int(model.optimizer.iterations) == 2
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))


class Stepping(Subclassed):
    def __init__(self):
        super().__init__()
        self.run = mlkit.function(self.twice)

    def twice(self, x):
        return self(x) * 2


@mlkit.function
def decorated(x):
    return x * 2


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_compiled_functions(copied):
    model = Stepping()
    before = model.run(X).numpy()
    other = copied(model)
    model.dense.kernel.assign(np.zeros((3, 1)))
    np.testing.assert_array_equal(other.run(X), before)  # it reads the copy's weights
    assert copied(model.run).fn.__self__ is not model
    assert float(decorated(np.float32(2))) == 4
    assert copied(decorated) is decorated


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_in_the_middle_of_fit(copied):
    class Keeping(mlkit.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(copied(self.model))

    kept, model = [], sequential()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, epochs=2, batch_size=8, shuffle=False, verbose=0, callbacks=[Keeping()])
    kept[0].fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    for mine, other in zip(kept[0].get_weights(), model.get_weights()):
        np.testing.assert_array_equal(mine, other)
