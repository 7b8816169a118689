"""Twenty training steps give the losses that Keras gives, and leave the same weights."""

import numpy as np
import pytest

import mlkit
from tests.models.nets import NETS, data

OPTIMIZERS = {
    "sgd": lambda k: k.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda k: k.optimizers.Adam(),
    "adamw": lambda k: k.optimizers.AdamW(weight_decay=0.05),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_losses_of_twenty_steps(net, optimizer):
    keras = pytest.importorskip("keras")
    losses, weights = [], None
    for k in (keras, mlkit):
        model = NETS[net](k)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        x, y = data(model)
        model.compile(OPTIMIZERS[optimizer](k), "sparse_categorical_crossentropy")
        losses.append([float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(20)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4, atol=1e-4)


def several_outputs(k, names):
    x = k.Input((4,))
    shared = k.layers.Dense(3, kernel_initializer="ones")(x)
    outputs = [k.layers.Dense(2 + i, kernel_initializer="ones", name=n)(shared) for i, n in enumerate(names)]
    return k.Model(x, outputs if len(outputs) > 1 else outputs[0])


@pytest.mark.parametrize("names", [["late", "early", "main"], ["only"]])
def test_lists_of_results_have_keras_order(names):
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)).astype("float32"), [rng.normal(size=(8, 2 + i)).astype("float32") for i in range(len(names))]
    y = y if len(y) > 1 else y[0]
    found = []
    for k in (keras, mlkit):
        model = several_outputs(k, names)
        model.compile("sgd", ["mse"] * len(names), metrics=[["mae", "cosine_similarity"]] * len(names))
        found.append([*model.train_on_batch(x, y), *model.evaluate(x, y, verbose=0), *model.test_on_batch(x, y)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-5)
