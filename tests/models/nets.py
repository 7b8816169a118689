"""Five small nets, written once against the Keras API: `k` is keras or mlkit."""

import numpy as np


def mlp(k):
    L = k.layers
    return k.Sequential(
        [k.Input((12,)), L.Dense(16, activation="relu"), L.Dense(8, activation="tanh"), L.Dense(4, activation="softmax")]
    )


def convnet(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((10, 10, 2)),
            L.Conv2D(6, 3, activation="relu"),
            L.MaxPooling2D(),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.Flatten(),
            L.Dense(4, activation="softmax"),
        ]
    )


def batchnorm_residual(k):
    L = k.layers
    i = k.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(i)))
    y = L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(x))
    x = L.ReLU()(L.Add()([x, y]))
    return k.Model(i, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def lstm(k):
    L = k.layers
    return k.Sequential([k.Input((6,), dtype="int32"), L.Embedding(11, 5), L.LSTM(7), L.Dense(4, activation="softmax")])


def attention(k):
    L = k.layers
    i = k.Input((6,), dtype="int32")
    x = L.Embedding(11, 8)(i)
    h = L.LayerNormalization()(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 4)(h, h)])
    x = L.Add()([x, L.Dense(8)(L.Dense(16, activation="gelu")(L.LayerNormalization()(x)))])
    return k.Model(i, L.Dense(4, activation="softmax")(L.GlobalAveragePooling1D()(x)))


NETS = dict(mlp=mlp, convnet=convnet, batchnorm_residual=batchnorm_residual, lstm=lstm, attention=attention)


def data(model, samples=24):
    """Inputs that fit the model, and labels of 4 classes."""
    rng = np.random.default_rng(0)
    shape = (samples, *model.inputs[0].shape[1:])
    if model.inputs[0].dtype == "int32":
        return rng.integers(0, 11, shape).astype("int32"), rng.integers(0, 4, samples)
    return rng.normal(size=shape).astype("float32"), rng.integers(0, 4, samples)
