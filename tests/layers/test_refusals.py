"""What layers refuse when they are made or called, in words; and functions that are layers in short."""

import numpy as np
import pytest

from mlkit import Input, layers, ops

X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
STEPS = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")


class Named(layers.Layer):
    """Takes a dict of two inputs."""

    def __init__(self):
        super().__init__()
        self.input_spec = [layers.InputSpec(ndim=2, name="a"), layers.InputSpec(dtype="float32", max_ndim=2, name="b")]

    def call(self, inputs):
        return inputs["a"] + inputs["b"]


class Plain(layers.Layer):
    def __init__(self, spec):
        super().__init__()
        self.input_spec = spec

    def call(self, x):
        return x


class NoStart(layers.Layer):
    def __init__(self):
        pass

    def call(self, x):
        return x


CASES = {
    "attention scores": (lambda: layers.Attention(score_mode="sum"), "`score_mode` must be 'dot' or 'concat', but got 'sum'"),
    "attention of one": (lambda: layers.Attention()(STEPS), "list"),
    "attention with one mask": (lambda: layers.Attention()([STEPS, STEPS], mask=STEPS[..., 0] > 0), "the mask must be a list"),
    "spectrum mode": (lambda: layers.STFTSpectrogram("loud"), "`mode` must be one of"),
    "spectrum scaling": (lambda: layers.STFTSpectrogram(scaling="big"), "`scaling` must be 'density', 'spectrum' or None"),
    "spectrum of whole numbers": (
        lambda: layers.STFTSpectrogram(frame_length=4, fft_length=4, frame_step=2)(np.ones((2, 16, 1), "int32")),
        "float dtype, but got int32",
    ),
    "an equation": (lambda: layers.EinsumDense("ab", 3)(X), "Invalid einsum equation 'ab'"),
    "a bias nowhere": (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="z")(X), "bias axes .* are not in the output"),
    "filters and groups": (lambda: layers.Conv1D(5, 3, groups=2), r"`filters` \(5\) must be a multiple of `groups` \(2\)"),
    "steps and gaps": (lambda: layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2), "cannot both be above 1"),
    "channels anywhere": (lambda: layers.Conv2D(2, 3, data_format="channels"), "'channels_last' or 'channels_first'"),
    "another padding": (lambda: layers.Conv2D(2, 3, padding="full"), "`padding` must be one of"),
    "few tokens": (lambda: layers.StringLookup(max_tokens=1), "`max_tokens` must be above 1"),
    "padded to nothing": (lambda: layers.StringLookup(pad_to_max_tokens=True), "needs `max_tokens`"),
    "fewer than none": (lambda: layers.IntegerLookup(num_oov_indices=-1), "at least 0, but got -1"),
    "inverted counts": (lambda: layers.StringLookup(invert=True, output_mode="count"), "must be 'int', but got 'count'"),
    "weights of words": (lambda: layers.StringLookup(idf_weights=[1.0]), "`idf_weights` go with a `vocabulary`"),
    "weights of other words": (
        lambda: layers.StringLookup(vocabulary=["a", "b"], idf_weights=[1.0], output_mode="tf_idf"),
        "1 `idf_weights` for 2 tokens",
    ),
    "hashed unknown words": (lambda: layers.StringLookup(num_oov_indices=2), "above 1 .* is not supported"),
    "numbers as text": (lambda: layers.IntegerLookup(vocabulary_dtype="string"), "must be 'int64' or 'int32'"),
    "sparse input": (lambda: Input((3,), sparse=True), "not supported"),
    "input of a word": (lambda: layers.InputLayer(shape=(3,), size=2), r"unrecognized keyword arguments \['size'\]"),
    "input of an array": (lambda: layers.InputLayer(input_tensor=X), "must be a KerasTensor"),
    "input of two shapes": (lambda: layers.InputLayer(shape=(3,), batch_shape=(2, 3)), "either `shape`"),
    "a batch size twice": (lambda: layers.InputLayer(batch_shape=(2, 3), batch_size=2), "goes with `shape`"),
    "a called input": (lambda: layers.InputLayer(shape=(3,)).call(), "stands for data and is not called"),
    "axes beyond the rank": (lambda: layers.InputSpec(ndim=2, axes={2: 3}), "out of range for rank 2"),
    "a missing name": (lambda: Named()({"a": X}), r"expects inputs named \['a', 'b'\]; missing: \['b'\]"),
    "another dtype": (lambda: Named()({"a": X, "b": np.ones((4, 6), "int32")}), "expected dtype float32, found int32"),
    "too many axes": (lambda: Plain(layers.InputSpec(max_ndim=2))(STEPS), "at most 2 dimensions, found 3"),
    "too few axes": (lambda: Plain(layers.InputSpec(min_ndim=3))(X), "at least 3 dimensions, found 2"),
    "another size": (lambda: Plain(layers.InputSpec(shape=(None, 5)))(X), r"expected shape \(None, 5\), but axis 1 has size 6"),
    "no call": (lambda: type("Silent", (layers.Layer,), {})()(X), "has no `call` method"),
    "no start": (lambda: NoStart()(X), "was not initialized: call super"),
    "a loss of many numbers": (lambda: layers.Dense(2).add_loss(ops.ones(3)), "must be a scalar tensor, but has shape"),
    "nothing to add": (lambda: layers.Add()([]), "should be called on a list of tensors"),
    "three to subtract": (lambda: layers.Subtract()([X, X, X]), "exactly 2 inputs, but got 3"),
    "no list to add": (lambda: layers.Add()(X), "should be called on a list of tensors"),
    "axes that differ": (lambda: layers.Dot(axes=(1, 2))([STEPS, STEPS]), "must have equal sizes"),
    "padding of a word": (lambda: layers.ZeroPadding2D("much"), "must be an int, 2 ints or 2 pairs of ints"),
    "larger by a word": (lambda: layers.UpSampling2D(interpolation="magic"), "`interpolation` must be one of"),
    "a mean alone": (lambda: layers.Normalization(mean=1.0), "both `mean` and `variance`, or neither"),
    "adapted anyway": (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(X), "which adapt would overwrite"),
    "bins anyway": (lambda: layers.Discretization(bin_boundaries=[0.0]).adapt(X), "use `num_bins` instead"),
    "two sizes open": (lambda: layers.Reshape((-1, -1)), "at most one -1"),
    "an axis twice": (lambda: layers.Permute((1, 1)), "must be a permutation"),
    "both ways of nothing": (lambda: layers.Bidirectional(layers.Dense(2)), "`layer` must be a recurrent layer"),
    "back by another": (
        lambda: layers.Bidirectional(layers.GRU(2), backward_layer=layers.Dense(2)),
        "`backward_layer` must be",
    ),
    "both the same way": (lambda: layers.Bidirectional(layers.GRU(2), backward_layer=layers.GRU(2)), "opposite `go_backwards`"),
    "merged anyhow": (lambda: layers.Bidirectional(layers.GRU(2), merge_mode="max"), "merge_mode"),
    "cells without size": (lambda: layers.StackedRNNCells([layers.Dense(2)]), "every cell must have"),
    "groups of channels": (lambda: layers.GroupNormalization(4)(X), "6 channels do not divide into 4 groups"),
    "weights of another": (lambda: built(layers.Dense(2)).set_weights([X]), "has 2 weights, but 1 arrays were given"),
    "not built": (lambda: layers.Dense(2).stateless_call([], [], X), "is not built"),
    "a wrapper of nothing": (lambda: layers.TimeDistributed(abs), "`layer` must be a Layer"),
    "quantized": (lambda: layers.Dense(2).quantize("int8"), "not supported"),
    "tokens and matrices": (
        lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3),
        "output_mode 'int'",
    ),
    "flash and dropout": (
        lambda: layers.MultiHeadAttention(2, 4, dropout=0.1, flash_attention=True),
        "dropout is not supported",
    ),
    "boxes cut and mixed": (
        lambda: layers.CutMix()({"images": np.ones((2, 8, 8, 3)), "bounding_boxes": {}}, training=True),
        "bounding boxes are not supported|bounding_box",
    ),
}


