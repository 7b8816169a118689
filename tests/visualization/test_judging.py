"""Scores by class, intervals, calibration, comparison, test-time augmentation, and labels that are likely wrong."""

import csv
import os
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import mlkit
from mlkit import finetuning, layers
from mlkit import visualization as look
from mlkit.visualization.cleaning import suspects
from mlkit.visualization.scores import interval
from tests.photos import dark_and_light


def found(n=400, classes=4, accuracy=0.8, seed=0, noise=0.0, paths=True):
    """Predictions of which a share is right, and as sure as they are right."""
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(0).integers(0, classes, n)
    said = np.where(rng.random(n) < accuracy, labels, (labels + 1 + rng.integers(0, classes - 1, n)) % classes)
    p = np.full((n, classes), (1 - accuracy) / (classes - 1))
    p[np.arange(n), said] = accuracy
    names = [f"class {i}" for i in range(classes)]
    wrong = np.flatnonzero(said != labels)[:24]
    worst = [(accuracy, int(i), np.zeros((8, 8, 3))) for i in wrong]
    files = [os.path.join("photos", names[k], f"{i}.png") for i, k in enumerate(labels)]
    return look.Predictions(p, labels, names, worst, files if paths else None)


def test_scores_by_class_are_those_of_the_textbook():
    scores = look.ClassScores([[5, 1, 0], [2, 7, 0], [0, 0, 0]], ["a", "b", "c"])
    assert np.allclose(scores.recall, [5 / 6, 7 / 9, np.nan], equal_nan=True)
    assert np.allclose(scores.precision, [5 / 7, 7 / 8, np.nan], equal_nan=True)
    assert np.allclose(scores.f1, [10 / 13, 14 / 17, np.nan], equal_nan=True)
    assert [row[0] for row in scores.rows] == ["a", "b", "c"]
    assert scores.rows[0][-1] == "b (1)"
    assert scores.balanced_accuracy == pytest.approx((5 / 6 + 7 / 9) / 2)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_intervals_hold_what_they_promise(share):
    rng = np.random.default_rng(0)
    for n in (20, 200):
        hits = rng.binomial(n, share, 2000)
        inside = [low <= share <= high for low, high in (interval(int(k), n) for k in hits)]
        assert np.mean(inside) > 0.92


def test_calibration_of_the_honest_and_of_the_vain():
    honest = found(4000).calibration()
    assert honest.error < 0.03
    rng = np.random.default_rng(0)
    vain = look.Calibration(np.full(2000, 0.99), rng.random(2000) < 0.6)
    assert vain.error == pytest.approx(0.39, abs=0.03)
    ET.fromstring(vain.html())


