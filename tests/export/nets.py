"""The small network that tests of formats write."""

import numpy as np

import mlkit
from mlkit import layers


def small(filters=16):
    """A convolution, its normalization with drawn statistics, and a head of three classes."""
    mlkit.utils.set_random_seed(0)
    x = mlkit.Input((8, 8, 3), name="photo")
    h = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x))
    h = layers.GlobalAveragePooling2D()(layers.ReLU()(h))
    model = mlkit.Model(x, layers.Dense(3, activation="softmax", name="answer")(h), name="small")
    for v in model.non_trainable_variables:
        v.assign(np.abs(np.random.default_rng(0).normal(size=v.shape)) + 0.5)
    return model


def photos(count, seed=0):
    """Arrays that it takes."""
    return np.random.default_rng(seed).normal(size=(count, 8, 8, 3)).astype("float32")
