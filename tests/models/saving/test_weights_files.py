"""Files of weights: in several parts, and for variables of another float dtype."""

import gc
import json
import warnings

import h5py
import keras
import numpy as np
import pytest

import mlkit
from mlkit.saving import ModelFileError

X = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")


def make(k, dtype="float32", scale=1.0):
    x = k.Input((6,), dtype=dtype)
    y = k.layers.Dense(5, dtype=dtype, name="a")(x)
    model = k.Model(x, k.layers.BatchNormalization(dtype=dtype, name="b")(y))
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1, w.shape) * scale for w in model.get_weights()])
    return model


def outputs(model):
    return np.asarray(mlkit.ops.convert_to_numpy(model(X)) if isinstance(model, mlkit.Model) else model(X), "float32")


@pytest.mark.parametrize("writer, reader", [(mlkit, mlkit), (mlkit, keras), (keras, mlkit)])
def test_weights_in_several_files(writer, reader, tmp_path):
    model, again = make(writer), make(reader, scale=0.5)
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=130 / 2**30)
    listed = json.loads((tmp_path / "m.weights.json").read_text())
    assert listed["metadata"]["total_size"] == 4 * sum(w.size for w in model.get_weights())
    assert len(list(tmp_path.iterdir())) > 2
    again.load_weights(tmp_path / "m.weights.json")
    np.testing.assert_allclose(outputs(again), outputs(model), rtol=1e-5)


def test_a_group_may_lie_in_two_files(tmp_path):
    model, again = make(mlkit), make(mlkit, scale=0.5)
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=121 / 2**30)  # the kernel has 120 bytes
    listed = json.loads((tmp_path / "m.weights.json").read_text())["weight_map"]
    assert listed["/layers/dense/vars"] == ["m_00000.weights.h5", "m_00001.weights.h5"]
    again.load_weights(tmp_path / "m.weights.json")
    np.testing.assert_array_equal(outputs(again), outputs(model))


