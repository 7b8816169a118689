"""Rows of fused ops where JAX has a function of its own, or where a loop should stay a loop; the others run their fallback."""

import jax
import jax.numpy as jnp
from jax import lax


def _lstm(x, h, c, kernel, recurrent, bias):
    z = x @ kernel + (0 if bias is None else bias)

    def step(state, z):
        h, c = state
        i, f, g, o = jnp.split(z + h @ recurrent, 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        before, c = c, f * c + i * g
        th = jnp.tanh(c)
        h = o * th
        return (h, c), (h, jnp.stack([i, f, g, o, th, before]))

    (_, c), (hs, kept) = lax.scan(step, (h, c), jnp.swapaxes(z, 0, 1))
    return jnp.swapaxes(hs, 0, 1), c, jnp.swapaxes(kept, 2, 3)


def _gru(x, h, kernel, recurrent, bias):
    input_bias, state_bias = (0, 0) if bias is None else bias
    z = x @ kernel + input_bias

    def step(h, z):
        xz, xr, xh = jnp.split(z, 3, axis=-1)
        hz, hr, hh = jnp.split(h @ recurrent + state_bias, 3, axis=-1)
        update, reset = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
        candidate = jnp.tanh(xh + reset * hh)
        h = update * h + (1 - update) * candidate
        return h, (h, jnp.concatenate([update, reset, candidate, hh], axis=-1))

    return _over_time(step, h, z)


def _over_time(step, state, z):
    _, outputs = lax.scan(step, state, jnp.swapaxes(z, 0, 1))
    return tuple(jnp.swapaxes(o, 0, 1) for o in outputs)


ROWS = dict(
    relu=jax.nn.relu,
    silu=jax.nn.silu,
    gelu=lambda x, approximate: jax.nn.gelu(x, approximate),
    softplus=jax.nn.softplus,
    softmax=lambda x, axis: jax.nn.softmax(x, axis),
    log_softmax=lambda x, axis: jax.nn.log_softmax(x, axis),
    lstm=_lstm,
    gru=_gru,
)
