"""ONNX files of models: names, free sizes, several inputs, what is refused, what a file keeps, and that none is left half written."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import layers
from tests.export import nets

onnx = pytest.importorskip("onnx", reason='ONNX files are written with onnx: pip install "mlkit-engine[onnx]"')
runtime = pytest.importorskip("onnxruntime", reason='ONNX files are run by ONNX Runtime: pip install "mlkit-engine[onnx]"')


small = functools.partial(nets.small, filters=4)


def session(path):
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_answers_names_and_a_free_batch(tmp_path):
    model, path = small(), str(tmp_path / "m.onnx")
    model.export(path, verbose=False)
    file = session(path)
    assert [i.name for i in file.get_inputs()] == ["photo"]
    assert [o.name for o in file.get_outputs()] == ["answer"]
    assert file.get_inputs()[0].shape == ["batch", 8, 8, 3]
    for n in (1, 5):
        x = np.random.default_rng(n).normal(size=(n, 8, 8, 3)).astype("float32")
        np.testing.assert_allclose(file.run(None, {"photo": x})[0], model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_normalization_is_folded_into_the_convolution(tmp_path):
    path = str(tmp_path / "m.onnx")
    small().export(path, verbose=False)
    kinds = [n.op_type for n in onnx.load(path).graph.node]
    assert kinds.count("Conv") == 1
    assert not {"Sqrt", "Reciprocal", "Sub", "Mul"} & set(kinds)


def test_what_is_added_to_a_convolution_is_its_bias_where_nothing_else_sees_it(tmp_path):
    x = mlkit.Input((6, 6, 3), name="x")
    seen = layers.Conv2D(4, 1, use_bias=False, name="seen")(x)  # an output too
    once = layers.Conv2D(4, 3, bias_initializer="normal")(
        layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(5, 3, name="c")(x)))
    )
    twice = layers.Conv2D(4, 1, use_bias=False)(x)
    rows = layers.Conv1D(2, 1, bias_initializer="normal", name="rows")(layers.Reshape((36, 3))(x))
    model = mlkit.Model(x, [seen, seen + np.float32([1, 2, 3, 4]), once, (twice + np.float32([1, 2, 3, 4])) * twice, rows])
    path = str(tmp_path / "m.onnx")
    model.export(path, verbose=False)  # which compares the answers
    nodes = onnx.load(path).graph.node
    assert sorted(len(n.input) for n in nodes if n.op_type == "Conv") == [2, 2, 3, 3, 3]
    assert [n.op_type for n in nodes].count("Add") == 2


@pytest.mark.parametrize("activation", ["relu", "relu6", "sigmoid", "tanh"])
def test_an_activation_stands_beside_its_convolution_where_nothing_else_sees_it(activation, tmp_path):
    x = mlkit.Input((6, 6, 3), name="x")
    seen = layers.Conv2D(4, 1, name="seen")(x)  # by the activation and by the sum
    once = layers.Conv2D(4, 1, bias_initializer="normal", activation=activation)(x)
    model = mlkit.Model(x, [seen + layers.Activation(activation)(seen), layers.Activation("tanh")(once)])
    path = str(tmp_path / "m.onnx")
    model.export(path, verbose=False)  # which compares the answers
    nodes = onnx.load(path).graph.node
    users = {name: n.op_type for n in nodes for name in n.input}
    followed = [users[n.output[0]] for n in nodes if n.op_type == "Conv"]
    assert followed.count("Transpose") == 1
    assert len(followed) == 2


def test_inputs_and_outputs_may_have_the_names_that_nodes_would_have(tmp_path):
    x = mlkit.Input((6,), name="tanh_2")
    model = mlkit.Model(
        x, [layers.Activation("tanh", name=f"{kind}_{i}")(x) for kind, i in (("tanh", 1), ("tanh", 3), ("t", 4))]
    )
    path = str(tmp_path / "m.onnx")
    model.export(path, verbose=False)  # which compares the answers
    assert [o.name for o in onnx.load(path).graph.output] == ["tanh_1", "tanh_3", "t_4"]


def test_several_inputs_and_outputs_in_any_structure(tmp_path):
    a, b = mlkit.Input((4,), name="a"), mlkit.Input((3,), name="b", dtype="int32")
    model = mlkit.Model({"a": a, "b": b}, [layers.Dense(2, name="first")(a), layers.Embedding(5, 2, name="second")(b)])
    path = str(tmp_path / "m.onnx")
    model.export(path, verbose=False)
    given = {"a": np.ones((2, 4), "float32"), "b": np.array([[0, 4, 1], [2, 2, 3]], "int32")}
    for found, wanted in zip(session(path).run(["first", "second"], given), model.predict(given, verbose=0)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_sizes_that_are_free_are_free_in_the_file(tmp_path):
    x = mlkit.Input((None, None, 3))
    h = layers.MaxPooling2D()(layers.Conv2D(4, 3, padding="same", strides=2)(x))
    model = mlkit.Model(x, layers.Reshape((-1, 4))(h))
    path = str(tmp_path / "m.onnx")
    model.export(path, verbose=False)
    x = np.random.default_rng(0).normal(size=(2, 12, 20, 3)).astype("float32")
    (found,) = session(path).run(None, {session(path).get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_model_of_a_class_takes_a_signature(tmp_path):
    class Own(mlkit.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x) + 1

    model, path = Own(), str(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="does not tell its inputs. Pass input_signature"):
        model.export(path)
    model.export(path, input_signature=[mlkit.InputSpec(shape=(None, 3), dtype="float32")], verbose=False)
    x = np.ones((4, 3), "float32")
    np.testing.assert_allclose(session(path).run(None, {"input_0": x})[0], model(x).numpy(), rtol=1e-6)


def test_what_is_printed(tmp_path, capsys):
    small().export(tmp_path / "m.onnx")
    assert "ONNX Runtime differs by" in capsys.readouterr().out
    small().export(tmp_path / "m.onnx", check=False)
    assert "not compared" in capsys.readouterr().out


def test_the_file_can_be_verified_where_it_is_used(tmp_path):
    path = str(tmp_path / "m.onnx")
    small().export(path, verbose=False)
    command = [sys.executable, "-m", "mlkit", "verify-file", path]
    assert subprocess.run(command, capture_output=True).returncode == 0
    model = onnx.load(path)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.raw_data = (np.frombuffer(weights.raw_data, "float32") * 1.5).tobytes()
    onnx.save(model, path)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "not as the model answered" in done.stdout
    del model.metadata_props[:]
    onnx.save(model, path)
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_class_names_are_in_the_file(tmp_path):
    path = str(tmp_path / "m.onnx")
    model = small()
    model.export(path, verbose=False)
    kept = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert json.loads(kept["mlkit"])["name"] == "small"


def test_a_file_that_answers_something_else_is_not_left(tmp_path, monkeypatch):
    from mlkit.export import onnx_format, onnx_rows
    from mlkit.export.tracing import op

    path = tmp_path / "m.onnx"
    path.write_text("old")
    monkeypatch.setitem(onnx_rows.ROWS, op("relu"), lambda w, call: w.node("Abs", [w.name(call.args[0])]))
    assert onnx_format.FORMAT.rows is onnx_rows.ROWS
    with pytest.raises(RuntimeError, match="something else than the model .*; the first difference is in relu of re_lu"):
        small().export(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize("name, format, error, says", [
    ("m.pt", None, NotImplementedError, "no ops of PyTorch"), ("m", "tf_saved_model", NotImplementedError, "TensorFlow"),
    ("m.abc", None, ValueError, "the suffix '.abc' is not known"), ("m.onnx", "abc", ValueError, "format 'abc' is not known"),
    ("none/m.onnx", None, FileNotFoundError, "there is no folder"),
])  # fmt: skip
def test_what_is_refused(name, format, error, says, tmp_path):
    with pytest.raises(error, match=says):
        small().export(tmp_path / name, format=format)
    assert not list(tmp_path.iterdir())


def test_rows_can_be_had_before_anything_is_computed():
    command = [sys.executable, "-c", "from mlkit.export.onnx_rows import ROWS; print(len(ROWS))"]
    assert int(subprocess.run(command, capture_output=True, text=True).stdout) > 70


def test_bad_options(tmp_path):
    with pytest.raises(ValueError, match="opset_version` must be from 18"):
        small().export(tmp_path / "m.onnx", opset_version=9)
    with pytest.raises(TypeError, match="unknown"):
        small().export(tmp_path / "m.onnx", unknown=1)
    assert not list(tmp_path.iterdir())


def test_strings_stay_on_the_host(tmp_path):
    x = mlkit.Input((1,), dtype="string")
    text = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)
    model = mlkit.Model(x, layers.Embedding(5, 2)(text(x)))
    with pytest.raises(NotImplementedError, match="begins with strings"):
        model.export(tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "ResNet50", "ResNet50V2", "InceptionV3", "InceptionResNetV2",
    "EfficientNetB0", "EfficientNetLite0", "EfficientNetV2B0", "EfficientNetV2S", "DenseNet121", "ConvNeXtTiny", "Xception",
    "NASNetMobile", "VGG16",
])  # fmt: skip
def test_applications(name, tmp_path):
    """The smallest of each family, whose others are made of the same parts."""
    shape = {"input_shape": (224, 224, 3)} if name.startswith("MobileNetV3") else {}
    model = getattr(mlkit.applications, name)(weights=None, classes=10, **shape)
    model.export(tmp_path / "m.onnx", verbose=False)
