"""SIGTERM while a model trains: it is saved, and the process ends with a status of its own."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import mlkit

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = """
import os, signal, sys
import numpy as np
import mlkit

folder, when = sys.argv[1], int(sys.argv[2])


class Asks(mlkit.callbacks.Callback):
    step = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.step += 1
        if self.step == when and not os.path.exists(folder + "/asked"):
            open(folder + "/asked", "w").close()
            os.kill(os.getpid(), signal.SIGTERM)


mlkit.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
model = mlkit.Sequential([mlkit.Input((3,)), mlkit.layers.Dropout(0.5), mlkit.layers.Dense(1)])
model.compile("adam", "mse")
backup = mlkit.callbacks.BackupAndRestore(folder + "/backup")
history = model.fit(x, x[:, :1], batch_size=4, epochs=3, verbose=0, callbacks=[Asks(), backup], check=False).history
np.savez(folder + "/end.npz", *model.get_weights(), loss=history["loss"])
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
os.kill(os.getpid(), signal.SIGTERM)  # as before
"""


def run(folder, when):
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, folder, str(when)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_it_goes_on_in_the_middle_of_an_epoch(tmp_path):
    assert run(tmp_path / "whole", 0).returncode == -15
    stopped = run(tmp_path / "other", 8)
    assert stopped.returncode == 85, stopped.stderr
    assert "training ends after batch 2 of epoch 1. It is saved in" in stopped.stdout
    assert not (tmp_path / "other" / "end.npz").exists()
    assert run(tmp_path / "other", 8).returncode == -15
    whole, other = (dict(np.load(tmp_path / name / "end.npz")) for name in ("whole", "other"))
    for name in ("arr_0", "arr_1"):
        np.testing.assert_array_equal(other[name], whole[name])
    np.testing.assert_array_equal(other["loss"], whole["loss"][-len(other["loss"]) :])


def test_what_cannot_be_written_is_raised(tmp_path):
    (tmp_path / "backup").write_text("a file where the folder would be")
    model = mlkit.Sequential([mlkit.Input((3,)), mlkit.layers.Dense(1)])
    model.compile("sgd", "mse")
    backup = mlkit.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
    with pytest.raises(OSError, match="backup"):
        model.fit(np.ones((8, 3)), np.ones((8, 1)), batch_size=2, verbose=0, callbacks=[backup], check=False)
