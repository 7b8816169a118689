"""The recipe: what it does, that its script does the same, and what it says to wrong arguments."""

import numpy as np
import pytest

import mlkit
from mlkit import finetuning, layers
from mlkit.finetuning.script import code_of
from tests.applications import torch_files
from tests.finetuning.pictures import folder, pictures, small_net

SCALE = layers.Rescaling(1 / 255)
QUICK = {"batch_size": 8, "head_epochs": 2, "epochs": 1, "verbose": 0}


def weights(model):
    return [np.array(w) for w in model.get_weights()]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("photos"), count=40)


def test_a_folder_and_an_application(photos, tmp_path, capsys):
    """Frozen and unfrozen phase; the printed script, run alone, gives the same weights."""
    constructor = mlkit.applications.MobileNetV2
    options = {**QUICK, "weights": None, "image_size": (32, 32), "save_to": str(tmp_path / "m.keras"), "verbose": 2}
    done = mlkit.finetune("mobilenetv2", photos, **options)
    printed = capsys.readouterr().out
    assert done.script in printed
    assert "keras.applications.mobilenet_v2.preprocess_input(x)" in done.script
    assert len(done.history["val_accuracy"]) == 3
    assert done.head_epochs == 2
    assert done.class_names == ["above", "below"]
    assert done.best == max(done.history["val_accuracy"])
    x = pictures(4)[0].astype("float32")
    assert done.model.predict(np.stack([np.pad(i, ((8, 8), (8, 8), (0, 0))) for i in x]), verbose=0).shape == (4, 2)
    names = {}
    exec(done.script.replace("m.keras", "again.keras"), names)
    assert all(map(np.array_equal, weights(done.model), weights(names["model"])))
    saved = mlkit.models.load_model(tmp_path / "m.keras")
    assert all(map(np.array_equal, weights(saved), weights(done.model)))
    assert constructor.__name__ in done.script


def test_weights_of_pytorch_bring_their_preprocessing(tmp_path, recwarn):
    net = torch_files.Net()
    torch_files.mobilenet_v2(net, np.zeros((1, 3, 32, 32), "float32"), 7)  # which draws the weights
    torch_files.write_pth(tmp_path / "w.pth", net.state)
    train = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), "uint8"), np.arange(16) % 2
    options = {**QUICK, "epochs": 0, "weights": tmp_path / "w.pth", "save_to": str(tmp_path / "m.keras")}
    done = mlkit.finetune("MobileNetV2", train, train, **options)
    assert not any("preprocess_input" in str(w.message) for w in recwarn)
    assert "x = keras.applications.imagenet_utils.preprocess_input(x, mode='torch')" in done.script
    with pytest.warns(UserWarning, match="mode='torch'"):  # who builds the model alone has to know
        base = mlkit.applications.MobileNetV2((32, 32, 3), include_top=False, pooling="avg", weights=tmp_path / "w.pth")
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], "float32")  # torchvision's of ImageNet
    expected = done.model.get_layer("head")(base((train[0] / np.float32(255) - mean) / deviation)).numpy()
    assert np.abs(done.model.predict(train[0], verbose=0) - expected).max() < 1e-4
    saved = mlkit.models.load_model(tmp_path / "m.keras")
    assert np.array_equal(saved.predict(train[0], verbose=0), done.model.predict(train[0], verbose=0))


