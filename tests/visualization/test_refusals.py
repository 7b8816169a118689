"""What judging and cleaning refuse, in words, and what a single score looks like."""

import os

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit import visualization as look
from mlkit.pictures.picture import Picture
from mlkit.visualization.cleaning import ToClean

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


def predictions(labels=(0, 1, 1), names=("a", "b"), files=("1", "2", "3")):
    return look.Predictions(P[: len(labels)], np.array(labels), list(names), [], list(files))


OTHERS = {
    "classes": ({"names": ("a", "c")}, "the classes differ"),
    "files": ({"files": ("1", "2", "4")}, "the files differ"),
    "labels": ({"labels": (0, 1, 0)}, "the labels differ"),
    "count": ({"labels": (0, 1), "files": ("1", "2")}, "3 photos and 2"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_models_are_compared_on_the_same_photos(name):
    options, words = OTHERS[name]
    with pytest.raises(ValueError, match=words):
        look.compare(predictions(), predictions(**options))


def test_photos_in_another_order_are_put_in_order():
    turned = look.Predictions(P[::-1], np.array([1, 1, 0]), ["a", "b"], [], ["3", "2", "1"])
    assert look.compare(predictions(), turned).difference == 0


def net(units=2, activation="softmax"):
    inside = [layers.Conv2D(2, 3, name="maps"), layers.Flatten(), layers.Dense(units, activation=activation)]
    return mlkit.Sequential([mlkit.Input((4, 4, 1)), *inside])


X = np.random.default_rng(0).random((3, 4, 4, 1), dtype="float32")


def test_predictions_that_cannot_be_judged():
    with pytest.raises(ValueError, match="the data has no labels"):
        look.predictions_of(net(), X)
    with pytest.raises(ValueError, match=r"must give \(batch, classes\), but gave shape \(3, 1, 2\)"):
        look.predictions_of(mlkit.Sequential([net(), layers.Reshape((1, 2))]), X, np.zeros(3))
    model = net()
    model.image_task = mlkit.models.ImageTask(["cat", "dog"])
    with pytest.raises(ValueError, match="the model's classes are cat, dog, but those of the data are dog, cat"):
        look.predictions_of(model, X, np.zeros(3), class_names=["dog", "cat"])


def test_grad_cam_of_one_score_counts_for_either_class():
    model = net(1, "sigmoid")
    for_one, against = (look.grad_cam(model, X, classes=k, layer="maps").maps for k in (1, 0))
    assert for_one.shape == (3, 4, 4)
    assert not np.array_equal(for_one, against)


def test_grad_cam_needs_scores():
    with pytest.raises(ValueError, match="one row of scores an image, but gave shape"):
        look.grad_cam(mlkit.Sequential([mlkit.Input((4, 4, 1)), layers.Conv2D(2, 3, name="maps")]), X, layer="maps")


def rows(path, *lines):
    path.write_text("photo,label,suggested,probability,action\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def photos(tmp_path):
    for name in ("a/1.jpg", "a/2.jpg", "b/3.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"")
    return tmp_path / "photos"


def test_a_table_that_is_none_moves_nothing(photos, tmp_path):
    (tmp_path / "t.csv").write_text("photo,label\na/1.jpg,a\n")
    with pytest.raises(ValueError, match=r"lacks the columns \['action', 'suggested'\]"):
        look.apply_labels(photos, tmp_path / "t.csv")
    with pytest.raises(ValueError, match="row 2 of .* has more cells than the first"):
        look.apply_labels(photos, rows(tmp_path / "t.csv", f"{photos}/a/1.jpg,a,b,0.9,move,more"))


def test_moves_are_taken_back_where_one_fails(photos, tmp_path, monkeypatch):
    listed = rows(tmp_path / "t.csv", *(f"{photos}/a/{i}.jpg,a,b,0.9,move" for i in (1, 2)))
    rename = os.rename

    def failing(old, new):
        if str(old).endswith("2.jpg"):
            raise OSError(28, "No space left on device")
        rename(old, new)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(ValueError, match=r"nothing was moved, for .*2.jpg' cannot be: No space left"):
        look.apply_labels(photos, listed)
    assert sorted(p.name for p in (photos / "a").iterdir()) == ["1.jpg", "2.jpg"]


def test_suspects_in_all_forms(tmp_path):
    pictured = np.full((4, 4, 3), 7, "uint8")
    found = ToClean([("1.jpg", "a", "b", 0.9), ("gone.jpg", "b", "a", 0.8)], {"1.jpg": pictured})
    assert len(found) == 2
    assert "gone.jpg" in str(found)
    for name in ("s.csv", "s.html", "s.png"):
        found.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100 or name == "s.csv"
    assert (tmp_path / "s.csv").read_text().splitlines()[1] == "1.jpg,a,b,0.9000,"


def test_pictures_that_do_not_fit_or_draw_nothing():
    with pytest.raises(ValueError, match=r"must be \(x, y\), arrays of one length, but has shapes \(2,\) and \(3,\)"):
        look.LineChart({"a": ([1, 2], [1, 2, 3])})
    with pytest.raises(ValueError, match="Gallery: 2 images, but 1 captions"):
        look.Gallery([np.zeros((4, 4, 3))] * 2, ["one"])
    with pytest.raises(NotImplementedError, match=r"Picture must define html\(self\)"):
        Picture().html()
    assert repr(look.LineChart({"a": ([1], [1])}, "Loss")) == "<LineChart 'Loss'>"
