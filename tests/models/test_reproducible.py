"""The same seed and the same number of threads give the same weights, bit by bit."""

import numpy as np
import pytest

import mlkit
from mlkit import layers


def images():
    model = mlkit.Sequential(
        [
            mlkit.Input((16, 16, 3)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.MaxPooling2D(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(64, activation="gelu"),
            layers.Dense(5, activation="softmax"),
        ]
    )
    return model, np.random.default_rng(0).random((64, 16, 16, 3), "float32")


def sequences():
    inputs = mlkit.Input((12,), dtype="int32")
    x = layers.Embedding(50, 16)(inputs)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8, dropout=0.1)(x, x)])
    x = layers.GRU(16, return_sequences=True)(layers.LayerNormalization()(x))
    outputs = layers.Dense(5, activation="softmax")(layers.LSTM(16)(x))
    return mlkit.Model(inputs, outputs), np.random.default_rng(0).integers(0, 50, (64, 12))


@pytest.mark.parametrize("net", [images, sequences])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_hundred_steps_twice(net, policy):
    def trained():
        mlkit.utils.set_random_seed(3)
        model, x = net()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, np.arange(len(x)) % 5, batch_size=32, epochs=50, verbose=0)
        return [w.numpy() for w in model.weights]

    before = mlkit.config.dtype_policy()
    mlkit.config.set_dtype_policy(policy)
    try:
        first, second = trained(), trained()
    finally:
        mlkit.config.set_dtype_policy(before)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 0 for a, b in zip(first, _untrained(net)))


def _untrained(net):
    mlkit.utils.set_random_seed(3)
    return [w.numpy() for w in net()[0].weights]
