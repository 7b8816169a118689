"""Fine-tuning that is stopped: what is kept, and that it goes on to the same numbers."""

import json
import os

import numpy as np
import pytest

import mlkit
from mlkit import finetuning, layers
from mlkit.__main__ import main
from mlkit.callbacks import Callback
from tests.finetuning.pictures import folder, pictures, small_net

SCALE = layers.Rescaling(1 / 255)
OPTIONS = {"preprocess": SCALE, "batch_size": 8, "head_epochs": 3, "epochs": 3, "learning_rate": 0.02, "verbose": 0}
BATCHES = 3  # an epoch of 24 photos
KINDS = {
    "features": {},
    "augmented": {"augment": [layers.RandomFlip("horizontal"), layers.RandomZoom(0.2)]},
}


class StopAt(Callback):
    """Raises an error at a batch, counted over both phases; counts the batches."""

    kept = ("seen",)

    def __init__(self, batch, error=KeyboardInterrupt):
        super().__init__()
        self.at, self.error, self.seen = batch, error, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.at:
            raise self.error("stopped by the test")


def weights(model):
    return [np.array(w) for w in model.get_weights()]


def run(data, output=None, stop=None, error=KeyboardInterrupt, **options):
    watch = StopAt(stop, error)
    return mlkit.finetune(small_net(), *data, callbacks=[watch], output=output, **{**OPTIONS, **options}), watch


@pytest.fixture(scope="module")
def data():
    return pictures(24), pictures(16, seed=1)


@pytest.mark.parametrize(
    "stop, kind, error",
    [
        (4, "augmented", KeyboardInterrupt),
        (8, "features", MemoryError),
        (9, "features", KeyboardInterrupt),
        (11, "augmented", KeyboardInterrupt),
        (15, "features", MemoryError),
        (15, "augmented", MemoryError),
    ],
)
def test_a_run_that_broke_off_goes_on_to_the_bit(kind, stop, error, data, tmp_path):
    whole, _ = run(data, tmp_path / "whole", **KINDS[kind])
    out = tmp_path / "out"
    if error is KeyboardInterrupt:
        cut, watch = run(data, out, stop, **KINDS[kind])
        assert watch.seen == stop, "the recipe stopped, not the phase alone"
        assert cut.interrupted
        assert len(cut.history["loss"]) == (stop - 1) // BATCHES
        assert cut.best == max(cut.history["val_accuracy"])
        assert "interrupted" in repr(cut)
        kept = mlkit.models.load_model(out / "model.keras")
        assert all(map(np.array_equal, weights(kept), weights(cut.model)))
        assert cut.model.predict(data[1][0], verbose=0).shape == (16, 2)
    else:
        with pytest.raises(MemoryError):
            run(data, out, stop, error, **KINDS[kind])
        assert len((out / "history.csv").read_text().splitlines()) == 1 + (stop - 1) // BATCHES
        mlkit.models.load_model(out / "model.keras")
    done, _ = run(data, out, resume=True, **KINDS[kind])
    assert not done.interrupted
    assert all(map(np.array_equal, weights(done.model), weights(whole.model)))
    assert done.history == whole.history
    assert done.best == whole.best
    assert (out / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
    assert sorted(os.listdir(out)) == ["history.csv", "model.keras", "run.json", "script.py"], "no backup is left"


def test_nothing_to_keep_before_the_first_epoch_has_ended(data, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "out", stop=2)
    done, _ = run(data, tmp_path / "out", resume=True)
    assert all(map(np.array_equal, weights(done.model), weights(run(data)[0].model)))


def test_a_finished_run_is_read_again(data, tmp_path):
    done, _ = run(data, tmp_path / "out")
    again, watch = run(data, tmp_path / "out", resume=True)
    assert watch.seen == 0
    assert again.history == done.history
    assert again.best == done.best
    assert np.array_equal(again.model.predict(data[1][0], verbose=0), done.model.predict(data[1][0], verbose=0))


def test_a_used_folder_asks_what_to_do(data, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "out").mkdir()
    (out / "notes.txt").write_text("mine")
    run(data, out, head_epochs=1, epochs=0)
    kept = {name: (out / name).read_bytes() for name in ("model.keras", "history.csv", "run.json")}
    with pytest.raises(ValueError, match="holds a finished run already.*--resume.*--overwrite"):
        run(data, out, head_epochs=2, epochs=0)
    with pytest.raises(ValueError, match=r"begun with other options: .*total_steps=3.*total_steps=6"):
        run(data, out, head_epochs=2, epochs=0, resume=True)
    with pytest.raises(ValueError, match="Pass one of them"):
        run(data, out, resume=True, overwrite=True)
    assert kept == {name: (out / name).read_bytes() for name in kept}, "nothing was touched"
    run(data, out, head_epochs=2, epochs=0, overwrite=True)
    assert len((out / "history.csv").read_text().splitlines()) == 3
    assert (out / "notes.txt").read_text() == "mine"


def test_what_a_killed_process_had_half_written_is_removed(data, tmp_path):
    out = tmp_path / "out"
    run(data, out, head_epochs=1, epochs=0)
    names = {p.name for p in out.iterdir()}
    for name in (".model.keras.0a1b2c3d.tmp", ".history.csv.0a1b2c3d.tmp", ".model.keras.mine.tmp", "model.keras.0a1b2c3d.tmp"):
        (out / name).touch()
    run(data, out, head_epochs=1, epochs=0, resume=True)
    assert {p.name for p in out.iterdir()} == names | {".model.keras.mine.tmp", "model.keras.0a1b2c3d.tmp"}


def test_other_photos_are_not_gone_on_with(tmp_path):
    photos = folder(tmp_path / "photos")
    options = {**OPTIONS, "image_size": (16, 16), "output": tmp_path / "out"}
    mlkit.finetune(small_net(), photos, **options)
    next((photos / "above").iterdir()).unlink()
    with pytest.raises(ValueError, match="photos are not those"):
        mlkit.finetune(small_net(), photos, **options, resume=True)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"monitor": "val_f1"}, "`monitor` must be one of"),
        ({"save_to": "model.h5"}, "must end in .keras"),
        ({"save_to": "nowhere/model.keras"}, "no folder"),
        ({"dropout": 1.0}, "`dropout`"),
        ({"learning_rate": -1}, "`learning_rate`"),
        ({"decay": 0.5}, "`decay`"),
        ({"seed": "x"}, "`seed`"),
        ({"resume": True}, "Pass it, too"),
    ],
)
def test_options_are_checked_before_the_first_step(options, words, data):
    with pytest.raises(ValueError, match=words):
        run(data, **options)


