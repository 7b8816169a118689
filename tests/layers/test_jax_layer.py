"""JaxLayer: a function of JAX computes and is differentiated by JAX, the rest is ours."""

import copy
import pickle
import sys

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import mlkit
from mlkit import layers, ops

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 2)).astype("float32")


@mlkit.saving.register_keras_serializable("tests")
def stateful_call(params, state, rng, inputs, training):
    h = jnp.tanh(inputs @ params["first"]["w"] + params["first"]["b"])
    if training:
        h = h * jax.random.bernoulli(rng, 0.8, h.shape) / 0.8
    mean = 0.9 * state["mean"] + 0.1 * h.mean(0) if training else state["mean"]
    return (h - mean) @ params["second"], {"mean": mean, "calls": state["calls"] + 1}


@mlkit.saving.register_keras_serializable("tests")
def stateful_init(rng, inputs):
    a, b = jax.random.split(rng)
    first = {"w": jax.random.normal(a, (inputs.shape[-1], 5)), "b": jnp.zeros(5)}
    return {"first": first, "second": jax.random.normal(b, (5, 2))}, {"mean": jnp.zeros(5), "calls": jnp.zeros((), "int32")}


PARAMS, STATE = jax.tree.map(np.asarray, stateful_init(jax.random.PRNGKey(0), jnp.ones((1, 4))))


def trained(k, policy="float32", seed=5, **options):
    k.config.set_dtype_policy(policy)
    layer = k.layers.JaxLayer(stateful_call, params=PARAMS, state=STATE, seed=seed)
    model = k.Sequential([k.Input((4,)), layer, k.layers.Dense(2, kernel_initializer="ones", dtype="float32")])
    model.compile(k.optimizers.Adam(0.05), "mse", **options)
    history = model.fit(X, Y, 8, epochs=3, shuffle=False, verbose=0)
    k.config.set_dtype_policy("float32")
    return model, history.history["loss"]


@pytest.mark.parametrize("policy, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
def test_training_gives_what_keras_gives(policy, tolerance):
    models, losses = zip(*(trained(k, policy) for k in (keras, mlkit)))
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)
    predictions = [m.predict(X, verbose=0) for m in models]
    np.testing.assert_allclose(predictions[1], predictions[0], rtol=tolerance, atol=tolerance)
    for own, other in zip(*(m.layers[0].weights for m in models)):
        assert (own.shape, own.trainable) == (other.shape, other.trainable)
        np.testing.assert_allclose(own.numpy(), other.numpy(), rtol=tolerance, atol=tolerance)
    assert int(models[1].layers[0].state["calls"].value) == 13  # twelve steps and a prediction
    assert models[1].layers[0].get_config().keys() == models[0].layers[0].get_config().keys()


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": False}], ids=str)
def test_all_ways_to_run_give_the_same(options):
    np.testing.assert_allclose(trained(mlkit, **options)[1], trained(mlkit)[1], rtol=1e-5)


def test_on_jax():
    expected = trained(mlkit)[1]
    mlkit.config.set_backend("jax")
    np.testing.assert_allclose(trained(mlkit)[1], expected, rtol=1e-4)


