"""Models that know their classes: what is kept in the file, what a file may not say, and answers to photos of all kinds."""

import io
import json
import os
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image

import mlkit
from mlkit import layers
from mlkit.models import ImageTask
from mlkit.objects.errors import ModelFileError

NAMES = ["dark", "明るい 🌞"]


def brightness(size=(8, 8), units=2):
    """A model that is the surer of the second class the brighter a photo is."""
    inputs = mlkit.Input((*size, 3))
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255, offset=-0.5)(inputs))
    out = layers.Dense(units, "softmax" if units > 1 else "sigmoid", name="out")
    model = mlkit.Model(inputs, out(x))
    kernel = np.ones((3, units)) * ([-3, 3] if units == 2 else 6)
    out.set_weights([kernel, np.zeros(units)])
    return model


def photo(value, size=(20, 30)):
    return np.full((*size, 3), value, "uint8")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "photos"
    (place / "more").mkdir(parents=True)
    Image.fromarray(photo(20)).save(place / "a.png")
    Image.fromarray(photo(230)).save(place / "more" / "b 猫.jpg")
    (place / "c.png").write_bytes(b"broken")
    (place / "notes.txt").write_text("no photo")
    (place / "._a.png").write_bytes(b"of a Mac")
    return place


def test_the_file_tells_a_new_process_and_keras_reads_it(tmp_path):
    model = brightness()
    model.image_task = ImageTask(NAMES, (8, 8), interpolation="bicubic", fit="crop", data="files:00")
    model.save(tmp_path / "m.keras")
    loaded = mlkit.models.load_model(tmp_path / "m.keras")
    assert loaded.image_task == model.image_task
    assert loaded.class_names == NAMES
    Image.fromarray(photo(230)).save(tmp_path / "p.png")
    code = "import sys, mlkit as keras; print(ascii(keras.models.load_model('m.keras').classify('p.png')[0]))"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])})  # fmt: skip
    assert ascii(NAMES[1]) in run.stdout
    code = (
        "import keras, numpy as np; print(keras.saving.load_model('m.keras').predict(np.full((1, 8, 8, 3), 230.), verbose=0))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                         env={**os.environ, "KERAS_BACKEND": "jax"})  # fmt: skip
    theirs = np.array(run.stdout.strip().strip("[]").split(), float)
    assert np.allclose(theirs, model.predict(np.full((1, 8, 8, 3), 230.0), verbose=0)[0], atol=1e-5)


def test_every_way_of_saving_keeps_it(tmp_path):
    model = brightness()
    model.image_task = ImageTask(NAMES, (8, 8))
    model.save(tmp_path / "folder", zipped=False)
    assert mlkit.models.load_model(tmp_path / "folder").class_names == NAMES
    model.save(file := io.BytesIO())
    file.seek(0)
    assert mlkit.models.load_model(file).class_names == NAMES
    assert brightness().image_task is None
    with pytest.raises(ValueError, match="3 class names, but the model has 2"):
        model.image_task = ImageTask(["a", "b", "c"])
    assert model.class_names == NAMES


BAD = {
    "no object": [1],
    "unknown key": {"class_names": ["a", "b"], "run": "code"},
    "number of names": {"class_names": ["a"]},
    "no texts": {"class_names": ["a", 1]},
    "a text of names": {"class_names": "ab"},
    "endless name": {"class_names": ["a", "b" * 10000]},
    "size": {"image_size": [10**9, 10**9]},
    "size of three": {"image_size": [8, 8, 8]},
    "size as text": {"image_size": ["8", 8]},
    "size as truth": {"image_size": [True, 8]},
    "color": {"color_mode": "ultraviolet"},
    "color of another kind": {"color_mode": ["rgb"]},
    "filter": {"interpolation": "../../x"},
    "fit": {"fit": "explode"},
    "kind": {"kind": None},
    "fingerprint": {"data": {"a": 1}},
    "deep": {"data": None, "class_names": [[[[[["a"]]]]]] * 2},
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_says_something_else_is_refused(tmp_path, name):
    model = brightness()
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as old, zipfile.ZipFile(tmp_path / "bad.keras", "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "metadata.json":
                content = json.dumps({**json.loads(content), "mlkit_image_task": BAD[name]})
            new.writestr(member, content)
    with pytest.raises(ModelFileError, match="metadata.json"):
        mlkit.models.load_model(tmp_path / "bad.keras")


def test_photos_of_all_kinds(folder, tmp_path):
    model = brightness()
    model.image_task = ImageTask(NAMES, (8, 8))
    path = str(folder / "a.png")
    one = model.classify(path)
    assert (one.name, one.photo) == ("dark", path)
    assert sum(p for _, p in one) == pytest.approx(1)
    assert one.probability == one[0][1] > 0.5
    same = [folder / "a.png", Image.open(path), photo(20), photo(20, (8, 8)), photo(20).astype("float32")]
    for kind in same:
        assert dict(model.classify(kind)) == pytest.approx(dict(one))
    assert [a.name for a in model.classify(same, batch_size=2)] == ["dark"] * 5
    assert [a.name for a in model.classify(p for p in same)] == ["dark"] * 5
    assert [a.name for a in model.classify(np.stack([photo(20), photo(230)]))] == NAMES
    grey, clear = Image.new("L", (5, 9), 230), Image.new("RGBA", (9, 5), (230, 230, 230, 9))
    assert [a.name for a in model.classify([grey, clear, np.full((5, 5), 230)], top=1)] == NAMES[1:] * 3
    assert len(model.classify(path, top=1)) == 1


def test_folders_and_what_cannot_be_read(folder):
    model = brightness()
    model.image_task = ImageTask(NAMES, (8, 8))
    with pytest.warns(UserWarning, match=r"1 of 3 photos could not be read:\n.*c\.png \(UnidentifiedImageError"):
        found = model.classify(folder)
    assert [os.path.basename(a.photo) for a in found] == ["a.png", "c.png", "b 猫.jpg"]
    assert [a.name for a in found] == ["dark", None, NAMES[1]]
    assert "UnidentifiedImageError" in found[1].error
    assert np.isnan(found[1].probability)
    with pytest.raises(ValueError, match="could not be read"):
        model.classify(folder / "c.png")
    with pytest.raises(FileNotFoundError, match="no photo or folder"):
        model.classify("nowhere.jpg")
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no photos"):
        model.classify(folder / "empty")


def test_answers_come_as_they_are_ready():
    model = brightness()
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield photo(20)

    found = mlkit.models.answers_of(model, endless(), batch_size=4)
    assert next(found).name == "0"
    assert next(found).photo == 1
    found.close()
    assert len(asked) < 40


def test_one_output_several_classes_and_values():
    single = brightness(units=1)
    single.image_task = ImageTask(NAMES)
    assert single.classify(photo(230)).name == NAMES[1]
    assert single.classify(photo(20)).name == NAMES[0]
    several = brightness(units=1)
    several.image_task = ImageTask(["light"], kind="several")
    assert several.classify(photo(230))[0][0] == "light"
    values = mlkit.Sequential([mlkit.Input((8, 8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(2)])
    with pytest.raises(ValueError, match="gives no probabilities"):
        values.classify(photo(230))
    values.image_task = ImageTask(["age", "weight"], kind="values")
    assert [name for name, _ in values.classify(photo(230))] == ["age", "weight"]


def test_several_views():
    model = mlkit.Sequential([mlkit.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, "softmax")])
    x = np.random.default_rng(0).integers(0, 3, (8, 8, 3)).astype("uint8")
    plain, mirrored = (dict(model.classify(v)) for v in (x, np.ascontiguousarray(x[:, ::-1])))
    both = dict(model.classify(x, augment="flip"))
    assert both == pytest.approx({name: (plain[name] + mirrored[name]) / 2 for name in plain})
    noisy = dict(model.classify(x, augment=layers.RandomFlip(seed=1), times=3))
    assert noisy != plain
    with pytest.raises(ValueError, match="'flip'"):
        model.classify(x, augment="spin")


def test_channels_first():
    mlkit.config.set_image_data_format("channels_first")
    try:
        model = mlkit.Sequential([mlkit.Input((3, 8, 9)), layers.GlobalAveragePooling2D(), layers.Dense(2, "softmax")])
        red = np.zeros((20, 20, 3), "uint8")
        red[..., 0] = 200
        expected = model.predict(np.moveaxis(np.broadcast_to(red[:8, :9], (1, 8, 9, 3)), -1, 1).astype("float32"), verbose=0)[0]
        assert dict(model.classify(red)) == pytest.approx({"0": expected[0], "1": expected[1]}, abs=1e-5)
    finally:
        mlkit.config.set_image_data_format("channels_last")


def test_messages():
    with pytest.raises(ValueError, match="does not say how large"):
        mlkit.Sequential([mlkit.Input((None, None, 3)), layers.GlobalAveragePooling2D(), layers.Dense(2)]).classify(photo(1))
    model = brightness()
    for bad, message in (({"top": 0}, "top"), ({"batch_size": 0}, "batch_size")):
        with pytest.raises(ValueError, match=message):
            model.classify(photo(1), **bad)
    with pytest.raises(TypeError, match="expected paths"):
        model.classify(3)
    with pytest.raises(ValueError, match="an array must be"):
        model.classify(np.zeros(3))
    with pytest.raises(ValueError, match="NaN"):
        model.classify(np.full((16, 16, 3), np.nan))


def test_the_task_that_data_set(folder, tmp_path):
    for i, name in enumerate(["b", "a"]):
        (tmp_path / "d" / name).mkdir(parents=True)
        Image.fromarray(photo(100 * i)).save(tmp_path / "d" / name / "x.png")
    make = lambda place: mlkit.utils.image_dataset_from_directory(
        place, image_size=(8, 9), color_mode="grayscale", interpolation="nearest", pad_to_aspect_ratio=True, verbose=False
    )
    data = make(tmp_path / "d")
    task = ImageTask.of(data)
    assert (task.class_names, task.image_size, task.color_mode) == (("a", "b"), (8, 9), "grayscale")
    assert (task.interpolation, task.fit) == ("nearest", "pad")
    os.rename(tmp_path / "d", tmp_path / "moved")
    assert ImageTask.of(make(tmp_path / "moved")) == task, "the same photos elsewhere"
    assert ImageTask.of(make(tmp_path / "moved").cache()) == task
    assert ImageTask.of(make(tmp_path / "moved").map(lambda x, y: (x, y))).class_names == ("a", "b")
    (tmp_path / "moved" / "a" / "y.png").write_bytes((tmp_path / "moved" / "a" / "x.png").read_bytes())
    with warnings.catch_warnings():
        assert ImageTask.of(make(tmp_path / "moved")).data != task.data
