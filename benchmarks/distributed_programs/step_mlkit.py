"""A training step of a model by name, of a batch of 64 in all."""

import statistics
import sys
import time

import numpy as np

import mlkit
from mlkit import layers


def block(x, width=64):
    y = layers.MultiHeadAttention(4, width // 4)(x, x)
    x = layers.LayerNormalization()(x + y)
    return layers.LayerNormalization()(x + layers.Dense(width)(layers.Dense(4 * width, "relu")(x)))


def convolutions(x):
    for filters in (32, 64, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    return layers.Flatten()(x)


SHAPES = {"mlp": (512,), "convolutions": (32, 32, 3), "transformer": (64, 64)}
BODIES = {
    "mlp": lambda x: layers.Dense(1024, "relu")(layers.Dense(1024, "relu")(x)),
    "convolutions": convolutions,
    "transformer": lambda x: layers.GlobalAveragePooling1D()(block(block(x))),
}
name = sys.argv[1]
inputs = mlkit.Input(SHAPES[name])
model = mlkit.Model(inputs, layers.Dense(10)(BODIES[name](inputs)))
model.compile(mlkit.optimizers.SGD(0.01), mlkit.losses.SparseCategoricalCrossentropy(from_logits=True))
x, y = np.random.default_rng(0).normal(size=(64, *SHAPES[name])).astype("float32"), np.arange(64) % 10
seconds = []
for _ in range(25):
    start = time.perf_counter()
    model.train_on_batch(x, y)
    seconds.append(time.perf_counter() - start)
print("seconds", statistics.median(seconds[5:]))
