"""Discretization learns the boundaries that Keras learns; CategoryEncoding weighs counts; lookups number tokens by
frequency."""

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


def test_string_lookup():
    words = np.array([["b", "a", "b"], ["c", "b", "a"]])
    layer = layers.StringLookup(mask_token="")
    layer.adapt(words)
    assert layer.get_vocabulary() == ["", "[UNK]", "b", "a", "c"]
    assert layer.vocabulary_size() == 5
    np.testing.assert_array_equal(layer([["a", "?", ""]]).numpy(), [[3, 1, 0]])
    again = layers.StringLookup.from_config(layer.get_config())
    np.testing.assert_array_equal(again(words).numpy(), layer(words).numpy())
    back = layers.StringLookup(vocabulary=layer.get_vocabulary(), mask_token="", invert=True)
    np.testing.assert_array_equal(back(layer(words)), words)
    hot = layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot", mask_token="")
    np.testing.assert_array_equal(hot([["a", "", "x"]]).numpy(), [[1, 1, 0]])
    with pytest.raises(ValueError, match="not in the vocabulary"):
        layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"])
    with pytest.raises(ValueError, match="repeated"):
        layers.StringLookup(vocabulary=["a", "a"])
    for option, usual, other in (("oov_method", "floormod", "farmhash"), ("vocabulary_dtype", "string", "int64")):
        assert layers.StringLookup(vocabulary=["a"], **{option: usual})(["a"]).numpy().tolist() == [1]
        with pytest.raises(NotImplementedError, match=f"`{option}` other than '{usual}'"):
            layers.StringLookup(vocabulary=["a"], **{option: other})


def test_frequencies_weigh_counts():
    layer = layers.StringLookup(output_mode="tf_idf")
    layer.adapt(np.array([["a", "b"], ["a", "a"], ["a", "c"]]))
    weights = [np.log(1 + 3 / (1 + n)) for n in (3, 1, 1)]  # samples with a, c, b
    out = layer([["a", "a", "c"]]).numpy()
    np.testing.assert_allclose(out, [[0, 2 * weights[0], weights[1], 0]], rtol=1e-6)


def test_integer_lookup():
    layer = layers.IntegerLookup(vocabulary=[10, 20], num_oov_indices=3)
    np.testing.assert_array_equal(layer(np.array([20, 7, 9, 10])).numpy(), [4, 1, 0, 3])
    back = layers.IntegerLookup(vocabulary=[10, 20], invert=True)
    np.testing.assert_array_equal(back(np.array([2, 0, 1])).numpy(), [20, -1, 10])


def test_text_vectorization():
    texts = ["The cat sat.", "the dog", "A cat!"]
    layer = layers.TextVectorization(max_tokens=5, output_sequence_length=4)
    layer.adapt(texts)
    assert layer.get_vocabulary() == ["", "[UNK]", "the", "cat", "sat"]
    np.testing.assert_array_equal(layer(texts).numpy(), [[2, 3, 4, 0], [2, 1, 0, 0], [1, 3, 0, 0]])
    again = layers.TextVectorization.from_config(layer.get_config())
    np.testing.assert_array_equal(again(texts).numpy(), layer(texts).numpy())
    pairs = layers.TextVectorization(ngrams=(2,), split="character", output_mode="count", vocabulary=["a b", "b c"])
    np.testing.assert_array_equal(pairs(["abc", "abab"]).numpy(), [[0, 1, 1], [1, 2, 0]])
    with pytest.raises(ValueError, match="standardize"):
        layers.TextVectorization(standardize="upper")


BATCHES = [np.array(rows) for rows in ([["a", "b"], ["a", "c"]], [["b", "a"], ["d", "d"]])]
ADAPTED = {  # layer and its batches
    "StringLookup": (lambda: layers.StringLookup(max_tokens=4, output_mode="tf_idf"), BATCHES),
    "IntegerLookup": (layers.IntegerLookup, [np.array([[3, 1], [3, 3]]), np.array([[4, 1]])]),
    "TextVectorization": (layers.TextVectorization, [np.array(["a b a", "c"]), np.array(["b b", "a"])]),
    "Discretization": (lambda: layers.Discretization(num_bins=3), [np.arange(9.0), np.arange(5.0)]),
}


@pytest.mark.parametrize("name", ADAPTED)
def test_adapting_by_hand(name):
    """Batch by batch, as `adapt` does it; a second run begins anew."""
    make, batches = ADAPTED[name]
    whole, by_hand = make(), make()
    whole.adapt(iter(batches))
    for _ in range(2):
        by_hand.reset_state()
        for batch in batches:
            by_hand.update_state(batch)
        by_hand.finalize_state()
        by_hand.finalize_state()  # with nothing new
        assert {**by_hand.get_config(), "name": whole.name} == whole.get_config()
        np.testing.assert_array_equal(by_hand(batches[0]).numpy(), whole(batches[0]).numpy())


def test_data_without_batches_are_said():
    with pytest.raises(ValueError, match="no batches"):
        layers.StringLookup().adapt(iter([]))