def test_shards_that_cannot_be_written_leave_nothing(tmp_path):
    for size, words in ((50 / 2**30, "max_shard_size"), (0, "positive"), ("5GB", "positive")):
        with pytest.raises(ValueError, match=words):
            make(mlkit).save_weights(tmp_path / "m.weights.json", max_shard_size=size)
    with pytest.raises(ValueError, match="weights.json"):
        make(mlkit).save_weights(tmp_path / "m.h5", max_shard_size=1)
    assert list(tmp_path.iterdir()) == []
    with pytest.warns(UserWarning, match="weights.json"):
        make(mlkit).save_weights(tmp_path / "m.weights.h5", max_shard_size=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.weights.json", "m_00000.weights.h5"]


def test_a_file_begun_is_closed_where_a_later_tensor_is_too_large(tmp_path, monkeypatch):
    noise = []
    monkeypatch.setattr("sys.unraisablehook", noise.append)
    layers = mlkit.layers
    model = mlkit.Sequential([mlkit.Input((2,)), layers.Dense(3), layers.Dense(64)])
    with pytest.raises(ValueError, match="max_shard_size"):
        model.save_weights(tmp_path / "m.weights.json", max_shard_size=100 / 2**30)
    gc.collect()
    assert not noise
    assert list(tmp_path.iterdir()) == []


DAMAGES = {
    "no json": (lambda listed: "{", "JSON"),
    "no map": (lambda listed: json.dumps({"metadata": {}}), "weight_map"),
    "numbers": (lambda listed: listed.replace('"m_00000.weights.h5"', "5"), "names of files"),
    "a path": (lambda listed: listed.replace("m_00000", "../m_00000"), "names of files"),
    "a missing file": (lambda listed: listed.replace("m_00000", "m_00007"), "cannot be read"),
    "another file": (lambda listed: listed.replace("m_00000", "m_00001"), "has 2 variables"),
    "a group too many": (lambda listed: listed.replace("layers/dense/", "layers/dense_9/"), "hold other tensors"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_lists_are_refused(name, tmp_path):
    damage, words = DAMAGES[name]
    model, path = make(mlkit), tmp_path / "m.weights.json"
    model.save_weights(path, max_shard_size=130 / 2**30)
    path.write_text(damage(path.read_text()))
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=words):
        model.load_weights(path)
    for a, b in zip(model.get_weights(), before):
        np.testing.assert_array_equal(a, b)


# ---- other dtypes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5", ".weights.json"])
@pytest.mark.parametrize("stored, wanted", [("float32", "bfloat16"), ("float16", "float32"), ("float64", "float32")])
def test_floats_are_converted_and_it_is_said(ending, stored, wanted, tmp_path):
    if ending == ".h5" and "bfloat16" in (stored, wanted):
        stored, wanted = "float32", "float16"
    model, again = make(mlkit, stored), make(mlkit, wanted, scale=0.5)
    path = tmp_path / f"m{ending}"
    sharded = {"max_shard_size": 1} if ending == ".weights.json" else {}
    (model.save_weights if "weights" in ending else model.save)(path, **sharded)
    with pytest.warns(UserWarning, match=f"converted from {stored} to {wanted}"):
        again.load_weights(path)
    for a, b in zip(again.weights, model.weights):
        assert a.dtype == wanted
        np.testing.assert_allclose(a.numpy().astype("float32"), b.numpy().astype("float32"), rtol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(mlkit, stored).load_weights(path)


def test_what_is_too_large_for_the_other_dtype_is_refused(tmp_path):
    model, again = make(mlkit, scale=1e6), make(mlkit, "float16")
    model.save_weights(tmp_path / "m.weights.h5")
    before = again.get_weights()
    with pytest.warns(UserWarning, match="converted"), pytest.raises(ModelFileError, match="too large for float16"):
        again.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(again.get_weights(), before):
        np.testing.assert_array_equal(a, b)


def test_whole_numbers_are_not_converted(tmp_path):
    import h5py

    model = make(mlkit)
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        group = file["layers/dense/vars"]
        values = group["0"][()].astype("int64")
        del group["0"]
        group["0"] = values
    with pytest.raises(ModelFileError, match="dtypes must match"):
        model.load_weights(tmp_path / "m.weights.h5")


@pytest.mark.parametrize("name", ["operations", "history", "loss", "optimizer", "_graph", "_stack", "_training", "_programs"])
def test_layers_under_names_that_models_use(name, tmp_path):
    """In a layer these names are free: what stands there is trained, and saved where Keras has it."""

    def make(k):
        class Block(k.layers.Layer):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                setattr(self, name, [k.layers.Dense(2)])

            def build(self, input_shape):
                getattr(self, name)[0].build(input_shape)

            def call(self, x):
                return getattr(self, name)[0](x)

        return k.Sequential([k.Input((6,)), Block(name="block")])

    ours, theirs = make(mlkit), make(keras)
    assert len(ours.trainable_weights) == 2
    ours.save_weights(tmp_path / "m.weights.h5")
    theirs.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(outputs(theirs), outputs(ours), rtol=1e-5)


class Divided(mlkit.layers.Layer):
    """A user's layer whose part only a property gives, where it can."""

    def __init__(self, error=None, **kwargs):
        super().__init__(**kwargs)
        self.held, self.error = Out(mlkit.layers.Dense(2)), error

    @property
    def part(self):
        if self.error is not None:
            raise self.error
        return self.held.layer

    def call(self, x):
        return self.held.layer(x)


class Out:
    def __init__(self, layer):
        self.layer = layer


def test_a_property_that_raises_is_told_of(tmp_path):
    """What it would give is in no file then; there being none is what AttributeError says."""
    path = tmp_path / "m.weights.h5"
    for error in (None, AttributeError("none"), RuntimeError("not now.")):
        model = mlkit.Sequential([mlkit.Input((6,)), Divided(error, name="one")])
        if type(error) is RuntimeError:
            with pytest.warns(
                UserWarning, match="pass over the property 'part' of Divided 'one'.*RuntimeError: not now. If it gives"
            ):
                model.save_weights(path)
        else:
            model.save_weights(path)
        with h5py.File(path) as file:
            assert ("part" in file.get("layers/divided", ())) == (error is None)