def test_arrays_and_a_model_of_ones_own():
    train, val = pictures(64), pictures(32, seed=1)
    own = small_net()
    before = weights(own)
    rates = {"learning_rate": 0.02, "fine_learning_rate": 0.01}
    options = {**QUICK, "head_epochs": 4, "epochs": 6, "preprocess": SCALE, "dropout": 0.0, **rates}
    done = mlkit.finetune(own, train, val, **options)
    assert done.best > 0.9
    assert "get_layer('predictions')" in done.script
    assert np.array_equal(own.get_layer("norm").get_weights()[2], before[4]), "statistics stay"
    accuracy = done.model.evaluate(*val, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(done.best), "the best weights are restored"


@pytest.mark.parametrize("labels", ["binary", "categorical"])
def test_label_modes_and_maps_as_features(photos, labels):
    train, val = mlkit.utils.image_dataset_from_directory(
        photos, image_size=(16, 16), label_mode=labels, validation_split=0.2, subset="both", seed=0, verbose=False
    )
    options = {**QUICK, "head_epochs": 6, "epochs": 0, "dropout": 0.0}
    done = mlkit.finetune(small_net(head=False), train, val, preprocess=SCALE, **options)
    assert done.history["loss"][-1] < done.history["loss"][0], "the head learns from the features that were kept"
    assert done.model.output_shape == (None, 1 if labels == "binary" else 2)
    assert "GlobalAveragePooling2D" in done.script
    assert "unfreeze" not in done.script


def test_a_frozen_network_runs_once(monkeypatch):
    train, val = pictures(32), pictures(16, seed=1)
    ran = []
    conv = small_net()
    watched = conv.get_layer("conv").call
    predict = mlkit.Model.predict_on_batch
    monkeypatch.setattr(mlkit.Model, "predict_on_batch", lambda self, x: (ran.append(len(x)), predict(self, x))[1])
    monkeypatch.setattr(conv.get_layer("conv"), "call", lambda x: (ran.append("traced"), watched(x))[1], raising=False)
    mlkit.finetune(conv, train, val, preprocess=SCALE, **{**QUICK, "head_epochs": 5, "epochs": 0})
    assert sorted(n for n in ran if n != "traced") == [8] * 6, "each batch once, though there are 5 epochs"
    assert ran.count("traced") <= 4, "the network is in no training step: it is run on shapes, and for one batch size"


def test_augmented_images_are_seen_anew_in_each_epoch():
    train = pictures(16)
    options = {**QUICK, "augment": [layers.RandomFlip("horizontal"), layers.RandomZoom(0.2, seed=3)], "preprocess": SCALE}
    done = mlkit.finetune(small_net(), train, train, **options)
    assert "x = layers.RandomFlip(mode='horizontal')(x)\nx = layers.RandomZoom(height_factor=0.2, seed=3)(x)" in done.script
    assert "head_train = finetuning.FreshFeatures(trunk, *train, batch_size=8)" in done.script
    names = {"train": train, "val": train, "pretrained": small_net(), "preprocess": SCALE}
    exec(done.script, names)
    assert all(map(np.array_equal, weights(done.model), weights(names["model"])))


def test_only_the_second_phase():
    train = pictures(16)
    own = small_net()
    before = weights(own)
    done = mlkit.finetune(own, train, train, preprocess=SCALE, **{**QUICK, "head_epochs": 0})
    assert not np.array_equal(own.get_layer("conv").get_weights()[0], before[0])
    assert np.array_equal(own.get_layer("norm").get_weights()[2], before[4]), "BatchNormalization keeps its statistics"
    assert len(done.history["loss"]) == 1
    assert not done.model.get_layer("head")._frozen


def test_features_are_those_of_inference_in_the_order_of_the_data():
    trunk = small_net(head=False)
    x, y = pictures(10)
    rows, labels, w = finetuning.features(trunk, x, y, np.arange(10.0), batch_size=4)
    assert np.allclose(rows, trunk.predict(x, verbose=0), atol=1e-6)
    assert labels.tolist() == y.tolist()
    assert w[3] == 3.0
    with pytest.raises(ValueError, match="no targets"):
        finetuning.features(trunk, x)


def test_keep_best_over_two_trainings(tmp_path):
    x, y = pictures(16)
    model = small_net()
    model.compile("sgd", "sparse_categorical_crossentropy")
    best = finetuning.KeepBest(model, "val_loss", filepath=tmp_path / "best.weights.h5")
    with pytest.raises(ValueError, match="no weights to restore"):
        best.restore()
    history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[best]).history["val_loss"]
    kept = weights(model)
    model.optimizer.learning_rate = 1e3
    model.fit(x, y, validation_data=(x, y), verbose=0, callbacks=[best])
    best.restore()
    assert best.best == min(history)
    assert all(map(np.array_equal, kept, weights(model)))
    other = small_net()
    other.load_weights(tmp_path / "best.weights.h5")
    assert all(map(np.array_equal, kept, weights(other)))


@pytest.mark.parametrize("monitor, loss", [("val_accuracy", "val_loss"), ("accuracy", "loss")])
def test_of_equal_epochs_that_with_the_lowest_loss_is_kept(monitor, loss):
    model = small_net()
    best = finetuning.KeepBest(model, monitor, mode="max")
    for epoch, (value, at) in enumerate([(0.5, 2.0), (0.75, 0.4), (0.75, 0.1), (0.75, 0.3), (0.75, float("nan")), (0.5, 0.01)]):
        model.set_weights([np.full(w.shape, epoch) for w in model.get_weights()])
        best.on_epoch_end(epoch, {monitor: value, loss: at})
    best.restore()
    assert best.best == 0.75
    assert {float(w.ravel()[0]) for w in model.get_weights()} == {2.0}


def test_code_of_layers():
    assert code_of(layers.RandomFlip()) == "layers.RandomFlip()"
    with pytest.raises(ValueError, match="mlkit.layers"):
        code_of(type("Own", (layers.Layer,), {})())


BAD = {
    "no such model": ({"model": "MobileNet22"}, "MobileNetV2"),
    "no model": ({"model": 3}, "constructor"),
    "preprocessing unknown": ({"preprocess": "auto"}, "Pass `preprocess`"),
    "no validation": ({"validation": None}, "pass `validation`"),
    "no epochs": ({"head_epochs": 0, "epochs": 0}, "epochs to train"),
    "labels": ({"train": (pictures(4)[0], np.ones(4))}, "class numbers"),
    "weights of a model": ({"weights": None}, "has its own"),
    "size of arrays": ({"image_size": (8, 8)}, "for folders"),
    "augmentation": ({"augment": "flip"}, "list of layers"),
    "classes": ({"train": [pictures(4)].__iter__()}, "pass `classes`"),
    "folder for one": ({"validation": "somewhere"}, "must be one, too"),
}


def test_the_number_of_classes_is_known(photos):
    data = mlkit.utils.image_dataset_from_directory(photos, image_size=(16, 16), seed=0, verbose=False)
    with pytest.raises(ValueError, match="Leave `classes` out"):
        mlkit.finetune(small_net(), data, data, preprocess=None, classes=3, **QUICK)


def test_no_batch_size_is_that_of_fit():
    options = {**QUICK, "batch_size": None, "preprocess": None, "epochs": 0}
    assert "batch_size=32" in mlkit.finetune(small_net(), pictures(8), pictures(4), **options).script


@pytest.mark.parametrize("size", [32.0, 0, (8, 8, 3), (8, 8.5), "8"])
def test_sizes_that_are_none(photos, size):
    with pytest.raises(ValueError, match="`image_size` must be"):
        mlkit.finetune("MobileNet", photos, weights=None, image_size=size, **QUICK)


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    options, words = BAD[name]
    good = {"model": small_net(), "train": pictures(4), "validation": pictures(4), "preprocess": None, **QUICK}
    with pytest.raises(ValueError, match=words):
        mlkit.finetune(**{**good, **options})
