"""`mlkit judge` and `mlkit clean` on a folder whose photos are easy, but for two in the wrong sub-folder."""

import csv
import json
import os
import shutil

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.__main__ import main
from tests.photos import dark_and_light


def brightness(sure=6.0):
    inputs = mlkit.Input((16, 16, 3))
    x = layers.Conv2D(3, 3, name="c")(layers.Rescaling(1 / 255, offset=-0.5)(inputs))
    out = layers.Dense(2, "softmax")
    model = mlkit.Model(inputs, out(layers.GlobalAveragePooling2D()(x)))
    model.get_layer("c").set_weights([np.tile(np.eye(3)[None, None] / 9, (3, 3, 1, 1)), np.zeros(3)])
    out.set_weights([np.ones((3, 2)) * [-sure, sure], np.zeros(2)])
    model.image_task = mlkit.models.ImageTask(["dark", "light"], (16, 16))
    return model


@pytest.fixture
def place(tmp_path, monkeypatch):
    dark_and_light(tmp_path / "p")
    brightness().save(tmp_path / "good.keras")
    brightness(-6.0).save(tmp_path / "bad.keras")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_judging(place, capsys):
    assert main("judge good.keras p --against bad.keras --html r.html --csv r.csv --flip".split()) == 0
    shown = capsys.readouterr().out
    assert "Accuracy 98.3% of 60 photos (95 %: 9" in shown
    assert "good is better" in shown
    assert "1 x light taken for dark" in shown
    page = (place / "r.html").read_text(encoding="utf-8")
    for words in ("d07.png", "Grad-CAM", "Calibration", "Two models"):
        assert words in page
    with open("r.csv", encoding="utf-8") as file:
        assert [row["photo"][-7:] for row in csv.DictReader(file) if row["right"] == "0"] == ["d07.png"]
    assert main("judge good.keras p --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == pytest.approx(59 / 60)


def test_cleaning(place, capsys):
    assert main("clean p --model good.keras --html".split()) == 0
    assert "1 labels are likely wrong: see labels.csv" in capsys.readouterr().out
    assert "<img" in (place / "labels.html").read_text(encoding="utf-8")
    assert main("clean p --apply labels.csv".split()) == 0
    assert "0 photos were moved." in capsys.readouterr().out
    assert main("clean p --apply labels.csv --json".split()) == 0
    assert json.loads(capsys.readouterr().out) == {"moved": []}
    assert main("clean p --model good.keras --csv again.csv --json".split()) == 0
    assert json.loads(capsys.readouterr().out) == {"listed": 1, "csv": "again.csv", "html": None}
    text = (place / "labels.csv").read_text().rstrip()
    (place / "labels.csv").write_text(text + "move\n")
    assert main("clean p --apply labels.csv".split()) == 0
    assert (place / "p" / "dark" / "d07.png").exists()
    assert not (place / "p" / "light" / "d07.png").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("clean p", "pass --model"),
        ("clean p --apply nothing.csv", "nothing.csv"),
        ("judge nothing.keras p", "nothing.keras"),
        ("judge good.keras nowhere", "nowhere"),
        ("judge good.keras p/dark", "no sub-folders"),
        ("judge good.keras p --html nowhere/r.html", "no folder"),
        ("judge good.keras p --csv p", "a folder has that name"),
        ("clean p --model good.keras --csv nowhere/l.csv", "no folder"),
    ],
)
def test_mistakes_are_one_line_and_status_2(place, capsys, arguments, words):
    assert main(arguments.split()) == 2
    shown = capsys.readouterr().err
    assert words in shown
    assert shown.count("\n") == 1


def test_all_are_moved_or_none(place, capsys):
    (place / "p_removed").mkdir()
    (place / "p_removed" / "light").touch()  # where a folder must be made
    rows = [
        "photo,label,suggested,probability,action",
        "p/light/d07.png,light,dark,0.9,move",
        "p/light/l01.png,light,dark,0.9,remove",
    ]
    (place / "labels.csv").write_text("\n".join(rows))
    assert main("clean p --apply labels.csv".split()) == 2
    assert "nothing was moved, for" in capsys.readouterr().err
    assert (place / "p" / "light" / "d07.png").exists()


def test_a_decision_in_a_cell_of_no_column_is_refused(place, capsys):
    (place / "labels.csv").write_text("photo,label,suggested,probability,action\np/light/d07.png,light,dark,0.9,,move\n")
    assert main("clean p --apply labels.csv".split()) == 2
    assert "row 2 of labels.csv has more cells" in capsys.readouterr().err
    assert (place / "p" / "light" / "d07.png").exists()


def test_parts_of_a_folder_are_judged_one_at_a_time(place, capsys):
    os.makedirs("all/train")
    os.rename("p", "all/test")
    assert main("judge good.keras all".split()) == 2
    assert "pass one of them, such as 'all/test'" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:p. no photo of light:UserWarning")
def test_a_class_without_a_photo_is_said_and_the_others_are_judged(place, capsys):
    shutil.rmtree("p/light")
    assert main("judge good.keras p --json".split()) == 0
    shown = capsys.readouterr()
    assert shown.err == "mlkit judge: p: no photo of light.\n"
    assert json.loads(shown.out)["photos"] == 29


def test_classes_of_one_photo_are_not_judged_by_it():
    p = [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]]
    rows, suggested = mlkit.visualization.cleaning.suspects(p, [0, 0, 1, 1, 2])
    assert len(rows) == len(suggested) == 0


def test_classes_in_another_order_are_refused(place):
    data = mlkit.utils.image_dataset_from_directory(
        place / "p", class_names=["light", "dark"], image_size=(16, 16), verbose=False
    )
    with pytest.raises(ValueError, match="mean something else"):
        mlkit.visualization.predictions_of(brightness(), data)
