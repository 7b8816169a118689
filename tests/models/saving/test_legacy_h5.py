"""Whole models in `.h5` files: written and read as Keras 3 does, and read as Keras 2 wrote them; what is damaged is refused."""

import io
import json
import random
import time
import tracemalloc

import keras
import numpy as np
import pytest

import mlkit
from mlkit.models.saving.keras2_config import modern_training, modernized
from mlkit.saving import ModelFileError
from tests.models.saving import test_keras_files as files

h5py = pytest.importorskip("h5py")
INITIAL = "ignore:You are saving your model as an HDF5 file"


def check_same(model, other):
    """Equal weights and equal configs."""
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    one, two = (json.loads(json.dumps(m.get_config(), default=str)) for m in (model, other))
    assert list(files.differences(one, two)) == []


def through(library, model, path):
    """What a library reads of a model that another one wrote."""
    model.save(path)
    return library.models.load_model(path)


@pytest.mark.filterwarnings(INITIAL)
@pytest.mark.parametrize("name", files.SAMPLES)
def test_layers_both_ways(name, tmp_path):
    theirs, ours = (files.randomized(files.functional(k, name)) for k in (keras, mlkit))
    check_same(through(mlkit, theirs, tmp_path / "theirs.h5"), theirs)
    check_same(ours, through(keras, ours, tmp_path / "ours.h5"))
    check_same(through(mlkit, ours, tmp_path / "ours.hdf5"), ours)


@pytest.mark.filterwarnings(INITIAL)
@pytest.mark.parametrize("make", [f for f in files.MODELS if f is not files.with_functions], ids=lambda f: f.__name__)
def test_models_both_ways(make, tmp_path):
    theirs, ours = (files.randomized(make(k)) for k in (keras, mlkit))
    check_same(through(mlkit, theirs, tmp_path / "theirs.h5"), theirs)
    check_same(ours, through(keras, ours, tmp_path / "ours.h5"))


@pytest.mark.filterwarnings(INITIAL)
def test_functions_of_ops(tmp_path):
    """Keras writes them into `.h5` files, but reads them as layers of the same names."""
    theirs = files.randomized(files.with_functions(keras))
    again = through(mlkit, theirs, tmp_path / "m.h5")
    files.check_equal(again, theirs, np.random.default_rng(0).normal(size=(2, 7, 4)).astype("float32"))


def trained(k):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3, activation="relu", name="one"), k.layers.Dense(2, name="two")])
    rate = k.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    model.compile(
        k.optimizers.Adam(rate), k.losses.MeanSquaredError(), metrics=["mean_absolute_error", k.metrics.CosineSimilarity()]
    )
    model.optimizer.build(model.trainable_variables)
    for i, v in enumerate(model.optimizer.variables[2:]):
        v.assign(np.full(v.shape, 0.1 * i, "float32"))
    return model


@pytest.mark.filterwarnings(INITIAL)
@pytest.mark.parametrize("library, other", [(keras, mlkit), (mlkit, keras), (mlkit, mlkit)])
def test_what_was_compiled_comes_back(library, other, tmp_path):
    model = trained(library)
    again = through(other, model, tmp_path / "m.h5")
    assert again.compiled
    one, two = ({k: v for k, v in m.optimizer.get_config().items() if k != "name"} for m in (model, again))
    assert list(files.differences(one, two)) == []
    # Keras itself forgets the state: it builds the optimizer for the weights that the model has outside of its layers
    if other is mlkit:
        for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    x, y = np.ones((2, 4), "float32"), np.ones((2, 2), "float32")
    assert set(again.evaluate(x, y, verbose=0, return_dict=True)) == {"loss", "mean_absolute_error", "cosine_similarity"}
    assert not other.models.load_model(tmp_path / "m.h5", compile=False).compiled


def test_without_the_optimizer(tmp_path):
    model = trained(mlkit)
    model.save(tmp_path / "m.h5", include_optimizer=False)
    assert not mlkit.models.load_model(tmp_path / "m.h5").compiled
    with h5py.File(tmp_path / "m.h5") as h5:
        assert "optimizer_weights" not in h5


def test_classes_of_a_users_own(tmp_path):
    @mlkit.saving.register_keras_serializable("shop")
    class Scaled(mlkit.layers.Dense):
        def __init__(self, units, factor=2.0, **kwargs):
            super().__init__(units, **kwargs)
            self.factor = factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    model = mlkit.Sequential([mlkit.Input((4,)), Scaled(2, factor=3.0)])
    assert through(mlkit, model, tmp_path / "m.h5").layers[0].factor == 3.0


