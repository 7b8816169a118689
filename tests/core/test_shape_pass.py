"""Runs on shapes leave no trace: they change no variable."""

import numpy as np

import mlkit
from mlkit import layers


class Counter(layers.Layer):
    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, x):
        self.count.assign(self.count + 1.0)
        self.add_loss(self.count * 0.0)
        return x


def test_building_and_asking_for_shapes_counts_nothing():
    counter, inputs = Counter(), mlkit.Input((3,))
    model = mlkit.Model(inputs, layers.Dense(2)(counter(inputs)))
    counter.compute_output_shape((None, 7))
    assert float(counter.count) == 0
    assert not counter.losses
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((8, 3), "float32"), np.ones((8, 2), "float32"))
    assert float(counter.count) == 1
    model.evaluate(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)
    assert float(counter.count) == 2


def test_a_run_on_shapes_draws_no_random_numbers():
    dropout, norm = layers.Dropout(0.5, seed=3), layers.BatchNormalization()
    norm.build((None, 3))
    before = [v.numpy() for layer in (dropout, norm) for v in layer.variables]
    inputs = mlkit.Input((3,))
    norm(dropout(inputs, training=True), training=True)
    for old, v in zip(before, [v for layer in (dropout, norm) for v in layer.variables]):
        np.testing.assert_array_equal(v.numpy(), old)


def test_what_build_assigns_during_a_run_on_shapes_lasts():
    class Table(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(shape[-1],), initializer="zeros")
            self.table.assign(np.full(shape[-1], 7.0, "float32"))

        def call(self, x):
            return x * self.table

    table = Table()
    table(mlkit.Input((3,)))
    np.testing.assert_array_equal(table.table.numpy(), [7.0] * 3)
