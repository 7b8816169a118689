"""A training of which one process is killed at a given point of its first start, or ("anywhere") 20 times somewhere.

python killed.py FOLDER POINT [RANK] [EPOCHS]
"""

import os
import random
import signal
import sys
import threading

import numpy as np

import mlkit
from mlkit import layers
from mlkit.core.state import state
from mlkit.utils import atomic

folder, point, victim = sys.argv[1], sys.argv[2], int(sys.argv[3])
epochs = int(sys.argv[4]) if len(sys.argv) > 4 else 3
rank, start = state.communicator.rank, int(os.environ["MLKIT_RESTART"])
armed = start == 0 and rank == victim
drawn = random.Random(start)  # the same on all ranks
fatal = drawn.randrange(2) == rank and point == "anywhere" and start < 20
wait, delay = drawn.randrange(1, 12), drawn.random() * 0.02


def die(where):
    global wait
    if armed and where == point:
        kill()
    wait -= 1
    if fatal and wait == 0:  # a while later, wherever that is: in a kernel, in MPI, in a write
        threading.Timer(delay, kill).start()


def kill():
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
    x, y, batch_size=9, epochs=epochs, verbose=0, validation_split=0.2, callbacks=[Points(), backup], check=False
).history
if rank == 0:
    logs = {f"log {k}": np.array(v) for k, v in history.items()}
    np.savez(f"{folder}/result.npz", **{f"weight {k}": w for k, w in enumerate(model.get_weights())}, **logs)
