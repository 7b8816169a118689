"""A training that Ray or Spark starts, of which a process may be killed once."""

import os
import pathlib
import signal

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state


def trained(folder, killed=False):
    """Train in float64 with dropout, and give the weights back; rank 1 is killed in the middle of an epoch the first time."""
    mark = pathlib.Path(folder) / "killed"

    def die(batch, logs):
        if killed and batch == 2 and state.communicator.rank == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    mlkit.config.set_floatx("float64")
    mlkit.utils.set_random_seed(3)
    x = np.random.default_rng(0).normal(size=(48, 6))
    model = mlkit.Sequential([mlkit.Input((6,)), layers.Dense(8, "tanh"), layers.Dropout(0.3), layers.Dense(1)])
    model.compile("adam", "mse")
    backup = mlkit.callbacks.BackupAndRestore(f"{folder}/backup", save_freq=1)
    kill = mlkit.callbacks.LambdaCallback(on_train_batch_begin=die)
    model.fit(x, x[:, :1], batch_size=12, epochs=3, verbose=0, callbacks=[kill, backup])
    assert mark.exists() == killed
    return state.communicator.size, model.get_weights()
