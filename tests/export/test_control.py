"""Control flow in ONNX files: If, Loop and Scan, whose bodies are lowered as the rest is."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.export.unrolling import unrolled

onnx = pytest.importorskip("onnx", reason='ONNX files are written with onnx: pip install "mlkit-engine[onnx]"')
runtime = pytest.importorskip("onnxruntime", reason='ONNX files are run by ONNX Runtime: pip install "mlkit-engine[onnx]"')

CASES = {
    "cond": lambda x, w: ops.cond(ops.sum(x) > 0, lambda: ops.matmul(x, w), lambda: ops.tile(x * 2.0, (1, 1))),
    "nested cond": lambda x, w: ops.cond(
        ops.sum(x) > 0, lambda: ops.cond(ops.max(x) > 1, lambda: ops.gelu(x), lambda: ops.layer_normalization(x)), lambda: x
    ),
    "while": lambda x, w: ops.while_loop(
        lambda i, s: ops.logical_and(i < 5, ops.sum(s) < 10), lambda i, s: (i + 1, s + ops.matmul(x, w)), (0, x)
    )[1],
    "a loop that never runs": lambda x, w: ops.while_loop(lambda s: ops.sum(s) > 1e9, lambda s: s + 1.0, (x,))[0],
    "scan": lambda x, w: ops.scan(lambda c, t: (c + t * ops.sum(x), c * t), ops.sum(x, 0), ops.matmul(w, w)),
    "backwards": lambda x, w: ops.scan(lambda c, t: (c + t, ops.softmax(c)), x[0], w, reverse=True),
    "scan of nothing": lambda x, w: ops.scan(lambda c, _: (c * 0.5, c + x[0]), x[0], None, length=3),
    "map": lambda x, w: ops.map(lambda row: ops.max(row) + row, x),
    "fori_loop": lambda x, w: ops.fori_loop(0, ops.cast(ops.max(ops.abs(x)), "int32") + 1, lambda i, s: s * 1.5, x),
}


def model_of(fn):
    mlkit.utils.set_random_seed(0)

    class Own(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(4, 4), name="w")

        def call(self, x):
            return fn(x, self.w)

    x = mlkit.Input((4,), name="x")
    return mlkit.Model(x, Own(name="own")(x))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_it_answers_as_the_model_for_any_batch(case, dtype, tmp_path):
    model, path = model_of(CASES[case]), str(tmp_path / "m.onnx")
    model.export(path, dtype=dtype, verbose=False)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(seed + 1, 4)).astype("float32")
        for found, wanted in zip(session.run(None, {"x": x}), mlkit.tree.flatten(model(x))):
            np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_both_ways_are_in_the_file(tmp_path):
    model_of(CASES["cond"]).export(tmp_path / "m.onnx", verbose=False)
    (node,) = [n for n in onnx.load(tmp_path / "m.onnx").graph.node if n.op_type == "If"]
    kinds = [{n.op_type for n in attribute.g.node} for attribute in node.attribute]
    assert any("MatMul" in k for k in kinds)
    assert any("MatMul" not in k for k in kinds)


def test_what_a_body_holds_is_refused_by_name(tmp_path):
    bad = lambda x, w: ops.cond(ops.sum(x) > 0, lambda: ops.real(ops.fft((x, x))[0]), lambda: x)
    with pytest.raises(NotImplementedError, match="in own: format 'onnx' has nothing for it"):
        model_of(bad).export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layer", [
    lambda: layers.SimpleRNN(4), lambda: layers.LSTM(4, return_sequences=True, go_backwards=True),
    lambda: layers.Bidirectional(layers.GRU(3)), lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], go_backwards=True),
])  # fmt: skip
def test_recurrent_layers_take_sequences_of_any_length(layer, tmp_path):
    x = mlkit.Input((None, 3), name="x")
    model = mlkit.Model(x, layer()(x))
    model.export(tmp_path / "m.onnx", verbose=False)
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for steps in (1, 6):
        data = np.random.default_rng(steps).normal(size=(2, steps, 3)).astype("float32")
        np.testing.assert_allclose(session.run(None, {"x": data})[0], model.predict(data, verbose=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_unrolled_give_the_same(reverse):
    def f(x, c):
        step = lambda c, x: (c * x + ops.scan(lambda a, b: (a + b, a), 0.0, x)[0], (c, x))
        return mlkit.tree.flatten(ops.scan(step, c, x, reverse=reverse))

    x, c = (ops.convert_to_tensor(np.random.default_rng(1).normal(size=s).astype("float32")) for s in ((4, 3), (3,)))
    graph = unrolled(mlkit.function(f).graph(x, c))
    assert all(call.op.name != "scan" for call in graph.calls)
    for found, expected in zip(graph.run(x, c), f(x, c), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
