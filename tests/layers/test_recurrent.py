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
