"""A folder with every oddity is looked at, and each is named; one without any is said to have none."""

import json
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from mlkit import data
from mlkit.__main__ import main


def photo(path, seed, size=(40, 50)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3)).astype("uint8")).save(path)


@pytest.fixture
def odd(tmp_path):
    place = tmp_path / "photos"
    for i in range(12):
        photo(place / "cat" / f"{i}.png", i)
    for i in range(3):
        photo(place / "犬 🐶" / f"{i}.jpg", 100 + i)
    (place / "empty").mkdir()
    shutil.copy(place / "cat" / "0.png", place / "cat" / "copy.png")
    shutil.copy(place / "cat" / "1.png", place / "犬 🐶" / "mislabelled.png")
    (place / "cat" / "cut.jpg").write_bytes((place / "犬 🐶" / "0.jpg").read_bytes()[:400])
    (place / "cat" / "text.png").write_text("no image")
    (place / "cat" / "nothing.png").write_bytes(b"")
    photo(place / "cat" / "long.png", 50, (40, 400))
    photo(place / "cat" / "tiny.png", 51, (8, 8))
    shutil.copy(place / "cat" / "2.png", place / "cat" / "a_png.jpg")
    (place / "cat" / "notes.txt").write_text("words")
    (place / "cat" / "._0.png").write_bytes(b"of a Mac")
    (place / "cat" / "photo.heic").write_bytes(b"?")
    (place / "__MACOSX").mkdir()
    return place


def test_every_oddity_is_named(odd):
    found = data.verify_images(odd, verbose=False)
    assert found.classes == {"cat": 16, "犬 🐶": 4}
    assert sorted(p.rpartition("/")[2] for p in found.broken) == ["cut.jpg", "nothing.png", "text.png"]
    assert len(found.duplicates) == 3
    text = "\n".join(found.problems)
    for words in (
        "3 photos cannot be read: cat/cut.jpg",
        "1 photo in several classes, the same to the byte: cat/1.png = 犬 🐶/mislabelled.png",
        "3 photos are a copy",
        "1 class without a photo: empty",
        "1 class with fewer than 10 photos: 犬 🐶 (4)",
        "1 photo more than 3 times as long as wide: cat/long.png",
        "1 photo of fewer than 32 pixels a side: cat/tiny.png",
        "1 photo of another kind than the name says: cat/a_png.jpg",
        "1 .heic file: pip install pillow-heif",
    ):
        assert words in text
    page = found.html()
    ET.fromstring(f"<div>{page}</div>")
    assert page.count("<img") == 6
    assert "17 photos of 2 classes" not in str(found)
    assert "20 photos of 2 classes: 17 PNG, 3 JPEG" in str(found)


def test_parts_and_classes_that_differ(tmp_path):
    for part, names in {"train": ["a", "b", "c"], "val": ["a", "b"], "test": ["a", "b", "c", "d"]}.items():
        for k, name in enumerate(names):
            for i in range(10):
                photo(tmp_path / part / name / f"{i}.png", [len(part), k, i, ord(part[-1])])
    shutil.copy(tmp_path / "train" / "a" / "0.png", tmp_path / "test" / "a" / "again.png")
    found = data.verify_images(tmp_path, verbose=False)
    text = "\n".join(found.problems)
    assert found.parts == {"train": 30, "val": 20, "test": 41}
    assert "val and train hold different classes: c in one of them only" in text
    assert "test and train hold different classes: d in one of them only" in text
    assert "1 photo in several parts, the same to the byte: test/a/again.png = train/a/0.png" in text
    assert "a         10   10    11" in str(found)


def test_a_good_folder_has_no_problems(tmp_path, capsys):
    for i in range(20):
        photo(tmp_path / "good" / "ab"[i % 2] / f"{i}.png", i)
    assert data.verify_images(tmp_path / "good").problems == []
    assert "20/20" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert data.verify_images(tmp_path / "empty", verbose=False).problems == ["There are no photos."]
    with pytest.raises(FileNotFoundError):
        data.verify_images(tmp_path / "nowhere")


def test_the_command(odd, tmp_path, capsys):
    page = tmp_path / "p.html"
    assert main(["photos", str(odd), "--html", str(page)]) == 1
    assert "- 3 photos cannot be read" in capsys.readouterr().out
    assert "<img" in page.read_text(encoding="utf-8")
    assert main(["photos", str(odd), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["classes"] == {"cat": 16, "犬 🐶": 4}
    assert main(["photos", str(odd / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
