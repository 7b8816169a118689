"""Sizes that do not fit together are refused in words, before a kernel that relies on them runs; sizes of 1 broadcast where they may."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.core.tensor import Tensor
from mlkit.primitives import fused

RECURRENT = {
    "LSTM": lambda **k: layers.LSTM(3, **k),
    "GRU": lambda **k: layers.GRU(3, **k),
    "SimpleRNN": lambda **k: layers.SimpleRNN(3, **k),
    "Bidirectional": lambda **k: layers.Bidirectional(layers.GRU(3, **k)),
    "RNN": lambda **k: layers.RNN(layers.GRUCell(3), **k),
}
X = np.ones((4, 3, 2), "float32")


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (9, 3), (0, 3), (4, 2), (3,), (4, 3, 1)])
@pytest.mark.parametrize("compiled", [False, True])
def test_states_of_another_size(name, shape, compiled):
    count = {"LSTM": 2, "Bidirectional": 2}.get(name, 1)
    layer = RECURRENT[name]()
    layer(X)

    def run(x, s):
        return layer(x, initial_state=[s] * count)

    with pytest.raises(ValueError, match="state"):
        (mlkit.function(run) if compiled else run)(X, np.zeros(shape, "float32"))


def test_the_second_state_of_an_lstm_has_the_size_of_the_first():
    with pytest.raises(ValueError, match="state"):
        layers.LSTM(3)(X, initial_state=[np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32")])


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_another_number_of_states(name, count):
    layer, wanted = RECURRENT[name](), {"LSTM": 2, "Bidirectional": 2}.get(name, 1)
    states = [np.zeros((4, 3), "float32")] * count
    if count == wanted:
        assert layer(X, initial_state=states).shape[0] == 4
    else:
        with pytest.raises(ValueError, match="need states of shape"):
            layer(X, initial_state=states)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN", "RNN"])
def test_one_state_without_a_batch(name):
    with pytest.raises(ValueError, match="`initial_state`"):
        RECURRENT[name]()(X, initial_state=np.zeros(3, "float32"))


@pytest.mark.parametrize("shape", [(1, 5, 5, 4), (2, 1, 1, 4), (2, 4, 5, 4), (2, 5, 5), (2, 5, 5, 1)])
def test_states_of_convolutional_layers(shape):
    layer, images = layers.ConvLSTM2D(4, 3, padding="same"), draw(2, 3, 5, 5, 2)
    with pytest.raises(ValueError, match="need states of shape"):
        layer(images, initial_state=[np.zeros(shape, "float32")] * 2)


def test_states_of_stacked_cells():
    layer = layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])
    a, b = draw(4, 3), draw(4, 2)
    np.testing.assert_array_equal(layer(X, initial_state=[a, [b, b]]), layer(X, initial_state=[a, b, b]))
    with pytest.raises(ValueError, match="need states of shape"):
        layer(X, initial_state=[a, [b, a]])


@pytest.mark.parametrize("name", RECURRENT)
def test_no_steps(name):
    with pytest.raises(ValueError, match=r"\(4, 0, 2\)"):
        RECURRENT[name]()(X[:, :0])


@pytest.mark.parametrize("name", RECURRENT)
def test_a_partial_batch_of_a_stateful_layer(name):
    model = mlkit.Sequential([layers.Input(batch_shape=(2, 3, 2)), RECURRENT[name](stateful=True)])
    with pytest.raises(ValueError):
        model.predict(X[:3], batch_size=2, verbose=0)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("shape", [(4, 2), (4, 5), (3, 3), (1, 2), (4, 1)])
def test_a_mask_of_another_size(name, shape):
    layer = RECURRENT[name]()
    with pytest.raises(ValueError, match="mask"):
        layer(X, mask=np.ones(shape, bool))


@pytest.mark.parametrize("name", RECURRENT)
def test_a_mask_of_one_sample_holds_for_all(name):
    layer, mask = RECURRENT[name](), np.array([[True, False, True]])
    np.testing.assert_array_equal(layer(draw(4, 3, 2), mask=mask), layer(draw(4, 3, 2), mask=mask.repeat(4, 0)))


@pytest.mark.parametrize("make", [layers.Dropout, layers.AlphaDropout])
def test_masks_of_dropout(make):
    x = np.ones((3, 5, 4), "float32")
    for shape in ((4,), (5, 1), (1, 5, 4), (None, 1, None), (3, 5, 4)):
        dropped = np.asarray(make(0.5, noise_shape=shape, seed=1)(x, training=True))
        assert dropped.shape == x.shape
        assert len(np.unique(dropped)) == 2
        for axis, n in zip((-1, -2, -3), (*reversed(shape), 1, 1)):
            assert n != 1 or (dropped == np.take(dropped, [0], axis)).all()
    for shape in ((3,), (3, 5, 4, 1), (2, 5, 4), (1, 3, 5, 4), (None, 4)):
        with pytest.raises(ValueError, match="`noise_shape` .* does not broadcast to inputs of shape"):
            make(0.5, noise_shape=shape)(x, training=True)
    with pytest.raises(ValueError, match="does not broadcast"):
        make(0.5, noise_shape=(3, 5, 4))(x[:, :1], training=True)


def test_a_fused_op_that_broadcasts_as_its_composed_form():
    """A state of one sample beside a batch: the layers refuse it, as Keras does; the op is what its definition says."""
    x, s, kernel, recurrent = (ops.convert_to_tensor(draw(*n)) for n in ((4, 3, 2), (1, 3), (2, 3), (3, 3)))
    wide = ops.repeat(s, 4, axis=0)

    def run(s):
        return fused.rnn(x, s, kernel, recurrent, None, activation="tanh")[0]

    assert run(Tensor(s.spec)).shape == (4, 3, 3)
    for function in (run, mlkit.function(run)):
        np.testing.assert_allclose(function(s), run(wide), atol=1e-6)
    slope, each = (mlkit.grad(lambda s: ops.sum(run(s) ** 2))(s) for s in (s, wide))
    np.testing.assert_allclose(slope, ops.sum(each, axis=0, keepdims=True), atol=1e-5)
    with pytest.raises(ValueError, match="beside inputs of shape"):
        run(ops.repeat(s, 3, axis=0))


def test_attention_broadcasts_batches_of_one_sample_and_refuses_others():
    q, k = draw(4, 5, 2, 8), draw(1, 6, 2, 8)
    wide = np.repeat(k, 4, 0)
    np.testing.assert_allclose(ops.dot_product_attention(q, k, k), ops.dot_product_attention(q, wide, wide), atol=1e-6)
    one = ops.dot_product_attention(q[:1], wide, wide)
    np.testing.assert_allclose(one, ops.dot_product_attention(np.repeat(q[:1], 4, 0), wide, wide), atol=1e-6)
    heads = layers.MultiHeadAttention(2, 4)
    assert heads(draw(1, 5, 8), draw(4, 6, 8)).shape == (4, 5, 8)
    for batch in (2, 3, 8):
        with pytest.raises(ValueError, match="batch"):
            ops.dot_product_attention(q, draw(batch, 6, 2, 8), draw(batch, 6, 2, 8))
        with pytest.raises(ValueError):
            ops.dot_product_attention(q, wide, wide, mask=np.ones((batch, 1, 5, 6), bool))
        with pytest.raises(ValueError):
            heads(draw(4, 5, 8), draw(4, 6, 8), attention_mask=np.ones((batch, 5, 6), bool))
    for shape in ((4, 1, 5, 5), (4, 3, 5, 6), (4, 1, 2, 6)):
        with pytest.raises(ValueError, match="mask"):
            ops.dot_product_attention(q, wide, wide, mask=np.ones(shape, bool))