def test_weights_are_made_when_the_layer_is_built():
    def build():
        mlkit.utils.set_random_seed(2)
        return mlkit.Sequential([mlkit.Input((4,)), layers.JaxLayer(stateful_call, stateful_init)])

    first, second = build(), build()
    assert first.output_shape == (None, 2)
    assert [v.shape for v in first.trainable_weights] == [(5,), (4, 5), (5, 2)]
    for a, b in zip(first.get_weights(), second.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert np.std(first.get_weights()[1]) > 0


def test_files(tmp_path):
    model, _ = trained(mlkit)
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "m.keras")
    fresh = mlkit.Sequential([mlkit.Input((4,)), layers.JaxLayer(stateful_call, stateful_init), layers.Dense(2)])
    fresh.save(tmp_path / "fresh.keras")
    again = mlkit.saving.load_model(tmp_path / "fresh.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), fresh.predict(X, verbose=0))
    again.load_weights(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copied.predict(X, verbose=0), expected)


def test_structures():
    def call(params, inputs):
        a, (b,) = inputs["a"], inputs["rest"]
        scale = params["scale"] if params["on"] == "yes" else 1.0
        return {"sum": a * scale + b, "index": jnp.argmax(a, -1), "parts": (b, [a.sum(-1)])}

    layer = layers.JaxLayer(call, params={"scale": 2.0, "on": "yes"})
    a, b = mlkit.Input((3,)), mlkit.Input((3,))
    out = layer({"a": a, "rest": (b,)})
    model = mlkit.Model([a, b], out)
    assert (out["sum"].shape, out["index"].dtype, out["parts"][1][0].shape) == ((None, 3), "int32", (None,))
    found = model.predict([np.eye(3, dtype="float32"), np.ones((3, 3), "float32")], verbose=0)
    assert found["sum"][0].tolist() == [3.0, 1.0, 1.0]
    assert found["index"].tolist() == [0, 1, 2]
    assert found["parts"][1][0].tolist() == [1.0, 1.0, 1.0]
    assert len(layer.weights) == 1


def test_unknown_sizes():
    halves = layers.JaxLayer(lambda inputs: inputs[:, ::2].reshape(inputs.shape[0], -1, 1))
    x = mlkit.Input((None,))
    model = mlkit.Model(x, halves(x))
    assert model.output_shape == (None, None, 1)
    assert halves.compute_output_shape((None, 6)) == (None, 3, 1)
    assert [model(np.ones((n, 2 * n), "float32")).shape for n in (2, 3)] == [(2, 2, 1), (3, 3, 1)]
    for_numbers = layers.JaxLayer(lambda inputs: jnp.zeros((int(inputs.shape[0]) // 2, 3)))  # no symbol can be an int
    assert for_numbers(x).shape == (None, 3)


def test_gradients_of_gradients():
    layer = layers.JaxLayer(lambda inputs: inputs["x"] ** 3 * inputs["n"])
    f = lambda a: ops.sum(layer({"x": a, "n": ops.convert_to_tensor(2, "int32")}))
    x = ops.convert_to_tensor([1.0, 2.0])
    for wrap in (lambda f: f, mlkit.function):
        assert wrap(mlkit.grad(f))(x).numpy().tolist() == [6.0, 24.0]
        assert wrap(mlkit.grad(lambda a: ops.sum(mlkit.grad(f)(a))))(x).numpy().tolist() == [12.0, 24.0]
    rows = ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
    assert mlkit.vmap(mlkit.grad(f))(rows).numpy().tolist() == [[6.0, 24.0], [54.0, 96.0]]


def test_within_loops():
    layer = layers.JaxLayer(lambda params, inputs: params["w"] * inputs, params={"w": 2.0})
    (w,) = layer.weights

    def loss():
        return ops.fori_loop(0, 3, lambda i, a: layer(a), ops.ones(()))

    with mlkit.GradientTape() as tape:
        y = loss()
    assert float(tape.gradient(y, w)) == 12.0
    with mlkit.GradientTape() as tape:
        y = mlkit.function(loss)()
    assert (float(y), float(tape.gradient(y, w))) == (8.0, 12.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "uint8", "bool"])
def test_dtypes(dtype):
    layer = layers.JaxLayer(lambda inputs: (inputs, inputs[::-1]), dtype="float32", autocast=False)
    x = ops.cast(ops.convert_to_tensor([0.0, 1.0, 3.0]), dtype)
    for out in (layer(x), mlkit.function(layer)(x)):
        assert out[0].dtype == ("float32" if dtype == "float64" else dtype)  # JAX has 64 bits only on request
        assert out[1].numpy().tolist() == x.numpy().tolist()[::-1]
    assert layer(mlkit.Input((3,), dtype=dtype))[0].dtype == out[0].dtype


def test_what_is_frozen_gets_no_gradient():
    model, _ = trained(mlkit)
    layer = model.layers[0]
    layer.trainable = False
    before = layer.get_weights()[:3]
    model.compile("sgd", "mse")
    model.fit(X, Y, 8, verbose=0)
    for a, b in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(a, b)
    watched = layer.weights[0]
    with mlkit.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        y = ops.sum(layer(X[:2]))
    assert np.abs(tape.gradient(y, watched).numpy()).max() > 0


def test_verify_against_the_other_backend():
    layer = layers.JaxLayer(lambda params, inputs: jnp.tanh(inputs @ params), params=np.ones((4, 2), "float32") / 4)
    model = mlkit.Sequential([mlkit.Input((4,)), layer])
    model.compile("sgd", "mse")
    assert mlkit.verify(model, X, Y).ok


def test_keys_of_a_subclass():
    class Pair(layers.JaxLayer):
        def _get_call_rng(self, training):
            return {"a": self._get_call_seed(), "b": self._get_call_seed()}

    layer = Pair(lambda rng, inputs: inputs + jnp.stack([rng["a"], rng["b"]])[:, 1], seed=3)
    assert layer(ops.zeros(2)).numpy().tolist() == [0, 1]
    assert mlkit.function(layer)(ops.zeros(2)).numpy().tolist() == [2, 3]


def test_refused(monkeypatch):
    with pytest.raises(ValueError, match="cannot all be None"):
        layers.JaxLayer(lambda params, inputs: inputs)
    with pytest.raises(ValueError, match="no argument `inputs`"):
        layers.JaxLayer(lambda x: x)
    with pytest.raises(ValueError, match="argument `mask`"):
        layers.JaxLayer(lambda inputs, mask: inputs)
    changing = layers.JaxLayer(lambda state, inputs: (inputs, {"other": state["a"]}), state={"a": 1.0})
    with pytest.raises(ValueError, match="returned a state of the structure"):
        changing(ops.ones(2))
    wrong = layers.JaxLayer(lambda inputs: inputs @ jnp.ones((3, 2)), name="wrong")
    with pytest.raises(TypeError, match=r"(?s)dot_general.*in layer 'wrong'"):
        wrong(mlkit.Input((4,)))
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match="pip install jax"):
        layers.JaxLayer(lambda inputs: inputs)(ops.ones(2))
    monkeypatch.setitem(sys.modules, "flax.linen", None)
    with pytest.raises(ImportError, match="pip install flax"):
        layers.FlaxLayer(None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        layers.TorchModuleWrapper(None)
