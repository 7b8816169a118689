"""What a user's layer states about its outputs is believed while a model is built, and `call` is not run on shapes."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops


class Doubled(layers.Layer):
    """Computes with NumPy, so it cannot run on shapes."""

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1],), "ones")

    def call(self, x):
        return ops.convert_to_tensor(np.concatenate([x.numpy(), x.numpy()], -1))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2 * input_shape[-1])


class Pair(layers.Layer):
    def call(self, first, second, training=False):
        return {"sum": ops.convert_to_tensor(first.numpy() + second.numpy()), "first": first}

    def compute_output_shape(self, first_shape, second_shape):
        return {"sum": first_shape, "first": first_shape}


class Specified(layers.Layer):
    def call(self, x):
        return ops.convert_to_tensor(x.numpy().astype("int32"))

    def compute_output_spec(self, x):
        return mlkit.KerasTensor(x.shape, "int32")


def test_shape_of_one_input():
    x = mlkit.Input((3,))
    y = Doubled()(x)
    assert y.shape == (None, 6)
    assert y.dtype == "float32"
    model = mlkit.Model(x, layers.ReLU()(y) + layers.Dense(1)(x))
    assert model.output.shape == (None, 6)
    assert model(np.ones((2, 3), "float32")).shape == (2, 6)
    assert model(mlkit.Input((3,))).shape == (None, 6)
    assert mlkit.Sequential([mlkit.Input((3,)), Doubled()]).output_shape == (None, 6)


def test_shapes_by_name_and_structures_of_outputs():
    y = Pair()(mlkit.Input((3,)), second=mlkit.Input((3,)))
    assert {k: t.shape for k, t in y.items()} == {"sum": (None, 3), "first": (None, 3)}


def test_spec():
    assert Specified()(mlkit.Input((3,))).dtype == "int32"
    assert Specified().compute_output_shape((None, 3)) == (None, 3)


def test_a_statement_about_an_unknown_argument():
    class Wrong(Pair):
        def compute_output_shape(self, first_shape, third_shape):
            return first_shape

    with pytest.raises(ValueError, match="third_shape"):
        Wrong()(mlkit.Input((3,)), mlkit.Input((3,)))
