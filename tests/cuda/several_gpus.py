"""A training that one process does, or several with a GPU each: python several_gpus.py FILE, under `python -m mlkit launch -n N`.

FILE gets the weights, and the seconds of a step.
"""

import sys
import time

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state

assert state.backend.device_name.startswith("cuda"), state.backend.device_name
mlkit.config.set_float32("exact")
mlkit.utils.set_random_seed(5)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(512, 32, 32, 3)).astype("float32"), rng.integers(0, 10, 512)
model = mlkit.Sequential(
    [
        mlkit.Input((32, 32, 3)), layers.Conv2D(64, 3, activation="relu"), layers.BatchNormalization(synchronized=True),
        layers.Conv2D(64, 3, strides=2, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(2048, "relu"),
        layers.Dense(2048, "relu"), layers.Dense(10),
    ]
)  # fmt: skip
model.compile(mlkit.optimizers.SGD(0.05), mlkit.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x, y, batch_size=256, epochs=2, shuffle=False, verbose=0)
weights = model.get_weights()
ends = []
model.fit(
    x,
    y,
    batch_size=256,
    epochs=11,
    verbose=0,
    callbacks=[mlkit.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))],
)
if state.communicator is None or state.communicator.rank == 0:
    arrays = {f"weight {k}": w for k, w in enumerate(weights)}
    np.savez(sys.argv[1], seconds=np.median(np.diff(ends)) / 2, **arrays)
