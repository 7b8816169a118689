"""What checks take for the last activation of a model, whichever way it is written."""

import pytest

import mlkit
from mlkit import layers, ops
from mlkit.models.checks.graph import last_activation


def nested(x):
    inner = mlkit.Input((4,))
    return mlkit.Model(inner, layers.Dense(2, activation="softmax")(inner))(x)


WRITTEN = {
    "an argument": (lambda x: layers.Dense(2, activation="softmax")(x), "softmax"),
    "none": (lambda x: layers.Dense(2)(x), "linear"),
    "a layer": (lambda x: layers.Softmax()(x), "softmax"),
    "another layer": (lambda x: layers.LeakyReLU()(x), "leakyrelu"),
    "an op": (lambda x: ops.sigmoid(layers.Dense(2)(x)), "sigmoid"),
    "behind it a layer that shapes": (lambda x: layers.Reshape((2, 1))(layers.Dense(2, activation="tanh")(x)), "tanh"),
    "in a model within": (nested, "softmax"),
    "two tensors": (lambda x: layers.Add()([x, x]), None),
    "code of one's own": (lambda x: layers.Lambda(lambda t: t)(x), None),
    "the input": (lambda x: x, None),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_it_is_found(how):
    make, expected = WRITTEN[how]
    x = mlkit.Input((4,))
    assert last_activation(mlkit.Model(x, make(x))) == expected
