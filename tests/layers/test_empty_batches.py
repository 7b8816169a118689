"""A batch of no samples goes through every layer, in inference and in training, or is refused in words that name the layer.

Keras does the same where its backends allow it.
"""

import numpy as np
import pytest

import mlkit
from mlkit import layers
from mlkit.core.function import function
from mlkit.ops.gradients import GradientTape
from tests.layers.check_layer import arrays, call, flat, make
from tests.layers.samples import SAMPLES

# A spectrum in decibels is relative to the loudest place of the batch, and there is none.
REFUSED = {"MelSpectrogram"}


def step(sample, layer, inputs):
    """(outputs, gradients of the weights) of a training step."""
    with GradientTape() as tape:
        outputs = mlkit.tree.flatten(call(sample, layer, inputs))
        loss = sum(mlkit.ops.sum(mlkit.ops.cast(y, "float32")) for y in outputs)
    return outputs, [g for g in tape.gradient(loss, layer.trainable_variables) if g is not None]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_no_samples(sample):
    layer, inputs = make(sample, mlkit.layers), arrays(sample)
    shapes = [(y.dtype, (0, *y.shape[1:])) for y in flat(call(sample, layer, inputs))]
    empty = [mlkit.ops.convert_to_tensor(x[:0]) for x in inputs]
    for run in (step, function(lambda tensors: step(sample, layer, tensors))):
        given = (sample, layer, empty) if run is step else (empty,)
        if sample.name in REFUSED:
            with pytest.raises(ValueError, match="in layer 'sample'"):
                run(*given)
            continue
        outputs, gradients = run(*given)
        assert [(y.dtype, y.shape) for y in flat(outputs)] == shapes
        assert not any(np.isnan(g).any() for g in flat(gradients))


@pytest.mark.parametrize("compiled", [False, True])
def test_statistics_of_no_samples_are_left_as_they_are(compiled):
    layer = layers.BatchNormalization()
    layer(np.ones((2, 3), "float32"), training=True)
    before = [np.array(v) for v in layer.variables]
    run = lambda x: layer(x, training=True)
    y = (function(run) if compiled else run)(mlkit.ops.zeros((0, 3)))
    assert y.shape == (0, 3)
    for a, b in zip(layer.variables, before):
        np.testing.assert_array_equal(a, b)


def model():
    m = mlkit.Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.BatchNormalization(), layers.Dense(1)])
    m.compile("sgd", "mse")
    return m


@pytest.mark.parametrize("method", ["predict", "evaluate", "fit"])
def test_loops_over_no_samples_are_refused(method):
    m, x, y = model(), np.zeros((0, 4), "float32"), np.zeros((0, 1), "float32")
    before = m.get_weights()
    with pytest.raises(ValueError, match="no (samples|data|batch)|empty"):
        getattr(m, method)(*((x,) if method == "predict" else (x, y)), verbose=0)
    for a, b in zip(m.get_weights(), before):
        np.testing.assert_array_equal(a, b)


def test_batches_of_no_samples():
    m = model()
    assert m.predict_on_batch(np.zeros((0, 4), "float32")).shape == (0, 1)
    assert m(np.zeros((0, 4), "float32")).shape == (0, 1)
