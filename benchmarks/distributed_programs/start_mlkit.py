"""From the command to the end of the first step of a small model."""

import os
import time

import numpy as np

import mlkit

model = mlkit.Sequential([mlkit.Input((8,)), mlkit.layers.Dense(4)])
model.compile("sgd", "mse")
model.train_on_batch(np.ones((8, 8), "float32"), np.ones((8, 4), "float32"))
print("seconds", time.time() - float(os.environ["STARTED"]))
