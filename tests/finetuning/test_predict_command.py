"""`mlkit predict`: rows for all photos, as they are ready, and words about those that cannot be read."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

import mlkit
from mlkit import layers
from mlkit.__main__ import main

NAMES = ["dark", "明るい 🌞"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    inputs = mlkit.Input((8, 8, 3))
    out = layers.Dense(2, "softmax")
    model = mlkit.Model(inputs, out(layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255, offset=-0.5)(inputs))))
    out.set_weights([np.ones((3, 2)) * [-3, 3], np.zeros(2)])
    model.image_task = mlkit.models.ImageTask(NAMES, (8, 8))
    model.save(tmp_path / "m.keras")
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for i in range(7):
        Image.fromarray(np.full((30, 40, 3), 20 + 35 * i, "uint8")).save(tmp_path / "photos" / f"{i}, 猫.png")
    (tmp_path / "photos" / "more" / "broken.jpg").write_bytes(b"?")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_csv_and_a_page(place, capsys):
    assert main("predict m.keras photos --csv out.csv --top 2 --html --batch-size 3".split()) == 1
    shown = capsys.readouterr()
    assert "broken.jpg: UnidentifiedImageError" in shown.err
    assert "1 of 8 photos could not be read." in shown.err
    with open(place / "out.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class_1"] for row in rows] == [NAMES[0]] * 4 + [NAMES[1]] * 3 + [""]
    assert len(rows) == 8
    assert float(rows[0]["probability_1"]) + float(rows[0]["probability_2"]) == pytest.approx(1, abs=1e-5)
    assert rows[-1]["error"].startswith("UnidentifiedImageError")
    page = (place / "predictions.html").read_text(encoding="utf-8")
    assert page.count("<img") == 7
    least = re.search(r"title=\"photos/(\d), 猫.png\"", page)[1]
    assert least == "3", "the middle one is the least sure"


def test_lines_and_json(place, capsys):
    assert main(["predict", "m.keras", "photos/0, 猫.png", "photos/6, 猫.png"]) == 0
    assert [line.split("\t")[1].split()[0] for line in capsys.readouterr().out.splitlines()] == ["dark", "明るい"]
    assert main(["predict", "m.keras", "photos", "--json", "--quiet"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 8
    assert found[0]["classes"][0]["name"] == "dark"
    assert "error" in found[-1]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("predict nothing.keras photos", "nothing.keras"),
        ("predict m.keras nowhere", "nowhere"),
        ("predict photos/more/broken.jpg photos", "broken.jpg"),
        ("predict m.keras photos --csv no/where.csv", "where.csv"),
        ("predict m.keras photos --html no/where.html", "no folder"),
        ("predict m.keras photos --top 0", "top"),
    ],
)
def test_mistakes_are_one_line_and_status_2(place, capsys, arguments, words):
    assert main(arguments.split()) == 2
    shown = capsys.readouterr().err
    assert words in shown
    assert shown.count("\n") == 1


@pytest.mark.filterwarnings("default:photos. 1 .heic file:UserWarning")
def test_what_is_passed_over_is_said_in_one_line(place, capsys):
    (place / "photos" / "new.heic").touch()
    assert main("predict m.keras photos --quiet --csv a.csv".split()) in (0, 1)
    assert capsys.readouterr().err.startswith("mlkit predict: photos: 1 .heic file: pip install pillow-heif.\n")


def test_numbers_have_the_names_of_their_columns(place, capsys):
    inputs = mlkit.Input((None, None, 3))
    model = mlkit.Model(inputs, mlkit.layers.Dense(2)(mlkit.layers.GlobalAveragePooling2D()(inputs)))
    model.image_task = mlkit.models.ImageTask(["age", "height"], (8, 8), kind="values")
    model.save(place / "numbers.keras")
    assert main("predict numbers.keras photos --json --csv n.csv --html n.html".split()) in (0, 1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    values = [list(line["values"]) for line in lines if "values" in line]
    assert values
    assert all(names == ["age", "height"] for names in values)
    assert (place / "n.csv").read_text(encoding="utf-8-sig").startswith("photo,age,height,error\n")
    assert "height" in (place / "n.html").read_text(encoding="utf-8")
    assert main("predict numbers.keras photos --top 1".split()) == 2
    assert main("judge numbers.keras photos".split()) == 2
    assert "predicts numbers" in capsys.readouterr().err