def test_a_full_disk_is_said_before_the_first_step(data, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(ValueError, match="MB left"):
        run(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_history_has_phases_and_rates(data, tmp_path):
    run(data, tmp_path / "out")
    header, *rows = [line.split(",") for line in (tmp_path / "out" / "history.csv").read_text().splitlines()]
    assert header[:3] == ["epoch", "phase", "learning_rate"]
    assert [row[1] for row in rows] == ["head"] * 3 + ["all"] * 3
    assert float(rows[0][2]) > float(rows[3][2]) > 0


def test_the_printed_script_writes_the_same(tmp_path):
    photos = folder(tmp_path / "photos")
    done = mlkit.finetune(small_net(), photos, **OPTIONS, image_size=(16, 16), output=tmp_path / "out")
    script = (tmp_path / "out" / "script.py").read_text().replace(str(tmp_path / "out"), str(tmp_path / "again"))
    exec(script, {"pretrained": small_net(), "preprocess": SCALE})
    assert json.loads((tmp_path / "again" / "classes.json").read_text()) == done.class_names
    for name in ("history.csv", "classes.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    written = mlkit.models.load_model(tmp_path / "again" / "model.keras")
    assert all(map(np.array_equal, weights(written), weights(done.model)))


def test_the_command_stops_with_130_and_says_what_stands_where(tmp_path, capsys, monkeypatch):
    command = ["finetune", str(folder(tmp_path / "photos")), "--model", "MobileNet", "--weights", "none", "--size", "32"]
    command += ["--head-epochs", "3", "--epochs", "0", "--output", str(tmp_path / "out")]
    phase = finetuning.Recorder.phase
    monkeypatch.setattr(finetuning.Recorder, "phase", lambda self, name: [StopAt(2), *phase(self, name)])
    assert main([*command, "--json"]) == 130
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert (result["status"], result["epochs"], result["classes"]) == ("interrupted", 1, ["above", "below"])
    monkeypatch.undo()
    assert main([*command, "--resume", "--quiet"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert "report.html" in os.listdir(tmp_path / "out")


def test_reports_that_fail_destroy_nothing(tmp_path, capsys, monkeypatch):
    command = ["finetune", str(folder(tmp_path / "photos")), "--model", "MobileNet", "--weights", "none", "--size", "32"]
    command += ["--head-epochs", "1", "--epochs", "0", "--output", str(tmp_path / "out"), "--quiet"]
    monkeypatch.setattr("mlkit.visualization.learning_curves", lambda done: 1 / 0)
    assert main(command) == 1
    assert f"the model is in {tmp_path / 'out'}" in capsys.readouterr().err
    assert mlkit.models.load_model(tmp_path / "out" / "model.keras").output_shape == (None, 2)
    monkeypatch.undo()
    assert main([*command, "--resume"]) == 0
    assert (tmp_path / "out" / "report.html").exists()
