"""The arguments of the constructors, and what goes into and comes out of the models."""

import json
import warnings

import numpy as np
import pytest

import mlkit
from mlkit.applications import imagenet_utils
from tests.applications.against_keras import without_initial_values

SMALL = {"alpha": 0.35, "weights": None}


def small(input_shape=(32, 32, 3), **kwargs):
    return mlkit.applications.MobileNetV2(input_shape, **{**SMALL, **kwargs})


def test_pooling_and_shapes():
    assert small(classes=5).output_shape == (None, 5)
    assert small(include_top=False).output_shape == (None, 1, 1, 1280)
    assert small(None, include_top=False).output_shape == (None, None, None, 1280)
    assert small(include_top=False, pooling="max").output_shape == (None, 1280)
    assert small(classes=5, classifier_activation=None).layers[-1].activation is mlkit.activations.linear
    with pytest.warns(UserWarning, match="no effect"):
        small(pooling="avg")


@pytest.mark.parametrize("kwargs,words", [
    ({"input_shape": (16, 16, 3)}, "at least 32x32"),
    ({"input_shape": (1, 32, 32, 3)}, "three integers"),
    ({"input_shape": (None, None, 3)}, "must be known"),
    ({"pooling": "mean", "include_top": False}, "`pooling` must be"),
    ({"weights": "imagenet", "classes": 3}, "`classes` should be 1000"),
    ({"weights": "imagenet", "alpha": 0.3}, "no published ImageNet weights for this mobilenetv2_0.30"),
    ({"weights": "nowhere.h5"}, "there is no such file"),
    ({"input_shape": None, "input_tensor": np.ones(3)}, "symbolic tensor"),
    ({"input_tensor": mlkit.Input((48, 48, 3))}, "Pass one of them"),
])  # fmt: skip
def test_contradictions_are_named(kwargs, words):
    with pytest.raises(ValueError, match=words), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small(**kwargs)


def test_pretrained_shapes_are_checked():
    with pytest.raises(ValueError, match=r"should be \(224, 224, 3\)"):
        mlkit.applications.ResNet50(input_shape=(64, 64, 3))
    with pytest.raises(ValueError, match="need 3 input channels"):
        mlkit.applications.ResNet50(include_top=False, input_shape=(64, 64, 1))
    with pytest.warns(UserWarning, match="so 4"):
        small((32, 32, 4))


def test_input_tensor_may_be_the_output_of_layers():
    pixels = mlkit.Input((40, 40, 3))
    scaled = mlkit.layers.Rescaling(1 / 127.5, -1)(pixels)
    model = small(None, input_tensor=scaled, include_top=False, pooling="avg")
    alone = small((40, 40, 3), include_top=False, pooling="avg")
    alone.set_weights(model.get_weights())
    x = np.random.default_rng(0).uniform(0, 255, (1, 40, 40, 3)).astype("float32")
    np.testing.assert_allclose(model(x).numpy(), alone(x / 127.5 - 1).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0"])
def test_channels_first_gives_the_same(name):
    make = getattr(mlkit.applications, name)
    last = make(input_shape=(33, 33, 3), weights=None, classes=4)
    mlkit.config.set_image_data_format("channels_first")
    first = make(input_shape=(3, 33, 33), weights=None, classes=4)
    weights = last.get_weights()
    first.set_weights([w.reshape(v.shape) for w, v in zip(weights, first.weights)])
    x = np.random.default_rng(0).uniform(0, 255, (1, 33, 33, 3)).astype("float32")
    np.testing.assert_allclose(first(x.transpose(0, 3, 1, 2)).numpy(), last(x).numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="channels_last"):
        mlkit.applications.DenseNet121(weights=None)


def test_models_with_layers_of_their_own_are_saved_whole(tmp_path):
    model = mlkit.applications.ConvNeXtTiny(input_shape=(32, 32, 3), weights=None, classes=3)
    model.save(tmp_path / "m.keras")
    x = np.ones((1, 32, 32, 3), "float32")
    np.testing.assert_array_equal(mlkit.models.load_model(tmp_path / "m.keras")(x).numpy(), model(x).numpy())
    keras = pytest.importorskip("keras")
    with without_initial_values(keras):
        twin = keras.models.load_model(tmp_path / "m.keras")
    for ours, theirs in zip(model.get_weights(), twin.weights, strict=True):
        np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_preprocessing_equals_keras(mode, data_format):
    keras = pytest.importorskip("keras")
    x = np.random.default_rng(0).uniform(0, 255, (2, 3, 3, 3)).astype("float32")
    for images in (x, x[0], x.astype("uint8"), x.astype("float64")):
        expected = keras.applications.imagenet_utils.preprocess_input(images.copy(), data_format, mode)
        found = imagenet_utils.preprocess_input(images, data_format, mode)
        assert type(found) is np.ndarray
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
        tensor = imagenet_utils.preprocess_input(mlkit.ops.convert_to_tensor(images), data_format, mode)
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-5, atol=1e-4)
    inputs = mlkit.Input((3, 3, 3))
    model = mlkit.Model(inputs, imagenet_utils.preprocess_input(inputs, data_format, mode))
    np.testing.assert_allclose(model(x).numpy(), imagenet_utils.preprocess_input(x, data_format, mode), rtol=1e-5, atol=1e-4)


def test_each_module_preprocesses_as_in_keras():
    keras = pytest.importorskip("keras")
    x = np.random.default_rng(0).uniform(0, 255, (1, 2, 2, 3)).astype("float32")
    for name in dir(keras.applications):
        module = getattr(keras.applications, name)
        if hasattr(module, "preprocess_input"):
            found = getattr(mlkit.applications, name).preprocess_input(x)
            np.testing.assert_allclose(found, module.preprocess_input(x.copy()), rtol=1e-5, atol=1e-4)


def test_decode_predictions(tmp_path, monkeypatch):
    table = {str(i): [f"n{i:08}", f"class_{i}"] for i in range(1000)}
    monkeypatch.setenv("MLKIT_WEIGHTS_DIR", str(tmp_path))
    (tmp_path / "imagenet_class_index.json").write_text(json.dumps(table))
    monkeypatch.setattr(imagenet_utils, "_CLASS_INDEX_MD5", None)
    imagenet_utils.class_names.cache_clear()
    scores = np.zeros((2, 1000), "float32")
    scores[0, 7], scores[0, 3], scores[1, 999] = 0.6, 0.3, 0.9
    found = imagenet_utils.decode_predictions(scores, top=2)
    imagenet_utils.class_names.cache_clear()
    assert found[0] == [("n00000007", "class_7", scores[0, 7]), ("n00000003", "class_3", scores[0, 3])]
    assert found[1][0][:2] == ("n00000999", "class_999")
    with pytest.raises(ValueError, match=r"shape \(samples, 1000\)"):
        imagenet_utils.decode_predictions(np.zeros((1, 10)))
