"""remat: the same values and gradients, with less kept for them."""

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core import tree
from mlkit.ops.gradients import GradientTape
from mlkit.primitives.movement import after
from tests.ops.checks import call_of, flat, host, is_float
from tests.ops.sample import gather, ids, is_smooth

ROWS = list({(r.name, r.op): r for r in gather("SAMPLES") if is_smooth(r)}.values())


def gradients(fn, call):
    tensors = call.tensors()
    floats = [t for t in tensors if is_float(t)]
    with GradientTape() as tape:
        tape.watch(floats)
        y = sum(ops.sum(ops.sin(y)) for y in flat(fn(*tensors)) if is_float(y))
    return [host(y), *map(host, tape.gradient(y, floats, unconnected_gradients="zero"))]


@pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))
@pytest.mark.parametrize("compiled", [False, True])
def test_values_and_gradients_stay(row, compiled):
    call = call_of(row)
    plain = gradients(call, call)
    block = mlkit.remat(call)
    if compiled:
        found = mlkit.function(lambda *ts: gradients_of(block, ts))(*call.tensors())
        found = [host(t) for t in found]
    else:
        found = gradients(block, call)
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=max(1e-5, row.option("atol", 0)))


def gradients_of(fn, tensors):
    floats = [t for t in tensors if is_float(t)]
    with GradientTape() as tape:
        tape.watch(floats)
        y = sum(ops.sum(ops.sin(y)) for y in flat(fn(*tensors)) if is_float(y))
    return [y, *tape.gradient(y, floats, unconnected_gradients="zero")]


def deep(scope):
    mlkit.utils.set_random_seed(0)
    with scope:
        layers = [mlkit.layers.Dense(64, activation="gelu", name=f"hidden_{i}") for i in range(6)]
        layers.insert(2, mlkit.layers.Dropout(0.3, seed=1))
        layers.insert(3, mlkit.layers.BatchNormalization())
    model = mlkit.Sequential([mlkit.Input((64,)), *layers, mlkit.layers.Dense(1)])
    model.compile(mlkit.optimizers.SGD(0.1), "mse")
    return model


X = np.random.default_rng(0).normal(size=(512, 64)).astype("float32")
Y = X[:, :1] * 0.5
MODES = [
    {"mode": "full"},
    {"mode": "activations"},
    {"mode": "larger_than", "output_size_threshold": 16},
    {"mode": "list_of_layers", "layer_names": ["hidden_1", "hidden_4"]},
    {"mode": None},
]


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("options", MODES, ids=[str(m["mode"]) for m in MODES])
def test_training_is_the_same(options, eager):
    """Weights, moving averages and random states after some steps."""
    states = []
    for scope in (mlkit.RematScope(mode=None), mlkit.RematScope(**options)):
        model = deep(scope)
        model.run_eagerly = eager
        model.fit(X[:64], Y[:64], batch_size=32, epochs=2, verbose=0, shuffle=False)
        states.append([v.numpy() for v in model.variables])
    for a, b in zip(*states, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.native("plans")
def test_memory_is_saved():
    """The blocks of a deep model keep their inputs only."""

    def block(x, w):
        for _ in range(8):
            x = ops.tanh(ops.matmul(x, w)) * 1.01
        return x

    def loss(wrap):
        def run(x, w):
            for _ in range(8):
                x = wrap(block)(x, w)
            return ops.sum(x)

        return mlkit.function(mlkit.grad(run, argnums=(0, 1)))

    x, w = ops.convert_to_tensor(X), ops.convert_to_tensor(X[:64] * 0.1)
    plain, saved = (loss(wrap) for wrap in (lambda f: f, mlkit.remat))
    for a, b in zip(plain(x, w), saved(x, w)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert saved.program(x, w).plan.peak_bytes < 0.5 * plain.program(x, w).plan.peak_bytes


def test_losses_added_within_have_gradients_and_count_once():
    class Penalized(mlkit.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1],), initializer="ones")

        def call(self, x):
            self.add_loss(ops.sum(self.w**2))
            return x * self.w

    with mlkit.RematScope():
        layer = Penalized()
    with mlkit.GradientTape() as tape:
        y = ops.sum(layer(ops.ones((2, 3)))) + sum(layer.losses)
    assert len(layer.losses) == 1
    assert tape.gradient(y, layer.w).tolist() == [4.0, 4.0, 4.0]
    assert len(layer.losses) == 1


def test_second_gradients():
    f = mlkit.remat(lambda x: ops.sum(x**3))
    assert float(mlkit.grad(mlkit.grad(f))(ops.convert_to_tensor(2.0))) == 12.0


def test_structures_and_other_values_pass():
    f = mlkit.remat(lambda pair, scale: {"y": pair[0] * scale, "n": None, "text": "kept", "z": (pair[1],)})
    x = ops.ones(2)
    with mlkit.GradientTape() as tape:
        tape.watch(x)
        out = f((x, x * 2.0), scale=3.0)
        y = ops.sum(out["y"]) + ops.sum(out["z"][0])
    assert tree.map_structure(lambda v: v, out)["text"] == "kept"
    assert out["n"] is None
    assert tape.gradient(y, x).tolist() == [5.0, 5.0]


def test_a_constant_is_there_at_any_time():
    constant = ops.ones((2, 3))
    found = mlkit.function(lambda x: (after(constant, x), after(ops.ones(2), x) * ops.sum(x)))(ops.ones(4))
    assert [t.tolist() for t in found] == [[[1.0] * 3] * 2, [4.0, 4.0]]


def test_a_wrong_mode_is_refused():
    with pytest.raises(ValueError, match="`mode` must be one of"):
        mlkit.RematScope(mode="all")
