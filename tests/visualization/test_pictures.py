"""Pictures as HTML without matplotlib, and as figures with it."""

import re
import sys
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit import visualization as look
from mlkit.visualization.activation_maps import ActivationMaps
from tests.finetuning.pictures import pictures, small_net

HISTORY = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.2, np.nan], "accuracy": [0.2, 0.5, 0.9]}


def every_picture():
    search = mlkit.finetuning.LearningRateSearch(np.geomspace(1e-5, 1, 30), np.linspace(2, 1, 30))
    return {
        "chart": look.LineChart({"a < b": ([0, 1], [3, 4])}, "A & B"),
        "one point": look.LineChart({"a": ([1], [0.5])}),
        "nothing": look.LineChart({"a": ([], [])}),
        "odd labels": look.LineChart({"_a": ([1], [2]), "": ([1, 2], [3, 4])}, marks={"_m": 1.5}),
        "marks alone": look.LineChart({}, marks={"<b>": 3}),
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
        model, x, _y = self.trained(nested=True)
        before = model.predict(x[:4], verbose=0)
        found = look.grad_cam(model, x[:4], class_names=["below", "above"])
        assert found.maps.shape == (4, 16, 16)
        assert found.maps.min() >= 0
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

    def test_a_flat_map_shows_no_red_and_the_scale_is_told(self, tmp_path):
        images, maps = np.full((2, 16, 16, 3), 100, "uint8"), np.ones((2, 16, 16))
        maps[1, :8] = 0
        found = ActivationMaps(images, maps, ["flat", "half"])
        assert np.ptp(found.images[0].reshape(-1, 3), axis=1).max() == 0, "grey stays grey"
        assert found.images[1][12, 8, 0] > found.images[1][12, 8, 2] + 100
        assert np.ptp(found.images[1][2, 8]) == 0
        assert found.flat == [0]
        assert "no place stands out: 1." in found.html()
        assert "linear-gradient" in found.html()
        found.save(tmp_path / "m.png")

    @pytest.mark.parametrize("kind", ["subclass", "pooled", "softmax layer", "nested at the end", "activation layer"])
    def test_small_networks_of_all_kinds(self, kind):
        mlkit.utils.set_random_seed(0)
        conv, pool, dense = (
            layers.Conv2D(4, 3, name="c"),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Dense(2, name="d"),
        )
        if kind == "subclass":

            class Own(mlkit.Model):
                def __init__(self):
                    super().__init__()
                    self.out, self.conv = layers.Dense(2, activation="softmax"), conv  # in another order than they run

                def call(self, x):
                    return self.out(mlkit.ops.mean(self.conv(x), axis=(1, 2)))

            model = Own()
        else:
            end = {"softmax layer": [layers.Softmax()], "activation layer": [layers.Activation("softmax")]}.get(kind, [])
            head = [pool, layers.Flatten(), dense, *end]
            if kind == "nested at the end":
                dense.activation = mlkit.activations.softmax
                head = [mlkit.Sequential(head)]
            model = mlkit.Sequential([mlkit.Input((16, 16, 3)), conv, *head])
        x = np.random.default_rng(0).random((2, 16, 16, 3)).astype("float32")
        x[0, :8] *= 50
        before = model.predict(x, verbose=0)
        found = look.grad_cam(model, x, classes=1)
        assert found.maps.shape == (2, 16, 16)
        assert np.ptp(found.maps[0]) > 0.1, "maps of one place are not looked at"
        assert np.array_equal(model.predict(x, verbose=0), before)


@pytest.mark.parametrize("names", [["$5 note$", "a_{b$", "x" * 200], ["猫", "犬と猫" * 30, "🐱🐶"], ["<b>", '"&', "\udce4"]])
def test_names_of_all_kinds(names, tmp_path):
    gallery = look.Gallery([np.zeros((8, 8, 3))] * 3, names, names[2], hints=names)
    table = look.Table(["name", names[1]], [[n, 1] for n in names], names[0])
    chart = look.LineChart({n: ([0, 1], [i, 2]) for i, n in enumerate(names)}, names[0], names[1], names[2])
    page = look.Page(names[0], look.ConfusionMatrix(np.eye(3, dtype=int), names), gallery, table, chart)
    ET.fromstring(f"<div>{page.html()}</div>")
    page.save(tmp_path / "p.html")
    if names[2] != "\udce4":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a machine may have no font for them
            page.save(tmp_path / "p.png")


def test_a_font_that_lacks_characters_is_told_in_one_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("mlkit.pictures.picture.families", lambda: ["DejaVu Sans"])
    with pytest.warns(UserWarning, match="install one") as told:
        look.Gallery([np.zeros((8, 8, 3))] * 2, ["猫", "犬"]).save(tmp_path / "p.png")
    assert len(told) == 1


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.8, 0.89, 0.91, 1])
def test_numbers_of_the_confusion_matrix_can_be_read_on_any_page(share):
    n = round(1000 * share)
    page = look.ConfusionMatrix([[n, 1000 - n], [0, 1000]], ["a", "b"]).html()
    cells = re.findall(r"background:rgb\((\d+),(\d+),(\d+)\);color:(white|black)", page)
    assert len(cells) == 4

    def luminance(color):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (int(v) / 255 for v in color)]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for *background, ink in cells:
        light, dark = sorted([luminance(background), 1.0 if ink == "white" else 0.0], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4, "the contrast that text needs (WCAG)"


def test_a_thousand_classes_stay_small():
    counts = np.random.default_rng(0).integers(0, 3, (1200, 1200))
    matrix = look.ConfusionMatrix(counts, [f"class {i}" for i in range(1200)])
    assert len(matrix.html()) < 1e6
    assert "30 of 1200 classes" in matrix.html()
    matrix.figure()


def test_a_table_as_text_and_searchable():
    table = look.Table(["name", "n"], [[f"n{i}", i] for i in range(100)], "Many")
    assert "oninput" in table.html()
    assert str(table).splitlines()[-1] == "n99   99"
    assert "oninput" not in look.Table(["n"], [[1]]).html()


def test_objects_show_themselves(tmp_path):
    for i in range(6):
        (tmp_path / "p" / ("cat" if i % 2 else "dog")).mkdir(parents=True, exist_ok=True)
        mlkit.utils.save_img(
            tmp_path / "p" / ("cat" if i % 2 else "dog") / f"{i}.png", np.full((20, 20, 3), 40 * i), scale=False
        )
    (tmp_path / "p" / "cat" / "broken.png").write_bytes(b"no image")
    data = mlkit.utils.image_dataset_from_directory(
        tmp_path / "p", image_size=(16, 16), batch_size=4, seed=1, verbose=False, on_corrupt="skip"
    )
    passes = data._passes
    shown = data._repr_html_()
    assert "cat" in shown
    assert shown.count("<img") in (3, 4)
    assert data.augment(layers.RandomFlip(), seed=1)._repr_html_().count("<img") == shown.count("<img")
    assert data._passes == passes, "showing is no pass"
    assert mlkit.data.Dataset.from_tensor_slices(np.zeros((3, 5)))._repr_html_() is None
    assert mlkit.data.Dataset.from_tensor_slices(np.zeros((3, 8, 8, 3)))._repr_html_().count("<img") == 1
    found = look.predictions_of(Always(), data)
    assert len(found.file_paths) == 6 == len(found.labels)
    for path, label in zip(found.file_paths, found.labels):  # shuffled, one unreadable: still paired
        assert data.class_names[label] in path
    assert all(".png" in caption for caption in found.most_wrong().captions)
    assert "Accuracy" in found._repr_html_()
    history = mlkit.callbacks.History()
    assert history._repr_html_() is None
    history.history = HISTORY
    assert "<svg" in history._repr_html_()


def test_show_batch_shows_what_the_network_sees():
    x = np.tile(np.arange(8, dtype="float32")[:, None, None], (4, 1, 8, 3)) * 20
    flip = layers.RandomFlip("vertical", seed=1)
    plain, changed = (look.show_batch(x, np.array([[1, 0], [0, 1], [1, 1], [0, 0]]), augment=a) for a in (None, flip))
    assert plain.captions == ["0", "1", "0 + 1", "none"]
    assert not np.array_equal(plain.images, changed.images)
    with pytest.raises(ValueError, match="batches of images"):
        look.show_batch(np.zeros((3, 4)))


def test_the_legend_lies_outside_the_plot():
    """Whatever the lines do, what they are stands above the frame, in rows that end within the page."""
    lines = {f"line number {i}, with a name": ([0, 1], [0, i]) for i in range(5)}
    page = ET.fromstring(look.LineChart(lines, marks={"a mark": 0.5}).html())
    whole, plot = page.find("{*}rect"), page.find("{*}g[@transform]")
    top = float(plot.get("transform").split()[1].rstrip(")")) + min(float(line.get("y2")) for line in plot.findall("{*}line"))
    entries = page.findall("{*}text")
    assert [e.text for e in entries] == [*lines, "a mark"]
    assert all(float(e.get("y")) < top for e in entries)
    assert len({(e.get("x"), e.get("y")) for e in entries}) == 6
    assert max(float(e.get("x")) for e in entries) < float(whole.get("width"))
