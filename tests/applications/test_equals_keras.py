"""Every architecture of keras.applications: the same layers, the same numbers from weights that Keras saved, the same gradients."""

import json

import numpy as np
import pytest

import mlkit
from tests.applications.against_keras import (
    difference,
    filled_model,
    images,
    keras_model,
    keras_outputs,
    keras_step,
    keras_twin,
    mlkit_model,
    mlkit_step,
    take_weights,
    without_dropout,
)
from tests.signatures import untyped

SIZES = {  # model -> usual size; 224 for all others
    "EfficientNetB1": 240, "EfficientNetB2": 260, "EfficientNetB3": 300, "EfficientNetB4": 380, "EfficientNetB5": 456,
    "EfficientNetB6": 528, "EfficientNetB7": 600, "EfficientNetV2B1": 240, "EfficientNetV2B2": 260, "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480, "InceptionResNetV2": 299, "InceptionV3": 299,
    "NASNetLarge": 331, "Xception": 299,
}  # fmt: skip
MODELS = [n for n in mlkit.applications.__all__ if n[0].isupper() and not n.startswith("EfficientNetLite")]
QUICK = ("MobileNetV2", "MobileNetV3Small")
STEP_SIZE = {
    "InceptionV3": 139,
    "InceptionResNetV2": 139,
    "Xception": 96,
}  # where few pixels are left, normalization divides by almost nothing

ROUNDING = 2e-7  # relative, of float32


def each_model(quick=QUICK):
    marks = lambda name: () if name in quick else pytest.mark.slow
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in MODELS])


@pytest.fixture(scope="module")
def reference():
    return pytest.importorskip("keras")


@pytest.fixture
def keras(reference):
    """Keras, where both libraries make models whose memory is to be free for the next."""
    yield reference
    reference.backend.clear_session()
    mlkit.utils.clear_session()


def test_all_models_of_keras_are_here(reference):
    public = [name for name in dir(reference.applications) if not name.startswith("_")]
    assert set(public) <= set(mlkit.applications.__all__)


@each_model(quick=MODELS)
def test_signature(name, reference):
    expected, found = (untyped(getattr(library.applications, name)) for library in (reference, mlkit))
    assert list(map(str, found.parameters.values())) == list(map(str, expected.parameters.values()))


def structure(model):
    """A model's layers with their options and connections; what Keras writes on the side left out."""
    unimportant = ("module", "registered_name", "build_config", "seed", "mask", "training", "shared_object_id")

    def plain(value):
        if isinstance(value, dict):
            value = {k: -1 if k == "axis" and v == 3 else v for k, v in value.items()}
            return {k: plain(v) for k, v in value.items() if k not in unimportant}
        return [plain(v) for v in value] if isinstance(value, list) else value

    return plain(json.loads(json.dumps(model.get_config()["layers"], default=str)))


@each_model()
@pytest.mark.parametrize("include_top", [True, False])
def test_layers(name, include_top, keras):
    options = {"include_top": include_top, **({} if include_top else {"pooling": "avg"})}
    if name == "NASNetLarge" and not include_top:
        options["input_shape"] = (331, 331, 3)  # Keras takes free sizes, and then fails on the first images
    expected = keras_model(keras, name, **options)
    model = mlkit_model(name, weights=None, **options)
    assert model.name == expected.name
    for layer, other in zip(structure(model), structure(expected), strict=True):
        assert layer == other
    paths = [(w.path, tuple(w.shape)) for w in model.weights]
    if not name.startswith("NASNet"):  # whose blocks have name scopes
        assert paths == [(w.path, tuple(w.shape)) for w in expected.weights]


@each_model()
def test_logits_from_weights_of_keras(name, keras, tmp_path):
    size = 64 if name in QUICK else SIZES.get(name, 224)
    x = images(name, size)
    options = {"input_shape": (size, size, 3), "classifier_activation": None, "classes": 20}
    twin = keras_twin(keras, filled_model(name, x, **options), name, **options)
    twin.save_weights(tmp_path / "k.weights.h5")
    model = mlkit_model(name, weights=tmp_path / "k.weights.h5", **options)
    assert difference(model.predict(x, verbose=0), keras_outputs(twin, x)) < 1e-4


@each_model()
def test_features_at_an_odd_size_from_an_older_file(name, keras, tmp_path):
    size = 65 if name in QUICK else 97
    x = images(name, size)
    options = {"input_shape": (size, size, 3), "include_top": False}
    twin = keras_twin(keras, filled_model(name, x, **options), name, **options)
    twin.save(tmp_path / "k.h5")
    model = mlkit_model(name, weights=tmp_path / "k.h5", **options)
    assert difference(model(x).numpy(), keras_outputs(twin, x)) < 1e-4


@each_model(quick=["MobileNetV3Small"])
def test_training_step(name, keras):
    size = STEP_SIZE.get(name, 64)
    x, labels = images(name, size), np.array([1, 3])
    options = {"input_shape": (size, size, 3), "classifier_activation": None, "classes": 5}
    twin = keras_model(keras, name, **options)
    without_dropout(twin)
    step, apart = keras_step(twin, x, labels), np.inf
    for seed in range(4):
        model = filled_model(name, x, seed, **options)
        take_weights(twin, model)
        expected = step()
        loss, difference = step_difference(mlkit_step(model, x, labels), expected)
        assert loss < 1e-4
        if difference.max() < 1e-3:
            return
        # Now and then a feature is so near to the corner of a ReLU that rounding decides on which side it lies, and the gradients
        # of the weights below it differ, in Keras too where its weights are moved by a rounding. So each weight's gradient must
        # be right, up to twice that, for one of four draws. A wrong gradient is wrong for all.
        twin.set_weights(rounded(model.get_weights()))
        apart = np.minimum(apart, difference - 2 * step_difference(step(), expected)[1])
        if apart.max() < 1e-3:
            return
    wrong = {w.path: float(d) for w, d in zip(model.trainable_variables, apart) if d > 1e-3}
    pytest.fail(f"gradients that differ for each draw of the weights, and by how much: {wrong}")


def rounded(weights):
    """Weights moved by one rounding each, at random."""
    rng = np.random.default_rng(0)
    return [(w * (1 + ROUNDING * rng.uniform(-1, 1, w.shape))).astype(w.dtype) for w in weights]


def step_difference(found, expected):
    """How far (loss, gradients) of a training step are apart: of the loss, and of each weight."""
    (loss, gradients), (expected_loss, expected) = found, expected
    assert [g.shape for g in gradients] == [g.shape for g in expected]
    largest = max(np.abs(g).max() for g in expected)  # a bias before normalization has gradient 0, which comes out as noise
    scales = [max(np.abs(g).max(), 1e-3 * largest) for g in expected]
    errors = [np.abs(g - other).max() / scale for g, other, scale in zip(gradients, expected, scales)]
    return abs(loss - expected_loss) / abs(expected_loss), np.array(errors)
