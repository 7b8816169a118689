"""Discretization learns the boundaries that Keras learns; CategoryEncoding weighs counts; lookups number tokens by frequency."""

import keras
import numpy as np
import pytest

from mlkit import layers


def test_adapted_boundaries_are_keras_ones():
    batches = [np.random.default_rng(i).normal(size=(200, 3)).astype("float32") for i in range(4)]
    ours, theirs = layers.Discretization(num_bins=5, epsilon=0.02), keras.layers.Discretization(num_bins=5, epsilon=0.02)
    ours.adapt(batches)
    theirs.reset_state()
    for batch in batches:
        theirs.update_state(batch)
    theirs.finalize_state()
    np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-4, atol=1e-4)
    again = layers.Discretization.from_config(ours.get_config())
    np.testing.assert_array_equal(again(batches[0]).numpy(), ours(batches[0]).numpy())
    with pytest.raises(ValueError, match="boundaries"):
        layers.Discretization(num_bins=3)(batches[0])


def test_counts_with_weights():
    layer = layers.CategoryEncoding(num_tokens=3, output_mode="count")
    out = layer(np.array([[0, 2, 2]]), count_weights=np.array([[0.5, 1.0, 2.0]])).numpy()
    np.testing.assert_allclose(out, [[0.5, 0, 3]])
    with pytest.raises(ValueError, match="count_weights"):
        layers.CategoryEncoding(num_tokens=3)(np.array([[0]]), count_weights=np.array([[1.0]]))
