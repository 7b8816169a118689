"""Pictures as HTML without matplotlib, and as figures with it."""

import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit import visualization as look
from tests.finetuning.pictures import pictures, small_net

HISTORY = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.2, np.nan], "accuracy": [0.2, 0.5, 0.9]}


def every_picture():
    search = mlkit.finetuning.LearningRateSearch(np.geomspace(1e-5, 1, 30), np.linspace(2, 1, 30))
    return {
        "chart": look.LineChart({"a < b": ([0, 1], [3, 4])}, "A & B"),
        "one point": look.LineChart({"a": ([1], [0.5])}),
        "nothing": look.LineChart({"a": ([], [])}),
        "search": search.plot(),
        "curves": look.learning_curves(HISTORY, head_epochs=1),
        "matrix": look.confusion_matrix([0, 1, 1], [0, 1, 0], ["<cat>", "dog"]),
        "pages in a page": look.Page("All", look.learning_curves(HISTORY), "words", look.LineChart({"a": ([0], [1])})),
        "gallery": look.Gallery([np.zeros((4, 4, 3)), np.ones((4, 4, 1))], ["one", "two"], "Two"),
        "photos": look.Gallery([np.full((64, 80, 3), 7, "uint8"), np.zeros((64, 64, 4))], ["photo", "alpha"]),
        "empty gallery": look.Gallery([], []),
    }


@pytest.mark.parametrize("name", every_picture())
def test_html_is_well_formed_and_figures_are_drawn(name, tmp_path):
    picture = every_picture()[name]
    page = picture._repr_html_()
    ET.fromstring(f"<div>{page}</div>")
    picture.save(tmp_path / "p.html")
    assert page in (tmp_path / "p.html").read_text(encoding="utf-8")
    picture.save(tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    picture = every_picture()["chart"]
    assert "<svg" in picture.html()
    with pytest.raises(ImportError, match="pip install matplotlib"):
        picture.figure()


def test_curves_of_what_fit_and_finetune_return():
    model = mlkit.Sequential([mlkit.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(
        np.ones((4, 2)), np.ones((4, 1)), epochs=2, validation_data=(np.ones((4, 2)), np.ones((4, 1))), verbose=0
    )
    page = look.learning_curves(history)
    assert [c.title for c in page.parts] == ["loss", "mae"]
    assert set(page.parts[0].lines) == {"training", "validation"}
    assert look.learning_curves(HISTORY, head_epochs=2).parts[0].marks == {"all layers": 2.5}
    with pytest.raises(ValueError, match="empty"):
        look.learning_curves({})


def test_confusion():
    matrix = look.confusion_matrix([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], [0, 0, 2, 0], ["a", "b", "c"])
    assert matrix.counts.tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 1]]
    assert matrix.accuracy == 0.5
    assert matrix.most_confused() == [("b", "a", 1), ("c", "a", 1)]
    assert look.confusion_matrix([0, 1], [[0.2], [0.9]]).counts.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="2 labels, but 3"):
        look.confusion_matrix([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="class names"):
        look.ConfusionMatrix(np.eye(2), ["a"])


class Always(mlkit.Model):
    """Says class 1, the surer the brighter the image."""

    def __init__(self, single=False):
        super().__init__()
        self.single = single

    def call(self, x):
        p = 0.5 + mlkit.ops.mean(x, axis=(1, 2, 3)) / 520
        return p[:, None] if self.single else mlkit.ops.stack([1 - p, p], axis=1)


@pytest.mark.parametrize("single", [False, True])
def test_most_wrong(single):
    x = np.stack([np.full((4, 4, 3), v) for v in (10, 200, 100, 255)]).astype("float32")
    y = np.array([0, 0, 1, 0])
    found = look.predictions_of(Always(single), iter([(x[:2], y[:2]), (x[2:], y[2:])]), class_names=["dark", "light"], keep=2)
    assert found.accuracy == 0.25
    assert [i for _, i, _ in found.worst] == [3, 1]
    gallery = found.most_wrong()
    assert gallery.captions == ["dark, but 99% light", "dark, but 88% light"]
    assert gallery.images[0].max() == 255
    assert found.confusion_matrix().counts.tolist() == [[0, 3], [0, 1]]
    confused = found.most_confused(1)
    assert confused.title == "Most confused: dark taken for light, 3 times"
    assert len(confused) == 1
    right = look.predictions_of(Always(single), x[2:3], y[2:3])
    assert len(right.most_wrong()) == 0 == len(right.most_confused())


class TestGradCam:
    def trained(self, nested=False):
        x, y = pictures(64)
        mlkit.utils.set_random_seed(0)
        inputs = mlkit.Input((16, 16, 3))
        maps = layers.Conv2D(8, 3, padding="same", activation="relu", name="maps")
        if nested:
            base = mlkit.Sequential([mlkit.Input((16, 16, 3)), layers.Rescaling(1 / 255), maps], name="base")(inputs)
        else:
            base = maps(layers.Rescaling(1 / 255)(inputs))
        rows = layers.Flatten()(layers.AveragePooling2D(8)(base))
        model = mlkit.Model(inputs, layers.Dense(2, activation="softmax")(rows))
        model.compile(mlkit.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=12, batch_size=16, verbose=0)
        return model, x, y

    def test_it_is_the_formula_of_the_paper(self):
        model, x, _ = self.trained()
        conv, dense = model.get_layer("maps"), model.layers[-1]
        conv_out = mlkit.Model(model.input, conv.output).predict(x[:2], verbose=0)
        # the score is linear in the maps after pooling: its gradient is the dense weight over the 64 pooled positions
        gradient = dense.kernel.numpy()[:, 1].reshape(2, 2, 8).mean(axis=(0, 1)) / 64
        expected = np.maximum((conv_out * gradient).sum(-1), 0)
        expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-12)
        found = look.grad_cam(model, x[:2], classes=1, layer="maps")
        assert np.allclose(found.maps, expected, atol=1e-4)

    def test_it_finds_the_layer_and_leaves_the_model_as_it_was(self):
        model, x, y = self.trained(nested=True)
        before = model.predict(x[:4], verbose=0)
        found = look.grad_cam(model, x[:4], class_names=["below", "above"])
        assert found.maps.shape == (4, 16, 16)
        assert 0 <= found.maps.min()
        assert found.maps.max() <= 1
        assert found.captions[1] == "above"
        assert "img" in found.html()
        assert np.array_equal(before, model.predict(x[:4], verbose=0))
        model.freeze()  # gradients of activations are there all the same
        assert np.allclose(look.grad_cam(model, x[:4]).maps, found.maps)

    def test_messages(self):
        model = small_net()
        with pytest.raises(ValueError, match="no layer 'conv9'"):
            look.grad_cam(model, pictures(2)[0], layer="conv9")
        with pytest.raises(ValueError, match="was not called"):
            look.grad_cam(model, pictures(2)[0], layer=layers.Conv2D(1, 1))
        dense = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(2)])
        with pytest.raises(ValueError, match="no layer with outputs"):
            look.grad_cam(dense, np.ones((1, 3)))
