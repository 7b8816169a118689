"""A training on several hosts. python hosts_script.py EPOCHS MARK    the file MARK is made after the first step"""

import pathlib
import sys

import numpy as np

import mlkit
from mlkit import layers

epochs, mark = int(sys.argv[1]), pathlib.Path(sys.argv[2])
mlkit.config.set_floatx("float64")
mlkit.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(64, 20))
model = mlkit.Sequential([mlkit.Input((20,)), layers.Dense(30, "tanh"), layers.Dense(1)])
model.compile("adam", "mse")
begun = mlkit.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: mark.touch())
model.fit(x, x[:, :1], batch_size=32, epochs=epochs, verbose=0, callbacks=[begun])
print("weights", *(repr(float(np.sum(w))) for w in model.get_weights()))
