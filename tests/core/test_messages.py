"""What users read: unknown sizes are None, a full stop is one, and nothing is half made where an input is refused."""

import re

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops


def of_shape(use):
    """A call of a layer that does something with its input's shape."""

    class Using(layers.Layer):
        def call(self, x):
            return use(x)

    return lambda: Using()(mlkit.Input((None, 4)))


def raised(text):
    raise ValueError(text)


UNKNOWN = {
    "number": of_shape(lambda x: ops.zeros((int(x.shape[0]), 3))),
    "range": of_shape(lambda x: [x[:, i] for i in range(x.shape[1])]),
    "comparison": of_shape(lambda x: x if x.shape[1] > 3 else -x),
    "the user's own": of_shape(lambda x: raised(f"{x.shape} of {x}, {x.shape[1] + 1}")),
    "split": of_shape(lambda x: ops.split(x, x.shape[1], axis=1)),
    "broadcast": lambda: mlkit.Input((None, 4)) + mlkit.Input((None, 3)),
    "last axis": lambda: layers.Dense(3)(mlkit.Input((None,))),
    "channels": lambda: layers.Conv1D(3, 3)(mlkit.Input((None, None))),
    "concatenate": lambda: layers.Concatenate(axis=1)([mlkit.Input((None, 4)), mlkit.Input((None, 3))]),
    "mask": lambda: layers.LSTM(3)(mlkit.Input((7, 4)), mask=mlkit.Input((5,), dtype="bool")),
    "reshape": lambda: layers.Reshape((5, 3))(mlkit.Input((4, 4))),
    "attention": lambda: layers.Attention()([mlkit.Input((None, 4)), mlkit.Input((None, 3))]),
    "a model": lambda: mlkit.Sequential([mlkit.Input((None, 4)), layers.Dense(2)])(mlkit.Input((None, 5))),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_sizes_are_none(name):
    with pytest.raises((ValueError, TypeError)) as caught:
        UNKNOWN[name]()
    text = str(caught.value)
    assert not re.search(r"\bd\d+\b", text), text
    assert "None" in text, text
    assert ".." not in text.replace("...", ""), text


def test_an_error_within_an_error_ends_in_one_full_stop(tmp_path):
    class Wrong(mlkit.Model):
        def call(self, x):
            raise ValueError("This cannot be.")

    file = tmp_path / "model.keras"
    file.write_bytes(b"PK\x03\x04 no archive")
    for use in (lambda: Wrong().build((None, 3)), lambda: mlkit.models.load_model(file)):
        with pytest.raises(ValueError) as caught:
            use()
        assert ".." not in str(caught.value)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (lambda: layers.LSTM(3), (2, 5)),
        (lambda: layers.ConvLSTM1D(3, 2), (2, 5, 4)),
        (lambda: layers.Bidirectional(layers.GRU(3)), (2, 5)),
        (lambda: layers.Conv2D(3, 2), (2, 5, 4)),
        (lambda: layers.SeparableConv1D(3, 2), (2, 5)),
        (lambda: layers.DepthwiseConv2D(2), (2, 5, 3)),
    ],
)
def test_no_weights_are_made_for_an_input_of_another_rank(layer, shape):
    layer = layer()
    with pytest.raises(ValueError, match="dimensions|rank"):
        layer(np.ones(shape, "float32"))
    assert not layer.built
    assert not layer.weights
