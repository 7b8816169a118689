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
