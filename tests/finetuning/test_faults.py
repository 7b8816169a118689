"""Ctrl-C, a full disk and kill -9 at many moments of the command: nothing is lost but the epoch under way, and it goes on to the bit."""

import builtins
import errno
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.__main__ import main
from mlkit.callbacks import Callback
from tests.finetuning.pictures import folder, pictures, small_net

MOMENTS = 10


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The arguments of a small run of two phases."""
    root = tmp_path_factory.mktemp("faults")
    folder(root / "photos", 40)
    options = {"preprocess": layers.Rescaling(1 / 255), "head_epochs": 1, "epochs": 0, "verbose": 0}
    mlkit.finetune(small_net(), pictures(16), pictures(8, seed=1), save_to=str(root / "start.keras"), **options)
    command = ["finetune", str(root / "photos"), "--weights", str(root / "start.keras"), "--batch-size", "16", "--augment"]
    return [*command, "--head-epochs", "2", "--epochs", "2", "--learning-rate", "0.02", "--quiet"]


class Moments:
    """Counts what touches the disk and the batches of training, and lets something happen at one of them.

    always: whether it happens at all later writes, too.
    """

    def __init__(self, monkeypatch, at=None, happens=None, always=False, writes_only=False):
        self.at, self.happens, self.always, self.count = at, happens, always, 0
        self.writes_only = writes_only
        for name in ("replace", "fsync"):
            monkeypatch.setattr(os, name, self._watched(getattr(os, name)))
        monkeypatch.setattr(builtins, "open", self._opening(builtins.open))
        monkeypatch.setattr(Callback, "on_train_batch_end", self._batch)

    def _now(self):
        self.count += 1
        if self.count == self.at or (self.always and self.at is not None and self.count > self.at):
            raise self.happens

    def _watched(self, function):
        def call(*arguments, **options):
            self._now()
            result = function(*arguments, **options)
            if not self.writes_only:
                self._now()
            return result

        return call

    def _opening(self, function):
        def call(file, mode="r", *arguments, **options):
            if "w" in mode or "x" in mode:
                self._now()
            return function(file, mode, *arguments, **options)

        return call

    def _batch(self, callback, batch, logs=None):
        if not self.writes_only and type(callback).__name__ == "Phase":
            self._now()


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """The run without a fault, and how many moments of each kind it has."""
    counts = {}
    for writes_only in (False, True):
        out = tmp_path_factory.mktemp("whole") / "out"
        with pytest.MonkeyPatch.context() as patch:
            moments = Moments(patch, writes_only=writes_only)
            assert main([*command, "--output", str(out)]) == 0
        counts[writes_only] = moments.count
    return out, counts


def same(out, whole):
    for name in ("history.csv", "classes.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    models = [mlkit.models.load_model(folder / "model.keras") for folder in (out, whole)]
    assert all(map(np.array_equal, *(model.get_weights() for model in models)))
    assert not (out / "backup").exists()


def whole_files(out):
    """What is there can be read."""
    rows = 0
    if (out / "history.csv").exists():
        rows = len((out / "history.csv").read_text().splitlines()) - 1
        assert mlkit.models.load_model(out / "model.keras").output_shape == (None, 2)
    return rows


def moments(count, number):
    return sorted({1 + round(i * (count - 1) / (number - 1)) for i in range(number)})


def check(command, whole, tmp_path, number, fault, statuses, **options):
    reference, counts = whole
    for at in moments(counts[options.get("writes_only", False)], number):
        out = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patch:
            Moments(patch, at, fault, **options)
            status = main([*command, "--output", str(out)])
        assert status in statuses, at
        rows = whole_files(out)
        if status:
            assert main([*command, "--output", str(out), "--resume"]) == 0, at
        assert rows <= 4
        same(out, reference)
        shutil.rmtree(out)


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("number", [2, pytest.param(MOMENTS, marks=pytest.mark.slow)])
def test_ctrl_c(command, whole, number, tmp_path):
    check(command, whole, tmp_path, number, KeyboardInterrupt(), {0, 130})


@pytest.mark.parametrize("number", [3, pytest.param(MOMENTS, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_from_some_moment_on(command, whole, number, tmp_path, capsys):
    check(command, whole, tmp_path, number, FULL, {1, 2}, always=True, writes_only=True)
    assert "No space left on device" in capsys.readouterr().err


KILLED = """
    import os, signal, sys
    import pytest
    from mlkit.__main__ import main
    from tests.finetuning.test_faults import Moments

    class Killing(Moments):
        def _now(self):
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        Killing(patch, int(sys.argv[1]))
        sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no SIGKILL there")
def test_kill(command, whole, tmp_path):
    reference, counts = whole
    root = os.path.dirname(os.path.dirname(mlkit.__file__))
    for at in moments(counts[False] - 1, MOMENTS):
        out = tmp_path / str(at)
        run = [sys.executable, "-c", textwrap.dedent(KILLED), str(at), *command, "--output", str(out)]
        done = subprocess.run(run, cwd=root, capture_output=True, text=True)
        assert done.returncode == -9, (at, done.stderr)
        whole_files(out)
        assert main([*command, "--output", str(out), "--resume"]) == 0, at
        same(out, reference)
        shutil.rmtree(out)
