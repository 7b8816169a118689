"""Photos as people keep them: layouts, tables, parts and classes that do not fit, and what is said about them."""

import json

import numpy as np
import pytest
from PIL import Image

import mlkit
from mlkit import layers
from mlkit.__main__ import main
from mlkit.finetuning import photo_datasets
from tests.finetuning.pictures import folder, pictures, small_net

OPTIONS = {"preprocess": layers.Rescaling(1 / 255), "batch_size": 8, "head_epochs": 1, "epochs": 0, "verbose": 0}


def photos(root, counts):
    rng = np.random.default_rng(len(counts))
    for name, n in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), "uint8")).save(root / name / f"{i:03}.png")
    return root


def finetune(data, validation=None, **options):
    return mlkit.finetune(small_net(), data, validation, image_size=16, **{**OPTIONS, **options})


def test_a_fifth_of_each_class_is_set_aside(tmp_path):
    train, val = photo_datasets(photos(tmp_path, {"common": 30, "rare": 2, "seldom": 5}), image_size=(16, 16))
    assert train.files.counts() == {"common": 24, "rare": 1, "seldom": 4}
    assert val.files.counts() == {"common": 6, "rare": 1, "seldom": 1}
    assert not set(train.file_paths) & set(val.file_paths)
    _, other = photo_datasets(tmp_path, image_size=(16, 16), split="random")
    assert len(other.file_paths) == 7


def test_classes_without_a_photo_are_no_outputs(tmp_path):
    photos(tmp_path, {"a": 10, "b": 10, "empty": 0, "__MACOSX": 1})
    with pytest.warns(UserWarning, match="no file in class empty"):
        done = finetune(tmp_path)
    assert done.class_names == ["a", "b"]
    assert done.model.output_shape == (None, 2)


def test_counts_are_printed_and_short(tmp_path, capsys):
    finetune(photos(tmp_path, {f"class {i:02}": 12 for i in range(23)}), verbose=2)
    printed = capsys.readouterr().out
    assert "276 photos: 230 for training, 46 for validation, of 23 classes" in printed
    assert "  class 00      10       2\n" in printed
    assert "and 3 classes more" in printed


SAID = {
    "few": ({"a": 3, "b": 40}, None, r"fewer than 10 photos to train on of a \(2\)"),
    "one": ({"a": 1, "b": 40}, None, "no photo for validation of a: how well"),
    "missing": ({"a": 12, "b": 12}, {"a": 2}, "no photo for validation of b"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_will_not_go_well_is_said_before_training(name, tmp_path):
    train, val, words = SAID[name]
    with pytest.warns(UserWarning, match=words):
        finetune(photos(tmp_path / "train", train), None if val is None else photos(tmp_path / "val", val))


REFUSED = {
    "one class": ({"a": 9}, None, "nothing to tell apart"),
    "one photo each": ({f"{i}": 1 for i in range(30)}, None, "30 classes of one photo each"),
    "unknown class": ({"a": 9, "b": 9}, {"a": 2, "dog": 2}, "photos of dog, which are none of the classes: a, b"),
    "no photos": ({"a": 0}, None, "No files found"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learned_from_is_refused(name, tmp_path):
    train, val, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        finetune(photos(tmp_path / "train", train), None if val is None else photos(tmp_path / "val", val))


def test_photos_that_are_there_twice_are_said(tmp_path):
    photos(tmp_path / "train", {"a": 12, "b": 12})
    photos(tmp_path / "val", {"a": 3, "b": 3, "c": 0})
    (tmp_path / "val" / "a" / "x.png").write_bytes((tmp_path / "train" / "a" / "000.png").read_bytes())
    (tmp_path / "train" / "b" / "y.png").write_bytes((tmp_path / "train" / "a" / "001.png").read_bytes())
    with pytest.warns(UserWarning) as said:
        finetune(tmp_path / "train", tmp_path / "val")
    texts = [str(w.message) for w in said]
    assert any("1 photo is there several times in several parts" in t and "000.png" in t for t in texts)
    assert any("1 photo is there several times under several labels" in t and "y.png" in t for t in texts)


def table(tmp_path, line):
    """Photos in one folder beside labels.csv; line(i, label) makes its lines."""
    (tmp_path / "photos").mkdir()
    lines = ["file,label"]
    for i, (image, label) in enumerate(zip(*pictures(40))):
        Image.fromarray(image).save(tmp_path / "photos" / f"{i}.png")
        lines.append(f"{i}.png,{line(i, label)}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return tmp_path


KINDS = {
    "classification": (lambda i, k: ["low", "high"][k], "softmax", 2, "val_accuracy"),
    "multi_label": (lambda i, k: ["low;any", "high;any"][k], "sigmoid", 3, "val_accuracy"),
    "regression": (lambda i, k: k + 0.25, "linear", 1, "val_loss"),
}


@pytest.mark.parametrize("task", KINDS)
def test_a_table_of_labels(task, tmp_path):
    line, activation, units, monitor = KINDS[task]
    root = table(tmp_path, line)
    done = finetune(root, labels="labels.csv", head_epochs=12, epochs=0, learning_rate=0.03, dropout=0.0)
    head = done.model.get_layer("head")
    assert (head.activation.__name__, head.units) == (activation, units)
    assert done.history["val_loss"][-1] < done.history["val_loss"][0]
    best = min if monitor == "val_loss" else max
    assert done.best == best(done.history[monitor])
    assert "labels='labels.csv'" in done.script
    names = {"classification": ["high", "low"], "multi_label": ["any", "high", "low"], "regression": ["label"]}
    assert list(done.model.image_task.class_names) == names[task]
    names = {"pretrained": small_net(), "preprocess": OPTIONS["preprocess"]}
    exec(done.script, names)
    assert all(map(np.array_equal, done.model.get_weights(), names["model"].get_weights()))


def test_a_table_from_the_command_line(tmp_path, capsys):
    root = table(tmp_path, lambda i, k: ["low;any", "high;any"][k])
    command = ["finetune", str(root), "--labels", "labels.csv", "--model", "MobileNet", "--weights", "none", "--size", "32"]
    assert main([*command, "--head-epochs", "1", "--epochs", "0", "--output", str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["classes"] == ["any", "high", "low"]
    assert "report.html" in result["files"]


def test_a_folder_that_has_a_table_says_so(tmp_path):
    root = table(tmp_path, lambda i, k: k)
    (root / "labels.csv").rename(root / "photos" / "labels.csv")
    with pytest.raises(ValueError, match=r"no sub-folders.*pass labels='labels.csv'"):
        finetune(root / "photos")


def test_arrays_of_numbers_and_of_several_labels():
    x, y = pictures(32)
    done = finetune_arrays((x, y + 0.5), task="regression")
    assert done.model.output_shape == (None, 1)
    several = np.stack([y, np.ones_like(y)], axis=1)
    assert finetune_arrays((x, several)).model.get_layer("head").activation.__name__ == "sigmoid"
    assert finetune_arrays((x, np.eye(2)[y])).model.get_layer("head").activation.__name__ == "softmax"


def finetune_arrays(data, **options):
    return mlkit.finetune(small_net(), data, tuple(a[:8] for a in data), **{**OPTIONS, **options})


@pytest.mark.parametrize("resize", ["crop", "pad"])
def test_photos_are_cropped_or_padded(resize, tmp_path):
    data = folder(tmp_path, 24)
    done = finetune(data, resize=resize)
    assert f"resize='{resize}'" in done.script
