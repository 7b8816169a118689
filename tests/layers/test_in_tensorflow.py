"""Layers within tf.data's map and tf.function: they give there what they give elsewhere. Needs TensorFlow."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")


def mapped(function, *arrays, batch=2):
    data = tf.data.Dataset.from_tensor_slices(arrays if len(arrays) > 1 else arrays[0])
    return (data.batch(batch) if batch else data).map(function)


def outputs(data):
    return [tf.nest.map_structure(lambda x: x.numpy(), element) for element in data]


def test_a_layer_as_the_function():
    x = np.arange(12.0, dtype="float32").reshape(4, 3)
    layer = layers.Dense(5)
    data = mapped(layer, x)
    assert data.element_spec == tf.TensorSpec((None, 5), tf.float32)
    np.testing.assert_allclose(np.concatenate(outputs(data)), layer(x).numpy(), rtol=1e-6)


def test_layers_in_functions_of_several_components():
    images = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), "uint8")
    augment = mlkit.Sequential([layers.RandomFlip(seed=1), layers.Rescaling(1 / 255), layers.RandomCrop(4, 4)])
    data = mapped(lambda x, y: (augment(x, training=True), y), images, np.arange(4)).prefetch(1)
    assert data.element_spec[0].shape.as_list() == [None, 4, 4, 3]
    found = outputs(data)
    assert found[0][0].shape == (2, 4, 4, 3)
    assert found[0][0].max() <= 1
    assert [y.tolist() for _, y in found] == [[0, 1], [2, 3]]
    single = mapped(layers.Resizing(5, 6), images, batch=None)
    assert single.element_spec.shape.as_list() == [5, 6, 3]


def test_structures():
    merged = mapped(lambda a, b: layers.Concatenate()([a, b]), np.ones((4, 2), "float32"), np.zeros((4, 3), "float32"))
    assert outputs(merged)[0].tolist() == [[1, 1, 0, 0, 0]] * 2

    class Both(layers.Layer):
        def call(self, inputs, scale=1.0):
            return {"sum": inputs["a"] + inputs["b"], "double": inputs["a"] * scale}

    both = Both()
    data = mapped(lambda a, b: both({"a": a, "b": b}, scale=2.0), np.ones((2, 2), "float32"), np.ones((2, 2), "float32"))
    (found,) = outputs(data)
    assert found["sum"].tolist() == found["double"].tolist() == [[2, 2]] * 2


def test_strings():
    lookup = layers.StringLookup(vocabulary=["a", "b"], num_oov_indices=0, mask_token=None)
    assert outputs(mapped(lookup, ["a", "b", "a"], batch=3))[0].tolist() == [0, 1, 0]
    back = layers.StringLookup(vocabulary=["a", "b"], invert=True)
    assert outputs(mapped(back, np.array([1, 2]), batch=2))[0].tolist() == [b"a", b"b"]
    texts = layers.TextVectorization(output_sequence_length=3)
    texts.adapt(tf.data.Dataset.from_tensor_slices(["the cat", "the dog"]).batch(2))
    data = mapped(lambda x, y: (texts(x), y), ["the cat", "cat"], np.arange(2))
    assert data.element_spec[0].shape.as_list() == [None, 3]
    assert outputs(data)[0][0].tolist() == texts(["the cat", "cat"]).tolist()
    ragged = layers.TextVectorization(vocabulary=["a", "b"])
    assert mapped(ragged, ["a b", "a"]).element_spec.shape.as_list() == [None, None]
    numbers = layers.IntegerLookup(vocabulary=[10, 20], num_oov_indices=0)
    assert outputs(mapped(numbers, np.array([20, 10])))[0].tolist() == [1, 0]


def test_functions_of_tensorflow_cut_texts():
    layer = layers.TextVectorization(
        standardize=lambda s: tf.strings.regex_replace(tf.strings.lower(s), "<br />", " "), split=tf.strings.split
    )
    layer.adapt(["A b<br />c", "b c"])
    assert set(layer.get_vocabulary()) == {"", "[UNK]", "a", "b", "c"}
    assert layer(tf.constant(["C a"])).shape == (1, 2)


def test_within_a_function():
    layer = layers.Rescaling(2.0)
    doubled = tf.function(lambda x: layer(x) + 1)
    assert doubled(tf.constant([1.0, 2.0])).numpy().tolist() == [3, 5]


def test_what_cannot_be_called_there_says_what_to_do():
    with pytest.raises(Exception, match=r"set_shape"):
        mapped(lambda x: layers.Rescaling(2.0)(tf.py_function(lambda a: a, [x], tf.float32)), np.ones((2, 2), "float32"))
    with pytest.raises(Exception, match=r"tf\.numpy_function"):
        mapped(lambda x: mlkit.ops.sin(x), np.ones((2, 2), "float32"))
    with pytest.raises(ValueError, match=r"shape") as caught:
        mapped(layers.Dense(2, name="head"), np.ones((2, 3), "float32"), batch=None)
    assert "head" in str(caught.value) + str(getattr(caught.value, "__notes__", ""))