def built(layer):
    layer.build((None, 6))
    return layer


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused(name):
    call, words = CASES[name]
    with pytest.raises((ValueError, TypeError, NotImplementedError, RuntimeError), match=words):
        call()


def test_an_axis_of_one_may_be_missing_or_extra():
    layer = Plain(layers.InputSpec(shape=(None, 6, 1), allow_last_axis_squeeze=True))
    assert layer(X).shape == (4, 6)
    other = Plain(layers.InputSpec(shape=(None, 6), allow_last_axis_squeeze=True))
    assert other(X[..., None]).shape == (4, 6, 1)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate"])
def test_merging_functions_are_their_layers(name):
    found = getattr(layers, name)([X, X[::-1].copy()])
    layer = getattr(layers, name.capitalize())
    np.testing.assert_array_equal(found, layer()([X, X[::-1].copy()]))


def test_the_product_as_a_function():
    np.testing.assert_allclose(layers.dot([X, X], axes=1), (X * X).sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_both_ways_with_states(mode):
    """Outputs are merged, states are not: they come behind, forwards first."""
    layer = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True), merge_mode=mode)
    *out, forwards, backwards = layer(STEPS)
    one, state = layer.forward_layer(STEPS)
    other, back = layer.backward_layer(STEPS)
    other = ops.flip(other, 1)
    merge = {"concat": lambda a, b: ops.concatenate([a, b], -1), "sum": ops.add, "mul": ops.multiply}
    merge |= {"ave": lambda a, b: (a + b) / 2}
    expected = [one, other] if mode is None else [merge[mode](one, other)]
    for a, b in zip(out, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(forwards, state, rtol=1e-5)
    np.testing.assert_allclose(backwards, back, rtol=1e-5)


def test_a_state_without_hidden_variables():
    layer = built(layers.Dense(2))
    changed = [v.numpy() + 1 for v in layer.trainable_variables]
    out, after = layer.stateless_call(changed, [], X)
    np.testing.assert_allclose(out, X @ changed[0] + changed[1], rtol=1e-4)
    assert after == []


def test_a_lambda_with_a_mask_of_its_own():
    layer = layers.Lambda(lambda x: x[:, 1:], mask=lambda x, mask: mask[:, 1:])
    embedded = layers.Embedding(5, 3, mask_zero=True)(np.array([[1, 2, 0], [3, 0, 0]]))
    assert layer(embedded)._keras_mask.numpy().tolist() == [[True, False], [False, False]]
