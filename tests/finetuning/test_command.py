"""`python -m mlkit finetune` on small folders: what it prints and writes."""

import json
import pathlib
import sys

import pytest

import mlkit
from mlkit.__main__ import main
from mlkit.data.photo_layout import parts
from tests.finetuning.pictures import folder

QUICK = [
    "--model",
    "MobileNetV2",
    "--weights",
    "none",
    "--size",
    "32",
    "--head-epochs",
    "1",
    "--epochs",
    "0",
    "--batch-size",
    "8",
]


def test_train_and_test_folders(tmp_path, capsys):
    folder(tmp_path / "photos" / "train", 20)
    folder(tmp_path / "photos" / "test", 8, seed=1)
    out = tmp_path / "out"
    assert main(["finetune", str(tmp_path / "photos"), *QUICK, "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Accuracy on the validation photos" in printed
    assert "On the test photos: " in printed
    assert "28 photos: 16 for training, 4 for validation, 8 for test, of 2 classes" in printed
    files = {
        "model.keras",
        "classes.json",
        "script.py",
        "run.json",
        "history.csv",
        "report.html",
        "curves.png",
        "confusion.png",
        "predictions.csv",
    }
    assert {f.name for f in out.iterdir()} == files
    assert json.loads((out / "classes.json").read_text()) == ["above", "below"]
    assert (out / "history.csv").read_text().startswith("epoch,")
    assert mlkit.models.load_model(out / "model.keras").output_shape == (None, 2)
    assert all(word in (out / "report.html").read_text() for word in ("<svg", "Confusion matrix", "Most wrong"))


def test_the_test_photos_are_checked_before_the_first_step(tmp_path, capsys):
    folder(tmp_path / "photos" / "train", 20)
    folder(tmp_path / "photos" / "test" / "dogs", 8, seed=1)
    assert main(["finetune", str(tmp_path / "photos"), *QUICK, "--output", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert "has photos of dogs, which are none of the classes: above, below" in printed.err
    assert not (tmp_path / "out").exists()


def test_one_folder_and_no_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    folder(tmp_path / "photos", 20)
    out = tmp_path / "out"
    assert main(["finetune", str(tmp_path / "photos"), *QUICK, "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "pip install matplotlib" in printed
    assert (out / "report.html").exists()
    assert not (out / "curves.png").exists()
    assert "test photos" not in printed


MISTAKES = {
    "no such folder": (["nowhere"], "no folder 'nowhere'"),
    "no such model": (["PHOTOS", "--model", "MobileNet99"], "MobileNet99"),
    "no such option": (["PHOTOS", "--head-epoch", "x"], "--head-epoch"),
    "no pixels": (["PHOTOS", "--size", "0"], "`image_size` must be"),
    "an option of another name": (["PHOTOS", "--pixels", "8"], "mlkit finetune: unrecognized arguments: --pixels 8"),
    "folds of nothing": (["PHOTOS", "--k-folds", "99"], "20 files cannot be cut into 99 folds, but into 2 to 20"),
    "a folder without classes": (["PHOTOS/above"], "Give each class a sub-folder, or pass a table of labels"),
    "no epochs": (["PHOTOS", "--head-epochs", "0", "--epochs", "0"], "epochs to train"),
    "two wishes": (["PHOTOS", "--resume", "--overwrite"], "not allowed with"),
    "no such weights": (["PHOTOS", "--weights", "nowhere.keras"], "nowhere.keras"),
    "a file in place of the folder": (["PHOTOS", "--output", "FILE"], "a file is in its place"),
    "a file above the folder": (["PHOTOS", "--output", "FILE/out"], "cannot be"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_nothing_is_written(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "photos", 20)
    (tmp_path / "file").touch()
    arguments, words = MISTAKES[name]
    arguments = [a.replace("PHOTOS", str(tmp_path / "photos")).replace("FILE", str(tmp_path / "file")) for a in arguments]
    try:
        status = main(["finetune", *QUICK, *arguments])
    except SystemExit as error:
        status = error.code
    printed = capsys.readouterr()
    assert status == 2
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert "loss:" not in printed.out
    assert {p.name for p in tmp_path.iterdir()} == {"photos", "file"}


def test_which_folders_are_parts_and_which_are_classes(tmp_path):
    def made(*names):
        root = tmp_path / "-".join(names)
        for name in names:
            (root / name).mkdir(parents=True)
        return root, [p and pathlib.Path(p).name for p in parts(str(root))]

    assert made("train", "test")[1] == ["train", None, "test"]
    assert made("train", "val", "test")[1] == ["train", "val", "test"]
    assert made("train", "valid", "test")[1] == ["train", "valid", "test"]
    assert made("Train", "Val", "__MACOSX")[1] == ["Train", "Val", None]
    assert made("train", "val", "valid")[1] == ["train-val-valid", None, None]
    assert made("train", "validation")[1] == ["train", "validation", None]
    root, found = made("train", "bus")
    assert found == [root.name, None, None], "trains and buses are classes"
    assert made("train")[1] == ["train", None, None]


def test_several_runs_are_not_mixed_with_one(tmp_path, capsys):
    folder(tmp_path / "photos", 20)
    run = ["finetune", str(tmp_path / "photos"), *QUICK, "--output", str(tmp_path / "out"), "--quiet"]
    assert main(run) == 0
    for several in (["--seeds", "2"], ["--k-folds", "2"]):
        assert main([*run, *several]) == 2
        assert "several cannot be kept below it" in capsys.readouterr().err
    assert not [p for p in (tmp_path / "out").iterdir() if p.is_dir()]


def test_a_run_goes_on_by_another_spelling_of_the_same_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "photos", 20)
    assert main(["finetune", "photos", *QUICK, "--output", "out", "--quiet"]) == 0
    assert main(["finetune", str(tmp_path / "photos"), *QUICK, "--output", "out", "--quiet", "--resume"]) == 0
