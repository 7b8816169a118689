"""A training in float64 that loses a process, and is told later that there is room for it again. python elastic.py FOLDER

FOLDER/losses has a line "epoch batch loss" for each step, of the whole data; those of steps that were computed twice stand there twice.
"""

import os
import signal
import sys

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state

folder, start = sys.argv[1], int(os.environ.get("MLKIT_RESTART", 0))
rank, size = (0, 1) if state.communicator is None else (state.communicator.rank, state.communicator.size)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(44, 5)), rng.normal(size=(44, 2))


def launcher():
    """This process is the child of a supervisor, that of mpiexec's proxy, that of mpiexec, that of the launcher."""
    pid = os.getpid()
    for _ in range(4):
        with open(f"/proc/{pid}/stat") as file:
            pid = int(file.read().rpartition(")")[2].split()[1])
    return pid


class Steps(mlkit.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if start == 0 and size == 3 and rank == 1 and (self.epoch, batch) == (1, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        if start == 1 and rank == 0 and (self.epoch, batch) == (3, 1):
            os.kill(launcher(), signal.SIGUSR2)

    def on_train_batch_end(self, batch, logs=None):
        w1, b1, w2, b2 = self.model.get_weights()
        loss = np.mean((np.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2)
        if rank == 0:
            with open(f"{folder}/losses", "a") as file:
                file.write(f"{self.epoch} {batch} {loss!r} {size}\n")


mlkit.config.set_floatx("float64")
mlkit.utils.set_random_seed(5)
model = mlkit.Sequential([mlkit.Input((5,)), layers.Dense(8, "tanh"), layers.Dense(2)])
model.compile(mlkit.optimizers.Adam(0.01), "mse")
backup = mlkit.callbacks.BackupAndRestore(f"{folder}/backup", save_freq=2)
model.fit(x, y, batch_size=10, epochs=200 if start == 1 else 6, verbose=0, callbacks=[Steps(), backup], check=False)
