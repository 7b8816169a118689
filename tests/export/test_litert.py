"""LiteRT's files of models: run by LiteRT on this machine's processor."""

import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.export import litert_format
from mlkit.export.litert_converter import ConverterError, convert
from mlkit.export.model_export import verify
from tests.export.nets import photos, small

MISSING = 'files of LiteRT are written and run by its packages: pip install "mlkit-engine[litert]"'
interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason=MISSING)
pytest.importorskip("litert_converter", reason=MISSING)


def answer(path, **inputs):
    return next(iter(interpreter.Interpreter(str(path)).get_signature_runner("serving_default")(**inputs).values()))


def test_answers_names_and_a_free_batch(tmp_path, capsys):
    model, path = small(), tmp_path / "m.tflite"
    model.export(path)
    assert "the batch is free; LiteRT differs by" in capsys.readouterr().out
    file = interpreter.Interpreter(str(path))
    assert file.get_signature_list() == {"serving_default": {"inputs": ["photo"], "outputs": ["answer"]}}
    for n in (1, 5):
        np.testing.assert_allclose(answer(path, photo=photos(n)), model.predict(photos(n), verbose=0), rtol=1e-5, atol=1e-6)


def test_a_fixed_batch(tmp_path, capsys):
    model, path = small(), tmp_path / "m.tflite"
    model.export(path, batch_size=2)
    assert "the batch is 2" in capsys.readouterr().out
    assert list(interpreter.Interpreter(str(path)).get_input_details()[0]["shape"]) == [2, 8, 8, 3]
    with pytest.raises(ValueError, match="`batch_size` must be a whole number from 1"):
        model.export(path, batch_size=0)


def test_normalization_is_folded(tmp_path):
    small().export(tmp_path / "m.tflite", batch_size=1, verbose=False)
    kinds = {op["op_name"] for op in interpreter.Interpreter(str(tmp_path / "m.tflite"))._get_ops_details()}
    assert not {"MUL", "SUB", "ADD", "RSQRT"} & kinds


def test_several_inputs_in_any_order_of_names(tmp_path):
    a, b = mlkit.Input((4,), name="z"), mlkit.Input((3,), name="a", dtype="int32")
    model = mlkit.Model([a, b], [layers.Dense(2, name="y")(a), layers.Embedding(5, 2, name="b")(b)])
    model.export(tmp_path / "m.tflite", verbose=False)
    given = {"z": np.ones((2, 4), "float32"), "a": np.array([[0, 4, 1], [2, 2, 3]], "int32")}
    found = interpreter.Interpreter(str(tmp_path / "m.tflite")).get_signature_runner("serving_default")(**given)
    for name, wanted in zip(("y", "b"), model.predict([given["z"], given["a"]], verbose=0)):
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-6)


def test_the_file_can_be_verified_and_names_its_classes(tmp_path):
    path = tmp_path / "m.tflite"
    small().export(path, class_names=["cat", "dog", "none"], verbose=False)
    assert verify(str(path)) <= 1
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert archive.read("labels.txt").decode().split() == ["cat", "dog", "none"]
    done = subprocess.run([sys.executable, "-m", "mlkit", "verify-file", str(path)], capture_output=True, text=True)
    assert done.returncode == 0
    assert "as the model answered" in done.stdout
    (tmp_path / "n.tflite").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="has no golden sample"):
        verify(str(tmp_path / "n.tflite"))


def test_weights_of_fewer_bits(tmp_path, capsys):
    mlkit.utils.set_random_seed(0)
    x = mlkit.Input((32,))
    model = mlkit.Model(x, layers.Dense(4, activation="softmax")(layers.Dense(512, activation="relu")(x)))
    data = np.random.default_rng(0).normal(size=(64, 32)).astype("float32")
    labels = model.predict(data, verbose=0).argmax(-1)
    sizes = {}
    for name, options in {
        "float32": {}, "float16": {"dtype": "float16"}, "dynamic": {"quantize": "int8"},
        "static": {"quantize": "int8", "calibration_data": data, "batch_size": 1},
    }.items():  # fmt: skip
        model.export(tmp_path / "m.tflite", evaluation_data=(data, labels), **options)
        sizes[name] = os.path.getsize(tmp_path / "m.tflite")
        said = capsys.readouterr().out
        assert float(said.split("the file ")[1].split(":")[0]) >= 0.9
        assert verify(str(tmp_path / "m.tflite")) <= 1
    assert sizes["float16"] < 0.6 * sizes["float32"]
    assert sizes["dynamic"] < 0.4 * sizes["float32"]
    assert sizes["static"] < 0.4 * sizes["float32"]
    with pytest.raises(ValueError, match="`calibration_data` needs a fixed batch"):
        model.export(tmp_path / "n.tflite", quantize="int8", calibration_data=data)


