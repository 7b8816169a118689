"""Files of weights that hold something else than the model has, and what a layer's own hooks may do with a file."""

import io
import json

import h5py
import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.__main__ import main
from mlkit.models.saving.contents import facts
from mlkit.saving import KerasFileEditor, ModelFileError


def net(units=3, dtype="float32", name="first", bias=True):
    x = mlkit.Input((4,), name="x")
    y = layers.Dense(units, name=name, dtype=dtype, use_bias=bias)(x)
    model = mlkit.Model(x, layers.Dense(2, name="second", dtype=dtype)(y), name="net")
    model.compile(mlkit.optimizers.Adam(), "mse")
    return model


@pytest.fixture
def older(tmp_path):
    """A whole model in an .h5 file, after a step of Adam."""
    model = net()
    model.fit(np.ones((4, 4)), np.zeros((4, 2)), verbose=0, check=False)
    model.save(tmp_path / "old.h5")
    return tmp_path / "old.h5"


OTHERS = {
    "shape": (net, r"has shape \(3, 4\), but the weight 'first/kernel' has shape \(4, 3\)"),
    "number": (lambda: net(bias=False), "Weight count mismatch: there are 1 weights, but 2 are stored"),
    "dtype": (net, "is int32, but the weight 'first/kernel' is float32. Nothing is converted"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_older_files_that_do_not_fit(name, older):
    make, words = OTHERS[name]
    model = make()
    if name != "number":
        with h5py.File(older, "r+") as file:
            place = "model_weights/first/first/kernel"
            del file[place]
            file[place] = np.ones((4, 3), "int32") if name == "dtype" else np.ones((3, 4), "float32")
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=words):
        model.load_weights(older)
    assert all(map(np.array_equal, before, model.get_weights()))
    with pytest.warns(UserWarning, match=rf"first \(for layer 'first'\) is left alone: .*{words}"):
        model.load_weights(older, skip_mismatch=True)
    assert not np.array_equal(before[-2], model.get_weights()[-2]), "the second layer has the file's"


def test_a_layer_that_an_older_file_lists_only(older):
    with h5py.File(older, "r+") as file:
        del file["model_weights/first"]
    with pytest.raises(ModelFileError, match="lists this layer, but does not hold it"):
        net().load_weights(older)


def test_the_state_of_another_optimizer_starts_afresh(older):
    with h5py.File(older, "r+") as file:
        names = [n.decode() if isinstance(n, bytes) else n for n in file["optimizer_weights"].attrs["weight_names"]]
        file["optimizer_weights"].attrs["weight_names"] = np.array(names[:-1], "S")
    with pytest.warns(UserWarning, match="the optimizer's state is not loaded; it starts afresh: Weight count mismatch"):
        again = mlkit.models.load_model(older)
    assert int(again.optimizer.iterations) == 0


def test_older_files_hold_no_bfloat16(tmp_path):
    with pytest.raises(ModelFileError, match="hold no bfloat16"):
        net(dtype="bfloat16").save(tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["gone", "a folder", "twice", "no list"])
def test_lists_of_files_that_cannot_be_read(wrong, tmp_path):
    model = net()
    path = tmp_path / "m.weights.json"
    model.save_weights(path, max_shard_size=60 / 2**30)
    words = "File not found"
    if wrong == "gone":
        path.unlink()
    elif wrong == "a folder":
        path.unlink()
        path.mkdir()
        words = "it cannot be read: Is a directory"
    elif wrong == "no list":
        path.write_text("{}")
        words = "it is missing, so this is no list of files of weights"
    else:
        listed = json.loads(path.read_text())
        one, other = sorted({name for held in listed["weight_map"].values() for name in np.ravel(held)})[:2]
        (tmp_path / other).write_bytes((tmp_path / one).read_bytes())
        words = "lies in two of the files"
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=words):
        model.load_weights(path)
    assert all(map(np.array_equal, before, model.get_weights()))


class Ordered(layers.Layer):
    """A user's layer that looks at what it writes."""

    def build(self, shape):
        self.table = self.add_weight((2, 3), name="table")

    def call(self, x):
        return x + self.table[0, 0]

    def save_own_variables(self, store):
        store["table"], store["spare"] = self.table, np.ones(2)
        assert sorted(store) == ["spare", "table"]
        assert len(store) == 2
        del store["spare"]
        np.testing.assert_array_equal(store["table"], self.table)

    def load_own_variables(self, store):
        assert list(store) == ["table"]
        self.table.assign(store["table"])


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".weights.json"])
def test_what_a_layer_writes_is_a_dict(ending, tmp_path):
    make = lambda: mlkit.Sequential([mlkit.Input((3,)), Ordered(name="ordered")])
    model, again, path = make(), make(), tmp_path / f"m{ending}"
    if ending == ".keras":
        model.save(path)
    else:
        model.save_weights(path, **({"max_shard_size": 1} if "json" in ending else {}))
    again.load_weights(path)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_weights_in_bfloat16_come_back(tmp_path):
    model, again = net(dtype="bfloat16"), net(dtype="bfloat16")
    for ending in ("keras", "weights.h5"):
        (model.save if ending == "keras" else model.save_weights)(tmp_path / f"m.{ending}")
        again.load_weights(tmp_path / f"m.{ending}")
        assert [w.dtype.name for w in again.get_weights()] == ["bfloat16"] * 4
        assert all(map(np.array_equal, again.get_weights(), model.get_weights()))


def test_places_that_are_refused(tmp_path):
    model = net()
    (tmp_path / "m.txt").touch()
    for call, kind, words in (
        (lambda: model.save("hf://someone/m"), NotImplementedError, "uploading to the Hugging Face Hub"),
        (lambda: model.save(io.BytesIO(), zipped=False), ValueError, "must name a folder, but is a file object"),
        (lambda: mlkit.models.load_model("hf://someone/m.keras"), ModelFileError, "are not fetched"),
        (lambda: facts(tmp_path / "m.txt"), ModelFileError, "File format not supported"),
    ):
        with pytest.raises(kind, match=words):
            call()


def test_the_editor_and_the_command_write_what_programs_read(tmp_path, capsys):
    net().save(tmp_path / "m.keras")
    editor = KerasFileEditor(tmp_path / "m.keras")
    editor.resave_weights(tmp_path / "m.weights.h5")
    net().load_weights(tmp_path / "m.weights.h5")
    assert main(["diff", str(tmp_path / "m.keras"), str(tmp_path / "m.keras"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"same": True, "differences": []}
