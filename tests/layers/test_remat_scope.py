"""Layers made in a RematScope train as others do."""

import numpy as np
import pytest

import mlkit

X = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")
Y = X.mean((1, 2), keepdims=True)[:, 0]
MODES = [
    {"mode": "full"},
    {"mode": "activations"},
    {"mode": "larger_than", "output_size_threshold": 1},
    {"mode": "list_of_layers", "layer_names": ["hidden"]},
]


def trained(scope, policy, run_eagerly):
    """The weights of a model after some steps; the model is itself a layer of the scope."""
    mlkit.utils.set_random_seed(0)
    mlkit.mixed_precision.set_dtype_policy(policy)
    try:
        with scope:
            x = mlkit.Input((5, 3))
            h = mlkit.layers.MultiHeadAttention(2, 4)(x, x)
            h = mlkit.layers.LSTM(4)(h)
            h = mlkit.layers.BatchNormalization()(h)
            h = mlkit.layers.Dense(4, "relu", kernel_regularizer="l2", activity_regularizer="l1", name="hidden")(h)
            h = mlkit.layers.Dropout(0.3, seed=1)(h)
            model = mlkit.Model(x, mlkit.layers.Dense(1)(h))
    finally:
        mlkit.mixed_precision.set_dtype_policy("float32")
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize(
    "policy, run_eagerly, modes", [("float32", 0, MODES), ("mixed_float16", 0, MODES[:1]), ("mixed_bfloat16", 1, MODES[:1])]
)
def test_training_stays(policy, run_eagerly, modes):
    wanted = trained(mlkit.RematScope(mode=None), policy, bool(run_eagerly))
    for mode in modes:
        for a, b in zip(trained(mlkit.RematScope(**mode), policy, bool(run_eagerly)), wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 if policy == "float32" else 2e-2, err_msg=str(mode))


def test_the_second_run_computes_in_the_first_ones_dtype():
    layer, seen = mlkit.layers.Dense(2, dtype="mixed_float16"), []

    def activation(x):
        seen.append((x.dtype, layer.kernel.value.dtype))
        return x

    layer.activation = activation
    with mlkit.RematScope():
        outer = mlkit.Sequential([layer], name="outer")
    for f in (mlkit.remat(layer), mlkit.remat(mlkit.remat(layer)), outer):
        seen.clear()
        with mlkit.GradientTape() as tape:
            y = mlkit.ops.sum(f(X[:, 0]))
        tape.gradient(y, layer.trainable_variables)
        assert len(seen) > 1
        assert set(seen) == {("float16", "float16")}


def test_a_method_of_a_layer_may_be_rematerialized():
    """What a layer's call is when Keras's scope has it run: for layers that call others by hand."""
    x = mlkit.ops.convert_to_tensor(X)
    plain = mlkit.layers.Dense(4, "tanh")
    assert plain.rematerialized_call(plain.call, x) == plain.call
    for options in [*MODES, {"mode": None}]:
        with mlkit.RematScope(**options):
            layer = mlkit.layers.Dense(4, "tanh", name="hidden")
        wanted = layer(x)
        call = layer.rematerialized_call(layer.call, x)
        gradient = mlkit.grad(lambda a, call=call: mlkit.ops.sum(call(a) ** 2))(x)
        np.testing.assert_allclose(call(x).numpy(), wanted.numpy(), rtol=1e-6)
        kernel = layer.kernel.numpy()
        np.testing.assert_allclose(
            gradient.numpy(), (2 * wanted.numpy() * (1 - wanted.numpy() ** 2)) @ kernel.T, rtol=1e-4, atol=1e-5
        )
