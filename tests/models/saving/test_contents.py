"""Files looked at, compared and edited."""

import keras
import numpy as np
import pytest

import mlkit
from mlkit.__main__ import main
from mlkit.saving import KerasFileEditor, ModelFileError


def net(k, units=3):
    x = k.Input((4,))
    y = k.layers.Dense(units, activation="relu", name="first")(x)
    return k.Model(x, k.layers.Dense(2, name="second")(y), name="net")


@pytest.mark.parametrize("k", [mlkit, keras])
def test_what_is_edited_is_written(k, tmp_path, capsys):
    """The same edits by Keras's editor and by ours; what either writes is read by the other library."""
    model = net(k)
    model.save(tmp_path / "m.keras")
    for number, editor_of in enumerate((keras.saving.KerasFileEditor, KerasFileEditor)):
        editor = editor_of(str(tmp_path / "m.keras"))
        editor.summary()
        found = editor.compare(net(mlkit if editor_of is KerasFileEditor else keras))
        assert (found["status"], found["error_count"]) == ("success", 0)
        editor.delete_object("layers/dense_1")
        editor.add_object("layers/dense_1", {"0": np.ones((3, 5), "float32")})
        editor.add_weights("dense_1", {"1": np.zeros(5, "float32"), "2": np.zeros(1, "float32")})
        editor.delete_weight("dense_1", "2")
        editor.rename_object("layers/dense_1", "other")
        editor.rename_object("other", "dense_1")
        path = str(tmp_path / f"{number}.weights.h5")
        editor.save(path)
        for library in (keras, mlkit):
            x = library.Input((4,))
            y = library.layers.Dense(5, name="second")(library.layers.Dense(3, name="first")(x))
            again = library.Model(x, y)
            again.load_weights(path)
            np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
            assert np.all(again.get_weights()[2] == 1)
    assert "dense_1" in capsys.readouterr().out


def test_differences_from_a_model(tmp_path, capsys):
    net(mlkit).save(tmp_path / "m.keras")
    found = KerasFileEditor(tmp_path / "m.keras").compare(net(mlkit, units=5))
    assert found == {"status": "error", "error_count": 3, "match_count": 1}
    assert "layers/dense/0: (4, 5) in the model, (4, 3) in the file" in capsys.readouterr().out


def test_edits_that_are_refused(tmp_path):
    net(mlkit).save_weights(tmp_path / "m.weights.h5")
    editor = KerasFileEditor(tmp_path / "m.weights.h5")
    for edit, words in (
        (lambda: editor.delete_object("nothing"), "does not appear"),
        (lambda: editor.delete_object("layers/nothing"), "not found"),
        (lambda: editor.rename_object("dense", "a/b"), "not a path"),
        (lambda: editor.rename_object("dense", "dense_1"), "already"),
        (lambda: editor.add_object("layers/dense", {"0": np.ones(1)}), "already"),
        (lambda: editor.add_object("else/dense", {"0": np.ones(1)}), "not found"),
        (lambda: editor.add_weights("dense", [1]), "must be a dict"),
        (lambda: editor.delete_weight("dense", "7"), "no weight '7'"),
        (lambda: editor.save(tmp_path / "m.keras"), "extension"),
        (lambda: KerasFileEditor("m.h5"), "Invalid filename"),
    ):
        with pytest.raises(ValueError, match=words):
            edit()


@pytest.fixture
def files(tmp_path):
    mlkit.utils.set_random_seed(0)
    model = net(mlkit)
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"one{ending}")
    model.save_weights(tmp_path / "one.weights.h5")
    model.layers[-1].set_weights([w + 1 for w in model.layers[-1].get_weights()])
    model.save(tmp_path / "two.keras")
    net(mlkit, units=5).save(tmp_path / "wide.keras")
    return tmp_path


def test_inspect(files, capsys):
    for name, words in (
        ("one.keras", ["model (.keras)", "keras_version: 3", "Functional 'net'", "Dense 'first'", "23 numbers", "(first)"]),
        ("one.h5", ["model (older .h5)", "Dense 'first'", "float32"]),
        ("one.weights.h5", ["weights (HDF5)", "(4, 3)", "4 tensors"]),
    ):
        assert main(["inspect", str(files / name)]) == 0
        shown = capsys.readouterr().out
        assert [w for w in words if w not in shown] == []


def test_diff(files, capsys):
    one, two, wide = (str(files / f"{n}.keras") for n in ("one", "two", "wide"))
    assert main(["diff", one, one]) == 0
    assert "the same" in capsys.readouterr().out
    assert main(["diff", one, two]) == 1
    assert "values differ by up to 1" in capsys.readouterr().out
    assert main(["diff", one, wide]) == 1
    shown = capsys.readouterr().out
    assert "units: 3 and 5" in shown
    assert "float32(4, 3) and float32(4, 5)" in shown


@pytest.mark.parametrize("command", [["inspect"], ["diff", "{good}"]])
def test_damaged_files(command, files, capsys):
    path = files / "bad.keras"
    path.write_bytes((files / "one.keras").read_bytes()[:-100])
    good = str(files / "one.keras")
    assert main([part.format(good=good) for part in command] + [str(path)]) == 2
    assert "truncated" in capsys.readouterr().err
    with pytest.raises(ModelFileError):
        KerasFileEditor(path)
