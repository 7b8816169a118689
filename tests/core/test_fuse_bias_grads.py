"""Gradients of a convolution's kernel and bias come from one call."""

import numpy as np

import mlkit
from mlkit import Variable, layers, ops
from mlkit.core.passes import optimize
from mlkit.core.state import state
from tests.core.programs import array


def test_training_step():
    net = mlkit.Sequential(
        [
            mlkit.Input((9, 9, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Conv2D(4, 3, strides=2, groups=2),
            layers.Flatten(),
        ]
    )
    x = array(2, 9, 9, 3)

    def step(x):
        with mlkit.GradientTape() as tape:
            y = ops.sum(net(x) ** 2)
        return tape.gradient(y, net.trainable_weights)

    calls = [c.op.name for c in optimize(mlkit.function(step).graph(x), state.backend).calls]
    assert calls.count("conv_kernel_bias") == 2 and "conv_kernel" not in calls
    for a, b in zip(mlkit.function(step)(x), step(x)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_not_without_both():
    w, g = Variable(array(3, 3, 3, 4)), array(2, 9, 9, 4)

    def step(x):
        with mlkit.GradientTape() as tape:
            y = ops.sum(ops.conv(x, w, padding="same") * g)
        return tape.gradient(y, w), ops.sum(g, axis=(0, 1)), ops.sum(x, axis=(0, 1, 2))

    x = array(2, 9, 9, 3)
    assert "conv_kernel_bias" not in [c.op.name for c in optimize(mlkit.function(step).graph(x), state.backend).calls]
    for a, b in zip(mlkit.function(step)(x), step(x)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
