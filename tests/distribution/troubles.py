"""Scripts with something wrong on one rank. python troubles.py WHAT"""

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
model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(4, "relu"), layers.Dense(1)])
model.compile("sgd", "mse")
if what == "nan" and rank == 1:
    x[6] = np.nan
model.fit(x, y, verbose=0, check=False)
