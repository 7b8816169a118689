"""Scripts with something wrong on one rank. python troubles.py WHAT"""

import os
import sys
import time

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state

what, rank = sys.argv[1], state.communicator.rank
x, y = np.ones((8, 4), "float32"), np.zeros((8, 1), "float32")
if what == "raises" and rank == 1:
    raise ValueError("on purpose")
if what == "leaves" and rank == 1:
    sys.exit(7)
if what == "late" and rank == 1:
    time.sleep(30)
wide = 5 if what == "other shapes" and rank == 1 else 4
middle = [layers.Dropout(0.5)] if what == "other layers" and rank == 1 else []
activation = "tanh" if what == "other calls" and rank == 1 else "relu"
model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(wide, activation), *middle, layers.Dense(1)])
model.compile("sgd", "mse")
if what == "other weights":
    model.set_weights([w + rank for w in model.get_weights()])
if what == "nan" and rank == 1:
    x[6] = np.nan
if what == "few":
    x, y = x[:1], y[:1]
model.fit(x, y, verbose=0, check=False)
print("rank", rank, "sum", float(np.sum(model.get_weights()[0])), "pid", os.getpid())