def test_lists_longer_than_an_attribute(tmp_path):
    layers = [mlkit.layers.Dense(1, name=f"layer_of_a_rather_long_name_{i:_<60}") for i in range(740)]
    model = mlkit.Sequential([mlkit.Input((1,)), *layers])
    check_same(through(mlkit, model, tmp_path / "m.h5"), model)
    with h5py.File(tmp_path / "m.h5") as h5:
        assert "layer_names0" in h5["model_weights"].attrs


# ---- Keras 2 -------------------------------------------------------------------------------------------------------------


def entry(name, config, *inbound):
    return {"class_name": name, "name": config["name"], "config": config, "inbound_nodes": list(inbound)}


def call(*places, **named):
    """A call of Keras 2: [[layer, call, output, keyword arguments], ...]."""
    return [[place, index, 0, named] for place, index in places]


ONES = {"class_name": "Ones", "config": {}}
DEPTHWISE = {
    "name": "depth", "kernel_size": [2, 2], "groups": 1, "depth_multiplier": 1, "depthwise_initializer": ONES, "trainable": True,
    "activation": "relu", "dtype": {"class_name": "Policy", "config": {"name": "float32"}}, "padding": "same",
    "depthwise_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}},
}  # fmt: skip
INNER = {
    "name": "inner", "input_layers": [["in2", 0, 0]], "output_layers": [["leaky", 0, 0]],
    "layers": [
        entry("InputLayer", {"name": "in2", "batch_input_shape": [None, 4, 4, 2], "dtype": "float32", "sparse": False}),
        entry("LeakyReLU", {"name": "leaky", "alpha": 0.25}, call(("in2", 0))),
    ],
}  # fmt: skip
KERAS2 = {"class_name": "Model", "config": {
    "name": "old", "input_layers": [["in1", 0, 0]], "output_layers": [["sum", 0, 0]],
    "layers": [
        entry("InputLayer", {"name": "in1", "batch_input_shape": [None, 4, 4, 2], "dtype": "float32", "sparse": False}),
        entry("DepthwiseConv2D", DEPTHWISE, call(("in1", 0))),
        entry("BatchNormalization", {"name": "norm", "axis": [3], "gamma_initializer": ONES, "fused": None}, call(("depth", 0))),
        {"class_name": "Model", "name": "inner", "config": INNER, "inbound_nodes": [call(("norm", 0))]},
        entry("Add", {"name": "sum", "trainable": True}, call(("inner", 1), ("in1", 0))),
    ],
}}  # fmt: skip
SEQUENTIAL = {"class_name": "Sequential", "config": [
    {"class_name": "Embedding", "config": {
        "name": "e", "input_dim": 5, "output_dim": 3, "batch_input_shape": [None, 6], "input_length": 6}},
    {"class_name": "Bidirectional", "config": {"name": "b", "merge_mode": "concat", "layer": {
        "class_name": "LSTM", "config": {"name": "l", "units": 2, "implementation": 1, "unroll": False, "time_major": False}}}},
    {"class_name": "Dense", "config": {"name": "d", "units": 1, "kernel_initializer": {
        "class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}}}},
]}  # fmt: skip
TRAINING = {
    "optimizer_config": {"class_name": "Adam", "config": {"lr": 0.25, "beta_1": 0.9, "decay": 0.0, "epsilon": None}},
    "loss": {"class_name": "MeanSquaredError", "config": {"reduction": "auto", "name": "mean_squared_error"}},
    "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"name": "mae", "dtype": "float32", "fn": "mean_absolute_error"}}]],
    "weighted_metrics": None, "loss_weights": None, "sample_weight_mode": None,
}  # fmt: skip


def written_by_keras2(path, config, training, model):
    """A file as Keras 2 wrote it: weight names end in ":0"."""
    with h5py.File(path, "w") as h5:
        h5.attrs["keras_version"], h5.attrs["backend"] = b"2.4.0", b"tensorflow"
        h5.attrs["model_config"] = json.dumps(config).encode()
        if training:
            h5.attrs["training_config"] = json.dumps(training).encode()
        group = h5.create_group("model_weights")
        group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            inner = group.create_group(layer.name)
            names = [f"{layer.name}/{i}_{v.name}:0" for i, v in enumerate(layer.weights)]
            inner.attrs["weight_names"] = [n.encode() for n in names]
            for n, v in zip(names, layer.weights):
                inner[n] = v.numpy()


def revived(config):
    return mlkit.saving.deserialize_keras_object(modernized(json.loads(json.dumps(config))))


def test_graphs_of_keras_2(tmp_path):
    model = files.randomized(revived(KERAS2))
    written_by_keras2(tmp_path / "old.h5", KERAS2, TRAINING, model)
    again = mlkit.models.load_model(tmp_path / "old.h5")
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    x = np.ones((2, 4, 4, 2), "float32")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.get_layer("inner").get_layer("leaky").negative_slope == 0.25
    assert again.get_layer("norm").axis == 3
    assert again.get_layer("depth").depthwise_regularizer.l2 == 0.01
    assert (float(again.optimizer.learning_rate), again.optimizer.epsilon) == (0.25, 1e-7)
    assert set(again.evaluate(x, x, verbose=0, return_dict=True)) == {"loss", "mean_absolute_error"}


def test_sequences_of_keras_2(tmp_path):
    model = revived(SEQUENTIAL)
    assert model.input_shape == (None, 6)
    assert model.layers[1].forward_layer.units == 2
    written_by_keras2(tmp_path / "old.h5", SEQUENTIAL, None, model)
    again = mlkit.models.load_model(tmp_path / "old.h5")
    assert not again.compiled
    x = np.ones((2, 6), "int32")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_new_spellings_stay_as_they_are():
    config = json.loads(json.dumps(mlkit.saving.serialize_keras_object(files.nested(mlkit))))
    assert modernized(config) == config


def test_a_rate_that_decayed_is_said():
    with pytest.warns(UserWarning, match="decay=0.5"):
        modern_training({**TRAINING, "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1, "decay": 0.5}}})


# ---- what is refused -----------------------------------------------------------------------------------------------------


def lambda_of_keras_2():
    function = {"function": ["4wEAAAAAAAAA", None, None], "function_type": "lambda", "name": "f"}
    return {"class_name": "Sequential", "config": [{"class_name": "Lambda", "config": function}]}


@pytest.mark.parametrize("config, words", [
    (lambda_of_keras_2(), "byte code"),
    ({"class_name": "Sequential", "config": [{"class_name": "os.system", "config": {"name": "x"}}]}, "os.system"),
    ({"class_name": "Sequential", "config": [
        {"class_name": "Dense", "config": {"units": 10**9, "batch_input_shape": [None, 9]}}]}, "bytes"),
    ({"class_name": "Model", "config": {"layers": 3}}, "Model"),
    ({"class_name": "Model"}, "describes"),
    ([1, 2], "JSON object"),
])  # fmt: skip
def test_configs_that_are_refused(config, words, tmp_path):
    written_by_keras2(tmp_path / "m.h5", config, None, mlkit.Sequential())
    with pytest.raises(ModelFileError, match=words) as caught:
        mlkit.models.load_model(tmp_path / "m.h5")
    assert caught.value.path == str(tmp_path / "m.h5")


def test_files_of_weights_are_called_that(tmp_path):
    mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(1)]).save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ModelFileError, match="no whole model"):
        mlkit.models.load_model(tmp_path / "m.weights.h5")


def damaged(data, rng):
    """The bytes of a file with some of them changed, taken away, doubled or moved."""
    data, kind = bytearray(data), rng.randrange(5)
    at, n = rng.randrange(len(data)), rng.randrange(1, 64)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        data[at : at + n] = rng.randbytes(n)
    elif kind == 3:
        data[at:at] = data[at : at + n]
    else:
        data[at : at + 8] = rng.choice([2**64 - 1, 0, len(data), 2**31]).to_bytes(8, "little")
    return bytes(data)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 100))])
def test_damaged_files_are_refused_or_read(seed, tmp_path):
    """Whatever is damaged: a ModelFileError within two seconds and in little memory, or a model."""
    path, rng = tmp_path / "m.h5", random.Random(seed)
    trained(mlkit).save(path)
    good, refused = path.read_bytes(), 0
    for _ in range(50):
        path.write_bytes(damaged(good, rng))
        tracemalloc.start()
        start = time.perf_counter()
        try:
            mlkit.models.load_model(path)
        except ModelFileError:
            refused += 1
        finally:
            taken, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert taken < 2
        assert peak < 3 * len(good) + 2**22
    assert refused > 10


def test_a_file_object_is_a_keras_file(tmp_path):
    trained(mlkit).save(tmp_path / "m.h5")
    with pytest.raises(ModelFileError, match="HDF5"):
        mlkit.models.load_model(io.BytesIO((tmp_path / "m.h5").read_bytes()))
