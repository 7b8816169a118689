"""Recurrent layers around cells of the user's own, masks per step, and the choice of the fused op."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops


class Adding(layers.Layer):
    """A cell without `get_initial_state` and `training`."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "ones")

    def call(self, inputs, states):
        out = ops.matmul(inputs, self.kernel) + states[0]
        return out, [out]


def test_stacked_cells_that_have_only_a_state_size():
    x = np.arange(12, dtype="float32").reshape(1, 3, 4)
    out = layers.RNN([Adding(3), Adding(2)], return_sequences=True)(x)
    inner = np.cumsum(x.sum(-1))
    np.testing.assert_allclose(out.numpy()[0, :, 0], np.cumsum(3 * inner))


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_steps_and_the_fused_op_agree(name):
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    fused, steps = (getattr(layers, name)(5, use_cudnn=choice, return_sequences=True) for choice in (True, False))
    fused(x), steps(x)
    steps.set_weights(fused.get_weights())
    np.testing.assert_allclose(fused(x).numpy(), steps(x).numpy(), atol=1e-6)
    assert layers.Bidirectional(steps).backward_layer.use_cudnn is False
    with pytest.raises(ValueError, match="use_cudnn"):
        getattr(layers, name)(5, use_cudnn="yes")


def test_time_distributed_hands_masks_on_step_by_step():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    mask = np.array([[[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]] * 2, bool)
    inner = layers.LSTM(2)
    out = layers.TimeDistributed(inner)(x, mask=mask)
    np.testing.assert_allclose(out.numpy()[:, 1], inner(x[:, 1], mask=mask[:, 1]).numpy(), atol=1e-6)
    assert layers.TimeDistributed(layers.Dense(2))(x, mask=mask).shape == (2, 3, 4, 2)
    with pytest.raises(ValueError, match="batch and time axes"):
        layers.TimeDistributed(inner)(x, mask=mask[:, :2])


def test_a_convolutional_lstm_goes_on_where_it_was():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    whole = layers.ConvLSTM1D(2, 3, padding="same")
    expected = whole(x).numpy()
    parts = layers.ConvLSTM1D(2, 3, padding="same", stateful=True)
    parts(x[:, :2])
    parts.set_weights(whole.get_weights())
    parts.reset_state()
    parts(x[:, :2])
    np.testing.assert_allclose(parts(x[:, 2:]).numpy(), expected, atol=1e-6)
    with pytest.raises(ValueError, match="spatial sizes"):
        whole.__class__(2, 3)(mlkit.Input((4, None, 3)))


KINDS = [("LSTM", {}), ("GRU", {}), ("GRU", dict(reset_after=False)), ("SimpleRNN", dict(activation="sigmoid"))]
MASKS = {  # some steps at the end, at the beginning and anywhere; one sample has none
    "right": np.arange(6) < np.array([[6], [3], [0]]),
    "left": np.arange(6) >= np.array([[0], [4], [6]]),
    "any": np.array([[1, 0, 0, 1, 1, 0], [0, 1, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0]], bool),
}


def _twins(name, options):
    """A layer that runs as one op, and the same one that runs step by step."""
    both = [getattr(layers, name)(4, seed=1, **options) for _ in range(2)]
    for layer, choice in zip(both, ("auto", False)):
        layer.use_cudnn = choice
        layer.build((3, 6, 2))
    both[1].set_weights(both[0].get_weights())
    return both


def _results(layer, x, **arguments):
    """Outputs and gradients of a training call."""
    x = ops.convert_to_tensor(x)
    with mlkit.GradientTape() as tape:
        tape.watch(x)
        outs = mlkit.tree.flatten(layer(x, training=True, **arguments))
        loss = sum(ops.sum(ops.sin(out * (1.0 + i))) for i, out in enumerate(outs))
    return [t.numpy() for t in (*outs, *tape.gradient(loss, [x, *layer.trainable_variables]))]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("sequences, backwards, zero", [(False, False, False), (True, False, True), (True, True, False)])
@pytest.mark.parametrize("name, options", KINDS, ids=str)
def test_steps_left_out_are_left_out_by_the_fused_op_too(name, options, sequences, backwards, zero, mask):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 6, 2)).astype("float32")
    start = [rng.normal(size=(3, 4)).astype("float32") for _ in range(2 if name == "LSTM" else 1)]
    options = dict(options, return_sequences=sequences, go_backwards=backwards, zero_output_for_mask=zero)
    for more, arguments in (({}, {}), (dict(return_state=True), dict(initial_state=start))):
        one, steps = (_results(layer, x, mask=MASKS[mask], **arguments) for layer in _twins(name, {**options, **more}))
        for a, b in zip(one, steps):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name, options", KINDS, ids=str)
def test_the_fused_op_drops_the_same_inputs(name, options):
    x = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
    one, steps = (_results(layer, x) for layer in _twins(name, dict(options, dropout=0.5)))
    for a, b in zip(one, steps):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{}, dict(dropout=0.3), dict(go_backwards=True, return_state=True)], ids=str)
def test_masked_sequences_are_traced_to_one_op(options):
    layer = layers.LSTM(4, **options)
    layer.build((3, 6, 2))
    call = mlkit.function(lambda x, mask: layer(x, mask=mask, training=True))
    graph = call.graph(ops.ones((3, 6, 2)), ops.ones((3, 6), dtype="bool"))
    assert [c.op.name for c in graph.calls].count("lstm") == 1
    assert len(graph.calls) < 100


@pytest.mark.parametrize(
    "make",
    [lambda: layers.RNN(layers.GRUCell(2), dtype="bfloat16"), lambda: layers.Bidirectional(layers.LSTM(2), dtype="bfloat16")],
)
def test_wrappers_answer_in_their_own_dtype(make):
    assert make()(np.ones((1, 2, 2), "float32")).dtype == "bfloat16"


@pytest.mark.parametrize("name, options", KINDS, ids=str)
def test_unrolled_the_state_of_one_sequence_holds_for_all(name, options):
    x = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
    one = [np.full((1, 4), 0.3 + k, "float32") for k in range(2 if name == "LSTM" else 1)]
    layer = getattr(layers, name)(4, unroll=True, **options)
    wanted = layer(x, initial_state=[np.repeat(s, 3, 0) for s in one])
    for call in (layer, mlkit.function(lambda x, initial_state: layer(x, initial_state=initial_state))):
        np.testing.assert_allclose(call(x, initial_state=one), wanted, rtol=1e-6)
    layer.unroll = False
    with pytest.raises(ValueError, match="need states of shape"):
        layer(x, initial_state=one)
