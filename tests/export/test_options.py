"""What is common to formats: precision of weights, preprocessing, names of classes, and files that arrive whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.export import onnx_format
from mlkit.export.model_export import verify
from mlkit.utils import atomic
from tests.export.nets import photos, small

onnx = pytest.importorskip("onnx", reason='ONNX files are written with onnx: pip install "mlkit-engine[onnx]"')
runtime = pytest.importorskip("onnxruntime", reason='ONNX files are run by ONNX Runtime: pip install "mlkit-engine[onnx]"')


def wide():
    mlkit.utils.set_random_seed(0)
    x = mlkit.Input((32,), name="x")
    return mlkit.Model(x, layers.Dense(4, activation="softmax")(layers.Dense(512, activation="relu")(x)))


@pytest.mark.parametrize("kind, share", [("float16", 0.6), ("dynamic", 0.5), ("static", 0.5)])
def test_weights_of_fewer_bits(kind, share, tmp_path, capsys):
    model, data = wide(), np.random.default_rng(0).normal(size=(64, 32)).astype("float32")
    labels = model.predict(data, verbose=0).argmax(-1)
    options = {"float16": {"dtype": "float16"}, "dynamic": {"quantize": "int8"}}.get(kind)
    options = options or {"quantize": "int8", "calibration_data": data}
    model.export(tmp_path / "whole.onnx", verbose=False)
    model.export(tmp_path / "m.onnx", evaluation_data=(data, labels), **options)
    assert os.path.getsize(tmp_path / "m.onnx") < share * os.path.getsize(tmp_path / "whole.onnx")
    said = capsys.readouterr().out
    assert "accuracy: the model 1.0000, the file" in said
    assert "points lost" in said
    assert float(said.split("the file ")[1].split(":")[0]) >= 0.9
    assert verify(str(tmp_path / "m.onnx")) <= 1


def test_numbers_that_halves_cannot_hold_stay(tmp_path):
    model = wide()
    model.layers[1].kernel.assign(np.full((32, 512), 1e5, "float32"))
    model.export(tmp_path / "m.onnx", dtype="float16", check=False, verbose=False)
    kinds = [t.data_type for t in onnx.load(tmp_path / "m.onnx").graph.initializer if t.dims == [32, 512]]
    assert kinds == [onnx.TensorProto.FLOAT]


def test_the_format_of_onnx_runtime_itself(tmp_path):
    model = small()
    model.export(tmp_path / "m.ort", verbose=False)
    assert (tmp_path / "m.ort").read_bytes()[4:8] == b"ORTM"
    (found,) = runtime.InferenceSession(str(tmp_path / "m.ort")).run(None, {"photo": photos(3)})
    np.testing.assert_allclose(found, model.predict(photos(3), verbose=0), rtol=1e-5, atol=1e-6)
    assert verify(str(tmp_path / "m.ort")) <= 1


@pytest.mark.parametrize("options, says", [
    ({"dtype": "int4"}, "'float32' or 'float16'"), ({"quantize": "int4"}, "must be 'int8'"),
    ({"quantize": "int8", "dtype": "float16"}, "cannot both be"), ({"calibration_data": photos(2)}, "is for quantize"),
    ({"quantize": "int8", "calibration_data": photos(2)[0]}, "the model takes"),
    ({"quantize": "int8", "calibration_data": photos(0)}, "hold no sample"), ({"class_names": "abc"}, "list of texts"),
    ({"evaluation_data": photos(2)}, "must be .inputs, labels."),
])  # fmt: skip
def test_bad_options(options, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        small().export(tmp_path / "m.onnx", **options)
    assert not list(tmp_path.iterdir()) or "evaluation_data" in options


def test_options_of_another_format_are_named(tmp_path):
    with pytest.raises(TypeError, match="format 'onnx' has no option 'batch_size'. It has: calibration_data, check, dtype"):
        small().export(tmp_path / "m.onnx", batch_size=1)


def test_names_of_classes(tmp_path):
    model = small()
    model.export(tmp_path / "m.onnx", class_names=["a", "b", "c"], verbose=False)
    kept = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(kept["mlkit"])["class_names"] == ["a", "b", "c"]
    model.image_task = mlkit.models.ImageTask(["d", "e", "f"], (8, 8))
    model.export(tmp_path / "m.onnx", verbose=False)
    kept = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(kept["mlkit"])["class_names"] == ["d", "e", "f"]


def test_a_file_of_photos_scales_and_resizes_them(tmp_path):
    model, rng = small(), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    scale = mlkit.applications.mobilenet_v2.preprocess_input
    model.export(tmp_path / "m.onnx", preprocess=scale, verbose=False)
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
    assert session.get_inputs()[0].type == "tensor(uint8)"
    wanted = model.predict(scale(pixels.astype("float32")), verbose=0)
    np.testing.assert_allclose(session.run(None, {"photo": pixels})[0], wanted, rtol=1e-4, atol=1e-6)

    model.image_task = mlkit.models.ImageTask(["a", "b", "c"], (8, 8))
    large = rng.integers(0, 256, (3, 20, 30, 3)).astype("uint8")
    signature = [mlkit.InputSpec(shape=(None, 20, 30, 3), dtype="uint8")]
    model.export(tmp_path / "m.onnx", preprocess=True, input_signature=signature, verbose=False)
    (found,) = runtime.InferenceSession(str(tmp_path / "m.onnx")).run(None, {"photo": large})
    for row, answer in zip(found, model.classify(large)):
        assert dict(answer) == pytest.approx(dict(zip("abc", row)), abs=0.02)


def test_preprocessing_that_is_not_known_is_asked_for(tmp_path):
    with pytest.raises(ValueError, match="what images need before model 'small' is not known"):
        small().export(tmp_path / "m.onnx", preprocess=True)
    with pytest.raises(TypeError, match="must be True, False or a function"):
        small().export(tmp_path / "m.onnx", preprocess="tf")
    with pytest.raises(ValueError, match="for models of one batch of images"):
        wide().export(tmp_path / "m.onnx", preprocess=lambda x: x)
    with pytest.raises(ValueError, match="how large photos are"):
        shape = [mlkit.InputSpec(shape=(None, None, None, 3), dtype="uint8")]
        small().export(tmp_path / "m.onnx", preprocess=lambda x: x, input_signature=shape)
    assert not list(tmp_path.iterdir())


def test_constants_that_are_too_many_lie_beside_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_format, "_INSIDE", 1000)
    model, path = wide(), tmp_path / "m.onnx"
    model.export(path, verbose=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert verify(str(path)) <= 1
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(onnx_format, "run", lambda *given: [np.zeros((3, 4), "float32")])
    with pytest.raises(RuntimeError, match="answers something else"):
        model.export(path, verbose=False)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_threads_export_at_once(tmp_path):
    model, errors = small(), []

    def export(name):
        try:
            model.export(tmp_path / name, verbose=False)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=export, args=(f"m{i % 3}.onnx",)) for i in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not errors
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m0.onnx", "m1.onnx", "m2.onnx"]
    assert all(verify(str(p)) <= 1 for p in tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic.tempfile, "mkdtemp", refuse)
    with pytest.raises(PermissionError, match="cannot be written to: Permission denied"):
        small().export(tmp_path / "m.onnx", verbose=False)


def test_killed_while_it_writes(tmp_path):
    """What was there before is whole: the process is killed when its own folder is there and the file is not yet in its place."""
    path = tmp_path / "m.onnx"
    path.write_text("old")
    script = (
        "import sys, time\nfrom mlkit.utils.atomic import arriving\n"
        "with arriving(sys.argv[1]) as part, open(part, 'w') as file:\n"
        "    file.write('half'); file.flush(); print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert path.read_text() == "old"
    small().export(path, verbose=False)
    assert verify(str(path)) <= 1