def test_the_report_and_the_rows(tmp_path):
    p = found()
    page = p.report()
    ET.fromstring(f"<div>{page.html()}</div>")
    for words in ("95 %", "mean F1", "Calibration", "Confusion matrix", "By class, the worst first"):
        assert words in page.html()
    page.save(tmp_path / "r.png")
    p.to_csv(tmp_path / "p.csv", top=2)
    with open(tmp_path / "p.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 400
    assert np.mean([int(row["right"]) for row in rows]) == pytest.approx(p.accuracy)
    assert all(row["label"] in row["photo"] for row in rows)


def test_a_thousand_classes_fit_on_a_page():
    p = found(6000, 1200, 0.5)
    page = p.report().html()
    assert len(page) < 3e6
    assert "class 1199" in page
    assert "among the first five" in page


def test_comparing_two_models():
    a, b = found(accuracy=0.7, seed=1), found(accuracy=0.9, seed=2)
    better = look.compare(a, b, ["old", "new"])
    assert better.difference == pytest.approx(b.accuracy - a.accuracy)
    assert 0 < better.low < better.difference < better.high
    assert better.p < 1e-3
    assert "new is better" in str(better)
    ET.fromstring(f"<div>{better.html()}</div>")
    same = look.compare(a, a)
    assert (same.difference, same.p) == (0.0, 1.0)
    order = np.random.default_rng(0).permutation(400)
    assert look.compare(a, b.subset(order)).difference == better.difference, "paired by file"
    with pytest.raises(ValueError, match="same photos"):
        look.compare(a, b.subset(order[:10]))
    with pytest.raises(ValueError, match="labels differ"):
        look.compare(found(paths=False), found(paths=False).subset(order))


def test_intervals_of_differences_hold_what_they_promise():
    inside = 0
    for seed in range(60):
        pair = [found(accuracy=0.8, seed=2 * seed + k) for k in (1, 2)]
        difference = look.compare(*pair)
        inside += difference.low <= 0 <= difference.high
    assert inside >= 52


class TestCleaning:
    def test_flipped_labels_are_found(self):
        rng = np.random.default_rng(0)
        true = rng.integers(0, 3, 600)
        p = np.full((600, 3), 0.05)
        p[np.arange(600), true] = 0.9
        p += rng.random((600, 3)) * 0.1
        p /= p.sum(axis=1, keepdims=True)
        labels = true.copy()
        flipped = rng.choice(600, 20, replace=False)
        labels[flipped] = (true[flipped] + 1) % 3
        rows, better = suspects(p, labels)
        assert set(flipped) <= set(rows)
        assert len(rows) < 30
        assert (better[np.isin(rows, flipped)] == true[rows[np.isin(rows, flipped)]]).all()
        assert len(suspects(p[:5], true[:5] * 0)[0]) == 0, "one label only: nothing to compare with"

    @pytest.fixture
    def photos(self, tmp_path):
        dark_and_light(tmp_path / "p")
        os.rename(tmp_path / "p" / "light" / "l11.png", tmp_path / "p" / "dark" / "l11.png")
        return tmp_path / "p"

    def test_cross_validated_then_listed_then_moved(self, photos, tmp_path):
        mlkit.utils.set_random_seed(0)
        model = mlkit.Sequential(
            [
                mlkit.Input((16, 16, 3)),
                layers.Rescaling(1 / 255),
                layers.Conv2D(4, 3),
                layers.GlobalAveragePooling2D(),
                layers.Dense(2),
            ]
        )
        data = mlkit.utils.image_dataset_from_directory(photos, image_size=(16, 16), seed=1, verbose=False)
        listed = finetuning.cross_validated(model, data, epochs=30, learning_rate=0.03).to_clean()
        assert {os.path.basename(path) for path, *_ in listed.rows} == {"d07.png", "l11.png"}
        assert {(label, better) for _, label, better, _ in listed.rows} == {("light", "dark"), ("dark", "light")}
        assert listed.html().count("<img") == 2
        listed.save(tmp_path / "labels.csv")
        assert look.apply_labels(photos, tmp_path / "labels.csv") == [], "nothing is moved without being told"
        text = (tmp_path / "labels.csv").read_text()
        lines = text.splitlines()
        first, second = (line for line in lines[1:])
        (tmp_path / "labels.csv").write_text("\n".join([lines[0], f"{first}move", f"{second}REMOVE"]))
        moved = look.apply_labels(photos, tmp_path / "labels.csv")
        assert len(moved) == 2
        assert all(os.path.isfile(new) and not os.path.exists(old) for old, new in moved)
        assert str(photos) + "_removed" in moved[1][1]

    @pytest.mark.parametrize(
        "row, words",
        [
            ("light/l01.png,light,dark,0.9,delete", "actions are move and remove"),
            ("light/l99.png,light,dark,0.9,move", "there is no photo"),
            ("light/l01.png,light,purple,0.9,move", "no class 'purple'"),
            ("light/l01.png,light,../dark,0.9,move", "no class"),
            ("light/l01.png,light,..,0.9,move", "no class"),
            ("light/l01.png,../../x,dark,0.9,remove", "no class"),
            ("/etc/hostname,light,dark,0.9,move", "does not lie in"),
            ("light/l01.png,light,light,0.9,move", "already"),
            ("light/l01.png,light,dark,0.9,move\nlight/l01.png,light,dark,0.9,move", "already"),
        ],
    )
    def test_nothing_is_moved_if_a_row_is_wrong(self, photos, tmp_path, row, words):
        (tmp_path / "l.csv").write_text(f"photo,label,suggested,probability,action\nlight/l00.png,light,dark,0.9,move\n{row}\n")
        before = sorted(os.walk(photos))
        with pytest.raises(ValueError, match=words):
            look.apply_labels(photos, tmp_path / "l.csv")
        assert sorted(os.walk(photos)) == before


def test_augmentation_at_test_time():
    x = np.random.default_rng(0).random((6, 8, 8, 3)).astype("float32")
    y = np.arange(6) % 2

    class LeftOrRight(mlkit.Model):
        def call(self, x):
            p = mlkit.ops.sigmoid(mlkit.ops.mean(x[:, :, :4], axis=(1, 2, 3)) - mlkit.ops.mean(x[:, :, 4:], axis=(1, 2, 3)))
            return mlkit.ops.stack([1 - p, p], axis=1)

    model = LeftOrRight()
    both = look.predictions_of(model, x, y, augment="flip")
    mean = (
        look.predictions_of(model, x, y).probabilities + look.predictions_of(model, x[:, :, ::-1].copy(), y).probabilities
    ) / 2
    assert np.allclose(both.probabilities, mean, atol=1e-6)
    assert np.allclose(both.probabilities, 0.5, atol=1e-3)
    layer = layers.RandomFlip("horizontal", seed=1)
    several = look.predictions_of(model, x, y, augment=layer, times=8)
    assert not np.allclose(several.probabilities, look.predictions_of(model, x, y).probabilities)
    with pytest.raises(ValueError, match="'flip'"):
        look.predictions_of(model, x, y, augment="rotate")


def test_several_labels_a_photo_are_refused():
    model = mlkit.Sequential([mlkit.Input((4, 4, 3)), layers.Flatten(), layers.Dense(3, "sigmoid")])
    with pytest.raises(ValueError, match="several a photo"):
        look.predictions_of(model, np.zeros((2, 4, 4, 3)), np.array([[1, 1, 0], [0, 1, 0]]))
