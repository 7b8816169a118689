"""What can be asked of the recipe: weights of classes, soft labels, changes of images, models of one's own and of its own."""

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.__main__ import main
from tests.finetuning.pictures import folder, pictures, small_net

SCALE = layers.Rescaling(1 / 255)
OPTIONS = {"preprocess": SCALE, "batch_size": 8, "head_epochs": 1, "epochs": 1, "verbose": 0}


def finetune(train, validation=None, model=None, **options):
    return mlkit.finetune(model or small_net(), train, validation, **{**OPTIONS, **options})


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("photos"), count=40)


def rerun(done, **names):
    names = {"pretrained": small_net(), "preprocess": SCALE, **names}
    exec(done.script, names)
    assert all(map(np.array_equal, done.model.get_weights(), names["model"].get_weights()))


def test_weights_of_classes(photos):
    x, y = pictures(24)
    rare = x[(y == 0) | (np.arange(24) < 8)], y[(y == 0) | (np.arange(24) < 8)]  # 12 of class 0, 4 of class 1
    done = finetune(rare, pictures(8, seed=1), class_weight="balanced")
    assert "class_weight={0: 0.6667, 1: 2.0}" in done.script
    rerun(done, train=rare, val=pictures(8, seed=1))
    done = finetune(photos, class_weight={"above": 3}, image_size=16)
    assert "class_weight={0: 3.0, 1: 1.0}" in done.script
    for wrong, words in (({"cat": 1}, "names 'cat'"), ("equal", "'balanced' or a dict"), ({0: -1}, "0 or more")):
        with pytest.raises(ValueError, match=words):
            finetune(photos, class_weight=wrong, image_size=16)


@pytest.mark.parametrize("options", [{"mixup": 0.3}, {"label_smoothing": 0.1}, {"mixup": 0.3, "label_smoothing": 0.1}])
def test_soft_labels_of_folders_and_arrays(options, photos):
    rerun(finetune(photos, image_size=16, **options))
    train, val = pictures(24), pictures(8, seed=1)
    done = finetune(train, val, **options)
    rerun(done, train=train, val=val)
    assert ("MixUp" in done.script) == ("mixup" in options)
    assert ("label_smoothing=0.1" in done.script) == ("label_smoothing" in options)
    data = mlkit.utils.image_dataset_from_directory(photos, image_size=(16, 16), seed=0, verbose=False)
    with pytest.raises(ValueError, match="label_mode='categorical'"):
        finetune(data, data, **options)


def test_mixed_images_have_mixed_labels():
    x = np.zeros((4, 8, 8, 3), "float32") + np.arange(4, dtype="float32")[:, None, None, None]
    data = mlkit.data.Dataset.from_tensor_slices((x, np.eye(4, dtype="float32"))).batch(4)
    images, labels = next(iter(data.augment(layers.MixUp(1.0), seed=3)))
    assert np.allclose(np.asarray(images)[:, 0, 0, 0], np.asarray(labels) @ np.arange(4), atol=1e-5)
    assert ((np.asarray(labels) > 0).sum(axis=1) > 1).any()
    numbers = mlkit.data.Dataset.from_tensor_slices((x, np.arange(4))).batch(4)
    _, same = next(iter(numbers.augment(layers.RandomFlip(), seed=3)))
    assert np.asarray(same).tolist() == [0, 1, 2, 3]
    assert np.asarray(same).dtype.kind == "i"


@pytest.mark.parametrize("augment", ["light", "strong", layers.RandomFlip("horizontal")])
def test_changes_of_images_by_name(augment, photos):
    done = finetune(photos, image_size=16, augment=augment)
    assert "x = layers.RandomFlip(mode='horizontal')(x)" in done.script
    assert ("RandomContrast" in done.script) == (augment == "strong")
    with pytest.raises(ValueError, match="older name"):
        finetune(photos, image_size=16, augment=augment, augmentation=True)


