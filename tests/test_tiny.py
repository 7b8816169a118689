"""The library in ten seconds: one test of each storey, for the moment before a commit."""

import numpy as np

import mlkit
from mlkit import layers, ops


def test_gradient_of_a_gradient():
    assert float(mlkit.grad(mlkit.grad(lambda x: x**3))(ops.convert_to_tensor(2.0))) == 12.0


def test_compiled_function_with_state():
    v = mlkit.Variable(1.0)

    @mlkit.function
    def double():
        v.assign(v * 2.0)
        return v + 0.0

    assert [float(double()) for _ in range(3)] == [2.0, 4.0, 8.0]


def test_digits_are_learned_saved_and_loaded(tmp_path):
    mlkit.utils.set_random_seed(0)
    (x, y), _ = mlkit.datasets.digits.load_data()
    x, y = x[::8, ..., None] / np.float32(255), y[::8]
    model = mlkit.Sequential(
        [
            mlkit.Input((28, 28, 1)),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(mlkit.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    accuracy = model.fit(x, y, epochs=4, verbose=0).history["accuracy"]
    assert accuracy[-1] > 0.85 > accuracy[0]
    model.save(tmp_path / "digits.keras")
    again = mlkit.models.load_model(tmp_path / "digits.keras")
    np.testing.assert_array_equal(model.predict(x[:20], verbose=0), again.predict(x[:20], verbose=0))


def test_shapes_are_inferred_with_unknown_sizes():
    x = mlkit.Input((None, 8))
    y = layers.MultiHeadAttention(2, 4)(x, x)
    assert layers.LSTM(3)(y).shape == (None, 3)
