"""A run that is killed at any batch and called again ends in the bytes of one that was not."""

import os
import pathlib
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import callbacks, layers

EPOCHS, BATCH, SAMPLES = 3, 8, 44
STEPS = -(-SAMPLES // BATCH)


class Killed(BaseException):
    """What ends a run at once, as a signal would: nothing is cleaned up by callbacks."""


class Kill(callbacks.Callback):
    """Ends the run after so many batches."""

    def __init__(self, after, how):
        super().__init__()
        self.left, self.how = after, how

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.how()


class Noise(callbacks.Callback):
    """Somebody else who draws from NumPy's and Python's generators."""

    def on_epoch_begin(self, epoch, logs=None):
        np.random.rand(3)
        random.random()


class Reversed(mlkit.utils.PyDataset):
    """Batches by number; `fit` shuffles their order."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return STEPS

    def __getitem__(self, k):
        rows = slice(k * BATCH, (k + 1) * BATCH)
        return self.x[rows], self.y[rows]


def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(SAMPLES, 6)).astype("float32"), rng.integers(0, 3, SAMPLES)


def forever(x, y):
    while True:
        for k in range(STEPS):
            yield x[k * BATCH : (k + 1) * BATCH], y[k * BATCH : (k + 1) * BATCH]


KINDS = {
    "arrays": lambda x, y: dict(x=x, y=y, batch_size=BATCH),
    "arrays in order": lambda x, y: dict(x=x, y=y, batch_size=BATCH, shuffle=False),
    "so many steps": lambda x, y: dict(x=x, y=y, batch_size=BATCH, steps_per_epoch=4),
    "numbered batches": lambda x, y: dict(x=Reversed(x, y)),
    "a generator": lambda x, y: dict(x=forever(x, y), steps_per_epoch=STEPS),
}


def train(folder, kind="arrays", save_freq=2, kill=None, together=1):
    """What is left of a run: weights, history, the rows of the log."""
    mlkit.utils.set_random_seed(3)
    stack = [layers.Dense(8, activation="relu"), layers.Dropout(0.4), layers.BatchNormalization(), layers.Dense(3, "softmax")]
    model = mlkit.Sequential([mlkit.Input((6,)), *stack])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=together)
    log = os.path.join(os.path.dirname(folder), f"{os.path.basename(folder)}.csv")
    used = [
        callbacks.BackupAndRestore(folder, save_freq=save_freq),
        Noise(),
        callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=1.0),
        callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True),
        callbacks.CSVLogger(log),
        *([kill] if kill else []),
    ]
    x, y = arrays()
    history = model.fit(
        **KINDS[kind](x, y), validation_data=(x[:8] + 1, y[:8]), epochs=EPOCHS, verbose=0, callbacks=used, check=False
    )
    state = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    return b"".join(a.tobytes() for a in state), history.history, history.epoch, pathlib.Path(log).read_text()


def interrupt():
    raise Killed


@pytest.mark.filterwarnings("default:The data ran out in epoch:UserWarning")  # as one of the runs means it
@pytest.mark.parametrize("save_freq", ["epoch", 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path, kind, save_freq):
    wanted = train(str(tmp_path / "whole"), kind, save_freq)
    total = 4 + 2 + 4 if kind == "so many steps" else EPOCHS * STEPS  # a pass ends in the second epoch, which ends with it
    for after in random.Random(kind).sample(range(1, total + 1), 4):
        folder = str(tmp_path / f"run{after}")
        with pytest.raises(Killed):
            train(folder, kind, save_freq, Kill(after, interrupt))
        assert train(folder, kind, save_freq) == wanted, after


def test_several_batches_between_callbacks(tmp_path):
    wanted = train(str(tmp_path / "whole"), together=2)
    with pytest.raises(Killed):
        train(str(tmp_path / "b"), kill=Kill(4, interrupt), together=2)
    assert train(str(tmp_path / "b"), together=2) == wanted


def test_killed_twice(tmp_path):
    wanted = train(str(tmp_path / "whole"))
    for after in (5, 4):
        with pytest.raises(Killed):
            train(str(tmp_path / "b"), kill=Kill(after, interrupt))
    assert train(str(tmp_path / "b")) == wanted


def in_a_process(folder, after=0):
    """Train in a new process, which kills itself; whether it did."""
    code = f"from tests.callbacks import test_resume as t; t.in_this_process({folder!r}, {after})"
    root = pathlib.Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-c", code], cwd=root).returncode == -signal.SIGKILL


def in_this_process(folder, after):
    kill = Kill(after, lambda: os.kill(os.getpid(), signal.SIGKILL)) if after else None
    result = train(folder, kill=kill)
    pathlib.Path(folder + ".done").write_text(repr(result))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there are no signals of that kind on this system")
@pytest.mark.parametrize(
    "after", [5, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, EPOCHS * STEPS + 1) if k != 5)]
)
def test_processes_that_are_killed(tmp_path, after):
    folder = str(tmp_path / "b")
    assert in_a_process(folder, after)
    (tmp_path / "b").mkdir(exist_ok=True)
    half = tmp_path / "b" / ".backup_9.npz.0123abcd.tmp"
    half.write_bytes(b"half written")
    assert not in_a_process(folder)
    assert (tmp_path / "b.done").read_text() == repr(train(str(tmp_path / "whole")))
    assert not half.exists()


def test_a_backup_of_another_model_is_refused_and_nothing_changes(tmp_path):
    with pytest.raises(Killed):
        train(str(tmp_path / "b"), kill=Kill(8, interrupt))
    model = mlkit.Sequential([mlkit.Input((6,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    before = model.get_weights()[0].copy()
    with pytest.raises(ValueError, match="is of another model: variable 0 is .*dense.*/kernel"):
        model.fit(np.zeros((4, 6)), np.zeros((4, 3)), verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path / "b")])
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_a_callback_of_ones_own_keeps_what_it_says(tmp_path):
    class Count(callbacks.Callback):
        kept = ("seen",)

        def __init__(self):
            super().__init__()
            self.seen = 0

        def on_train_batch_end(self, batch, logs=None):
            self.seen += 1
            if self.seen == limit:
                raise Killed

    def run(count):
        model = mlkit.Sequential([mlkit.Input((6,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        backup = callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
        model.fit(arrays()[0], np.arange(SAMPLES), batch_size=BATCH, epochs=2, verbose=0, callbacks=[backup, count])

    limit = 3
    with pytest.raises(Killed):
        run(Count())
    limit, count = 0, Count()
    run(count)
    assert count.seen == 2 * STEPS
