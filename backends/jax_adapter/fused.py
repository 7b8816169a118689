"""Rows of fused ops where JAX has a function of its own, or where a loop should stay a loop; the others run their fallback."""

import jax
import jax.numpy as jnp
from jax import lax


def _lstm(x, h, c, kernel, recurrent, bias, reverse=False):
    def step(state, z):
        h, c = state
        i, f, g, o = jnp.split(z + h @ recurrent, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (h, c), hs = _over_time(step, (h, c), x @ kernel + (0 if bias is None else bias), reverse)
    return hs, h, c


def _gru(x, h, kernel, recurrent, bias, reset_after=True, reverse=False):
    input_bias, state_bias = (0, 0) if bias is None else bias if reset_after else (bias, 0)
    units = recurrent.shape[0]

    def step(h, z):
        xz, xr, xh = jnp.split(z, 3, axis=-1)
        hz, hr, hh = jnp.split(h @ recurrent + state_bias, 3, axis=-1)
        update, reset = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
        inner = reset * hh if reset_after else (reset * h) @ recurrent[:, 2 * units :]
        h = update * h + (1 - update) * jnp.tanh(xh + inner)
        return h, h

    h, hs = _over_time(step, h, x @ kernel + input_bias, reverse)
    return hs, h


def _rnn(x, h, kernel, recurrent, bias, activation, reverse=False):
    act = dict(tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, relu=jax.nn.relu)[activation]

    def step(h, z):
        h = act(z + h @ recurrent)
        return h, h

    h, hs = _over_time(step, h, x @ kernel + (0 if bias is None else bias), reverse)
    return hs, h


def _over_time(step, state, z, reverse):
    state, outputs = lax.scan(step, state, jnp.swapaxes(z, 0, 1), reverse=reverse)
    return state, jnp.swapaxes(outputs, 0, 1)


ROWS = dict(
    relu=lambda x: jnp.maximum(x, jnp.zeros((), x.dtype)),  # jax.nn.relu makes int64 of truth values
    silu=jax.nn.silu,
    gelu=lambda x, approximate: jax.nn.gelu(x, approximate),
    softplus=jax.nn.softplus,
    softmax=lambda x, axis: jax.nn.softmax(x, axis),
    log_softmax=lambda x, axis: jax.nn.log_softmax(x, axis),
    lstm=_lstm,
    gru=_gru,
    rnn=_rnn,
)
