"""Several functions of a model as programs in one folder."""

import json

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.export import ExportArchive

pytest.importorskip("onnx", reason='ONNX files are written with onnx: pip install "mlkit-engine[onnx]"')
runtime = pytest.importorskip("onnxruntime", reason='ONNX files are run by ONNX Runtime: pip install "mlkit-engine[onnx]"')

FOUR = [mlkit.InputSpec(shape=(None, 4), dtype="float32")]


def model_and_encoder():
    mlkit.utils.set_random_seed(0)
    x = mlkit.Input((4,), name="x")
    encoder = layers.Dense(3, activation="tanh", name="encoder")
    return mlkit.Model(x, layers.Dense(2, name="head")(encoder(x)), name="net"), encoder


def test_each_endpoint_is_a_file(tmp_path, capsys):
    model, encoder = model_and_encoder()
    archive = ExportArchive()
    assert archive.add_endpoint("serve", model) is model
    archive.track_and_add_endpoint("encode", encoder, FOUR)
    archive.add_endpoint("both", lambda x, y: {"sum": model(x) + model(y), "x": encoder(x)}, FOUR + FOUR)
    archive.write_out(tmp_path / "net")
    assert "3 endpoints" in capsys.readouterr().out
    told = json.loads((tmp_path / "net" / "endpoints.json").read_text())
    assert told["format"] == "onnx"
    assert told["endpoints"]["both"] == {"file": "both.onnx", "inputs": ["input_0", "input_1"], "outputs": ["sum", "x"]}
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    for name, wanted in {"serve": model(x), "encode": encoder(x), "both": 2 * model(x)}.items():
        session = runtime.InferenceSession(str(tmp_path / "net" / f"{name}.onnx"))
        found = session.run(None, {i.name: x for i in session.get_inputs()})[0]
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_what_is_tracked(tmp_path):
    model, encoder = model_and_encoder()
    model.layers[-1].trainable = False
    archive = ExportArchive("onnx")
    archive.track(encoder)
    archive.add_endpoint("serve", model)
    assert [v.path for v in archive.variables] == [v.path for v in model.variables]
    assert len(archive.trainable_variables) == 2
    assert len(archive.non_trainable_variables) == 2


def test_an_archive_is_replaced_whole_or_not_at_all(tmp_path):
    model, _ = model_and_encoder()
    archive = ExportArchive()
    archive.add_endpoint("serve", model)
    archive.write_out(tmp_path / "net", verbose=False)
    other = ExportArchive()
    other.add_endpoint("other", model)
    other.write_out(tmp_path / "net", verbose=False)
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["endpoints.json", "other.onnx"]
    other.add_endpoint("bad", lambda x: mlkit.ops.real(mlkit.ops.fft((x, x))[0]), FOUR)
    with pytest.raises(NotImplementedError, match="format 'onnx' has nothing for"):
        other.write_out(tmp_path / "net", verbose=False)
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["endpoints.json", "other.onnx"]
    assert [p.name for p in tmp_path.iterdir()] == ["net"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="no archive that could be replaced"):
        archive.write_out(tmp_path / "mine")


def test_options_go_to_the_format(tmp_path):
    model, _ = model_and_encoder()
    archive = ExportArchive()
    archive.add_endpoint("serve", model)
    with pytest.raises(TypeError, match="has no option 'abc'"):
        archive.write_out(tmp_path / "net", options={"abc": 1})
    assert not list(tmp_path.iterdir())
    archive.write_out(tmp_path / "net", options={"opset_version": 20}, verbose=False)


def test_what_is_refused(tmp_path):
    model, _ = model_and_encoder()
    with pytest.raises(NotImplementedError, match="TensorFlow"):
        ExportArchive("saved_model")
    with pytest.raises(ValueError, match="format 'abc' is not known"):
        ExportArchive("abc")
    archive = ExportArchive()
    with pytest.raises(ValueError, match="there is nothing to write"):
        archive.write_out(tmp_path / "net")
    with pytest.raises(ValueError, match="only layers and models"):
        archive.track(3)
    with pytest.raises(ValueError, match="is not built"):
        archive.track(layers.Dense(2))
    for name in ("", "../x", ".x"):
        with pytest.raises(ValueError, match="cannot be the name"):
            archive.add_endpoint(name, model)
    with pytest.raises(ValueError, match="does not tell its arguments"):
        archive.add_endpoint("f", lambda x: x)
    with pytest.raises(ValueError, match="must be a list"):
        archive.add_endpoint("f", lambda x: x, FOUR[0])
    with pytest.raises(ValueError, match="must be a function"):
        archive.add_endpoint("f", 3, FOUR)
    archive.add_endpoint("serve", model)
    with pytest.raises(ValueError, match="cannot be the name .* There are: .'serve'"):
        archive.add_endpoint("serve", model)
    with pytest.raises(NotImplementedError, match="where they are constants"):
        archive.add_variable_collection("v", model.variables)
