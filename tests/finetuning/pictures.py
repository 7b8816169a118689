"""Small pictures that a small network can learn to tell apart."""

import numpy as np
from PIL import Image

import mlkit
from mlkit import layers


def pictures(count, seed=0, size=16):
    """Noise with a bright upper half (class 1) or lower half (class 0): uint8 (count, size, size, 3), int (count,)."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 120, (count, size, size, 3))
    y = np.arange(count) % 2
    x[y == 1, : size // 2] += 90
    x[y == 0, size // 2 :] += 90
    return x.astype("uint8"), y


def folder(path, count=24, seed=0):
    """The same as a folder of PNG files."""
    x, y = pictures(count, seed)
    for i, (image, label) in enumerate(zip(x, y)):
        where = path / ("above" if label else "below")
        where.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(where / f"{i}.png")
    return path


def small_net(head=True):
    """A convolutional classifier with everything that must be frozen."""
    mlkit.utils.set_random_seed(4)
    x = inputs = mlkit.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU()(x)
    x = layers.SpatialDropout2D(0.2)(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv2")(x)
    if head:
        x = layers.Dense(5, activation="softmax", name="predictions")(layers.Flatten()(x))
    return mlkit.Model(inputs, x, name="small")
