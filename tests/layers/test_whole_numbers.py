"""A layer given whole numbers, as behind a Discretization, answers what it answers to the same numbers as floats."""

import numpy as np
import pytest

import mlkit
from tests.layers.check_layer import arrays, call, flat, make
from tests.layers.samples import SAMPLES

# as in Keras: their answers are whole numbers too, or they make their weights so
WHOLE = {"UpSampling2D", "Resizing", "SpectralNormalization", "RMSNormalization", "STFTSpectrogram"}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sample", [s for s in SAMPLES if not (s.random or s.ints or s.name in WHOLE)], ids=str)
def test_whole_numbers(sample, training):
    layer = make(sample, mlkit.layers)
    whole = [np.round(x).astype("int32") for x in arrays(sample)]
    found = []
    for dtype in ("float32", "float32", "int32"):  # the first call builds the layer
        found.append(
            flat(call(sample, layer, [mlkit.ops.convert_to_tensor(x.astype(dtype)) for x in whole], training=training))
        )
        if len(found) == 1:
            weights = layer.get_weights()
        layer.set_weights(weights)  # those that training moves too
    for y, z in zip(*found[1:], strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-4, atol=1e-5)