def test_it_goes_on_from_its_own_models(photos, tmp_path, capsys):
    first = finetune(photos, image_size=16, save_to=str(tmp_path / "first.keras"))
    again = finetune(photos, model=first.model, preprocess="auto")
    assert again.model.count_params() == first.model.count_params()
    assert "get_layer('head_dropout').input" in again.script
    again.model.freeze(until="head_dropout")
    x, _y = pictures(30)
    three = finetune((x, np.arange(30) % 3), (x[:9], np.arange(9) % 3), model=again.model, preprocess="auto")
    assert three.model.output_shape == (None, 3)
    file = finetune(photos, model=str(tmp_path / "first.keras"), preprocess="auto")
    names = {}
    exec(file.script, names)
    assert all(map(np.array_equal, file.model.get_weights(), names["model"].get_weights()))
    command = [
        "finetune",
        str(photos),
        "--weights",
        str(tmp_path / "first.keras"),
        "--output",
        str(tmp_path / "out"),
        "--quiet",
    ]
    assert main([*command, "--head-epochs", "1", "--epochs", "0"]) == 0
    assert mlkit.models.load_model(tmp_path / "out" / "model.keras").input_shape == (None, 16, 16, 3)
    assert main([*command, "--size", "32", "--overwrite"]) == 2
    assert "takes (16, 16, 3), but the images are (32, 32, 3)" in capsys.readouterr().err


def test_a_first_network_of_ones_own():
    x = inputs = mlkit.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x))
    done = finetune(pictures(16), pictures(8, seed=1), model=mlkit.Model(inputs, layers.Dense(5, activation="softmax")(x)))
    assert "groups=2" in done.script
    bare = mlkit.Model(inputs, layers.GlobalAveragePooling2D()(inputs))
    assert len(finetune(pictures(16), pictures(8, seed=1), model=bare).history["loss"]) == 2


def test_pixels_that_are_scaled_already_are_said():
    x, y = pictures(16)
    with pytest.warns(UserWarning, match="from 0 to 255"):
        finetune((x / 255, y), pictures(8, seed=1))


@pytest.mark.parametrize("options", [{"resize": "crop"}, {"split": "random"}, {"labels": "labels.csv"}, {"image_size": 16}])
def test_what_is_for_folders_is_not_ignored_for_other_data(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` is for folders"):
        finetune(pictures(16), pictures(8, seed=1), **options)


@pytest.mark.filterwarnings("error:.*from 0 to 255")
def test_nothing_is_said_of_pixels_that_are_taken_as_they_are():
    x, y = pictures(16)
    finetune((x / 255, y), pictures(8, seed=1), preprocess=None)
    finetune((x.astype("float32"), y), pictures(8, seed=1))


def test_folds(photos, tmp_path, capsys):
    model = small_net()
    before = model.get_weights()
    done = finetune(photos, model=model, image_size=16, k_folds=4, output=tmp_path / "out", verbose=2)
    assert all(map(np.array_equal, before, model.get_weights())), "each fold begins with these"
    files = [set(fold.validation.files.paths) for fold in done.runs]
    assert sum(map(len, files)) == len(set().union(*files)) == 40
    assert done.values == [fold.best for fold in done.runs]
    assert done.mean == pytest.approx(np.mean(done.values))
    assert repr(done).startswith("<Folds val_accuracy")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["fold_1", "fold_2", "fold_3", "fold_4"]
    printed = capsys.readouterr().out
    assert printed.count("Phase 1, the head alone: 1 epoch\n") == printed.count("Phase 2, all layers: 1 epoch\n") == 4
    for options, words in (({"k_folds": 1}, "2 or more"), ({"k_folds": 3, "validation": photos}, "leave `validation` out")):
        with pytest.raises(ValueError, match=words):
            finetune(photos, model=model, image_size=16, **options)


def test_folds_from_the_command_line(photos, tmp_path, capsys):
    finetune(photos, image_size=16, save_to=str(tmp_path / "first.keras"))
    command = ["finetune", str(photos), "--weights", str(tmp_path / "first.keras"), "--output", str(tmp_path / "out")]
    assert main([*command, "--k-folds", "2", "--head-epochs", "1", "--epochs", "0", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("val_accuracy of 2 folds: ")
