"""A training of which one process is killed at a given point of its first start. python killed.py FOLDER POINT [RANK]"""

import os
import signal
import sys

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state
from mlkit.utils import atomic

folder, point, victim = sys.argv[1], sys.argv[2], int(sys.argv[3])
rank = state.communicator.rank
armed = os.environ["MLKIT_RESTART"] == "0" and rank == victim


def die(where):
    if armed and where == point:
        os.kill(os.getpid(), signal.SIGKILL)


class Points(mlkit.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        die(f"epoch {epoch}")

    def on_train_batch_begin(self, batch, logs=None):
        die(f"before batch {self.epoch}.{batch}")

    def on_train_batch_end(self, batch, logs=None):
        die(f"after batch {self.epoch}.{batch}")

    def on_test_batch_end(self, batch, logs=None):
        die(f"validation {self.epoch}")


def replace_then_die(old, new, replace=os.replace):
    if "backup_4" in str(new):
        die("before a backup has its name")
    replace(old, new)
    if "backup_4" in str(new):
        die("after a backup has its name")


atomic.os.replace = replace_then_die
mlkit.utils.set_random_seed(5)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(40, 6)).astype("float32"), rng.integers(0, 2, (40, 1)).astype("float32")
model = mlkit.Sequential(
    [mlkit.Input((6,)), layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(1, "sigmoid")]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", mlkit.metrics.AUC()])
backup = mlkit.callbacks.BackupAndRestore(f"{folder}/backup", save_freq=1)
history = model.fit(
    x, y, batch_size=9, epochs=3, verbose=0, validation_split=0.2, callbacks=[Points(), backup], check=False
).history
if rank == 0:
    logs = {f"log {k}": np.array(v) for k, v in history.items()}
    np.savez(f"{folder}/result.npz", **{f"weight {k}": w for k, w in enumerate(model.get_weights())}, **logs)
