"""Margins of zeros become the padding of the convolution behind them, also in its gradients."""

import numpy as np
import pytest

import mlkit
from mlkit import Variable, layers, ops
from mlkit.compiler.passes import optimize
from mlkit.core.state import state
from tests.core.programs import array

pytestmark = [pytest.mark.usefixtures("all_passes"), pytest.mark.native("a pass")]


def names(fn, *args):
    return [c.op.name for c in optimize(mlkit.function(fn).graph(*args), state.backend.target).calls]


@pytest.mark.parametrize("margin", [((1, 2), (0, 1)), 1])
@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D"])
def test_training_step(margin, kind):
    options = dict(strides=2, padding="valid")
    conv = layers.Conv2D(4, 3, **options) if kind == "Conv2D" else layers.DepthwiseConv2D(3, **options)
    pad, v = layers.ZeroPadding2D(margin), Variable(array(2, 7, 8, 3))
    conv(pad(v.value))

    def step(g):
        with mlkit.GradientTape() as tape:
            y = ops.sum(conv(pad(v.value)) * g)
        return [y, *tape.gradient(y, [v, conv.trainable_weights[0]])]

    g = array(*conv(pad(v.value)).shape)
    for a, b in zip(mlkit.function(step)(g), step(g)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    found = names(step, g)
    assert "pad" not in found
    assert "slice" not in found
    assert {"conv_input", "conv_kernel"} <= set(found)


def test_other_pads_stay():
    w = array(3, 3, 3, 4)
    for fn in (
        lambda x: ops.conv(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0), w),
        lambda x: ops.conv(ops.pad(x, ((1, 0), (1, 1), (1, 1), (0, 0))), w),
        lambda x: ops.conv(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), w, padding="same"),
    ):
        x = array(2, 6, 6, 3)
        np.testing.assert_allclose(mlkit.function(fn)(x), fn(x), rtol=1e-4, atol=1e-4)
        assert "pad" in names(fn, x)