@pytest.mark.parametrize("layer", [
    lambda: layers.LSTM(4, return_sequences=True), lambda: layers.SimpleRNN(4), lambda: layers.Bidirectional(layers.GRU(3)),
    lambda: layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)], go_backwards=True),
])  # fmt: skip
def test_recurrent_layers_are_unrolled(layer, tmp_path):
    x = mlkit.Input((5, 3), name="x")
    model = mlkit.Model(x, layer()(x))
    model.export(tmp_path / "m.tflite", batch_size=2, verbose=False)
    data = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    np.testing.assert_allclose(answer(tmp_path / "m.tflite", x=data), model.predict(data, verbose=0), rtol=1e-4, atol=1e-6)
    x = mlkit.Input((None, 3), name="x")
    with pytest.raises(NotImplementedError, match="(lstm|rnn|gru|scan) in .*its steps must be known"):
        mlkit.Model(x, layer()(x)).export(tmp_path / "n.tflite", verbose=False)


@pytest.mark.parametrize("options", [
    {"strides": 2, "padding": "same"}, {"strides": (3, 2), "output_padding": (1, 0)}, {"dilation_rate": 2}, {"kernel_size": (2, 5)},
])  # fmt: skip
def test_transposed_convolutions_for_a_free_batch(options, tmp_path):
    x = mlkit.Input((6, 5, 4), name="x")
    model = mlkit.Model(x, layers.Conv2DTranspose(3, **{"kernel_size": 3, **options})(x))
    model.export(tmp_path / "m.tflite", verbose=False)
    data = np.random.default_rng(0).normal(size=(3, 6, 5, 4)).astype("float32")
    np.testing.assert_allclose(answer(tmp_path / "m.tflite", x=data), model.predict(data, verbose=0), rtol=1e-4, atol=1e-5)


def test_what_the_converter_refuses_is_named_with_its_layer(tmp_path):
    x = mlkit.Input((8,))

    class Own(layers.Layer):
        def call(self, x):
            return mlkit.ops.real(mlkit.ops.fft((x, x))[0])

    with pytest.raises(NotImplementedError, match="format 'litert' has nothing for .*own"):
        mlkit.Model(x, Own(name="own")(x)).export(tmp_path / "m.tflite", batch_size=1, verbose=False)
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_something_else_is_not_left(tmp_path, monkeypatch):
    from mlkit.core.backend import get_backend

    path = tmp_path / "m.tflite"
    path.write_text("old")
    monkeypatch.setitem(get_backend("jax").kernels, "relu", abs)
    with pytest.raises(RuntimeError, match="LiteRT answers something else .*; the first difference is in relu of re_lu"):
        small().export(path, batch_size=1, verbose=False)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]


def test_a_converter_that_dies_is_an_error():
    text = "module @m { func.func public @main(%a: tensor<2xf32>) -> tensor<2xf32> { return %a : tensor<2xf32> } }"
    program = {"name": "s", "inputs": ["a"], "outputs": ["b"]}
    good, bad = convert([{"text": text, **program}, {"text": "no program", **program}])
    assert litert_format.interpreter.Interpreter(model_content=good).get_signature_list()["s"]["inputs"] == ["a"]
    assert isinstance(bad, ConverterError)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["InceptionV3", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0"])
@pytest.mark.parametrize("batch_size", [None, 1])
def test_applications(name, batch_size, tmp_path):
    shape = {"input_shape": (224, 224, 3)} if name == "MobileNetV3Small" else {}
    model = getattr(mlkit.applications, name)(weights=None, classes=10, **shape)
    for v in model.non_trainable_variables:  # statistics that keep the numbers large
        v.assign(np.full(v.shape, 0.1 if "variance" in v.name else 0.0))
    model.export(tmp_path / "m.tflite", batch_size=batch_size, verbose=False)
    x = np.random.default_rng(1).normal(size=(1, *model.input_shape[1:])).astype("float32")
    found, wanted = answer(tmp_path / "m.tflite", **{model.input_names[0]: x}), model.predict(x, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
