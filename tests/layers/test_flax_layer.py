"""FlaxLayer: modules of Flax as layers. Needs Flax."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

pytest.importorskip("flax", reason="Flax is not installed")
import flax.linen as nn
import jax
import jax.numpy as jnp
import keras

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(32, 3)).astype("float32")


@mlkit.saving.register_keras_serializable("tests")
class Net(nn.Module):
    width: int = 8

    @nn.compact
    def __call__(self, inputs, training):
        x = nn.Dense(self.width)(inputs)
        x = nn.BatchNorm(use_running_average=not training, momentum=0.9)(x)
        x = nn.Dropout(0.2, deterministic=not training)(nn.relu(x))
        return nn.Dense(3)(x)

    def doubled(self, inputs):
        return 2 * inputs

    def get_config(self):
        return {"width": self.width}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def trained(k, variables):
    model = k.Sequential([k.Input((6,)), k.layers.FlaxLayer(Net(), variables=variables, seed=3)])
    model.compile(k.optimizers.SGD(0.05), "mse")
    return model, model.fit(X, Y, 8, epochs=3, shuffle=False, verbose=0).history["loss"]


def test_training_gives_what_keras_gives():
    key = jax.random.PRNGKey(0)
    variables = jax.tree.map(np.asarray, Net().init({"params": key, "dropout": key}, jnp.ones((1, 6)), training=True))
    models, losses = zip(*(trained(k, variables) for k in (keras, mlkit)))
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    np.testing.assert_allclose(*(m.predict(X, verbose=0) for m in models), rtol=1e-4, atol=1e-5)
    own, other = (m.layers[0] for m in models)
    assert [v.shape for v in own.weights] == [v.shape for v in other.weights]
    assert len(own.non_trainable_weights) == 2  # batch statistics


def test_made_when_built_and_saved(tmp_path):
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([mlkit.Input((6,)), layers.FlaxLayer(Net(width=4))])
    assert (model.output_shape, model.count_params()) == ((None, 3), 6 * 4 + 4 + 16 + 4 * 3 + 3)
    model.compile("adam", "mse")
    losses = model.fit(X, Y, 8, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "m.keras")
    again = mlkit.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_methods(tmp_path):
    net = Net()
    functions = (net.doubled, "doubled", lambda module, inputs: 2 * inputs)
    for method in functions:
        layer = layers.FlaxLayer(net, method=method, variables={})
        assert layer(np.ones(2, "float32")).numpy().tolist() == [2.0, 2.0]
    config = layers.FlaxLayer(net, method=net.doubled, variables={}).get_config()
    assert config["method"] == "doubled"
    assert layers.FlaxLayer.from_config(config)(np.ones(2, "float32")).numpy().tolist() == [2.0, 2.0]
