"""Rows of jax.lax for convolution and pooling. The adjoint ones are transposed by JAX."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def _conv(x, w, strides, padding, dilation, groups):
    axes = "DHW"[-len(strides) :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return lax.conv_general_dilated(
        x,
        w,
        strides,
        _padding(padding),
        rhs_dilation=dilation,
        dimension_numbers=layout,
        feature_group_count=groups,
        precision="highest",
    )


def _padding(padding):
    return padding.upper() if isinstance(padding, str) else padding


def _transposed(function, shape, g):
    """The adjoint, at g, of a linear function of a tensor of that shape."""
    return jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, g.dtype))(jnp.asarray(g))[0]


def _in_floats(row):
    """JAX has no gradients of integers and truth values: where such are asked for, they are computed in float64."""

    @functools.wraps(row)
    def run(*arrays, **params):
        arrays = [jnp.asarray(a) for a in arrays]
        dtype = arrays[0].dtype
        if dtype.kind not in "biu":
            return row(*arrays, **params)
        return row(*(a.astype("float64") for a in arrays), **params).astype(dtype)

    return run


@_in_floats
def _conv_input(g, w, shape, **p):
    return _transposed(lambda x: _conv(x, w, **p), shape, g)


@_in_floats
def _conv_kernel(x, g, shape, **p):
    return _transposed(lambda w: _conv(x, w, **p), shape, g)


def _windows(x, start, function, window, strides, padding):
    pads = _padding(padding) if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return lax.reduce_window(x, start, function, (1, *window, 1), (1, *strides, 1), pads)


def _max_pool(x, **p):
    x = jnp.asarray(x)
    if x.dtype == bool:
        return _max_pool(x.astype("uint8"), **p) != 0
    lowest = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    return _windows(x, np.asarray(lowest, x.dtype), lax.max, **p)


@_in_floats
def _max_pool_grad(x, y, g, **p):
    return jax.vjp(lambda x: _max_pool(x, **p), x)[1](g)[0]


@_in_floats
def _max_pool_pick(x, y, h, **p):
    return jax.jvp(lambda x: _max_pool(x, **p), (x,), (h,))[1]


def _avg_pool(x, **p):
    x = jnp.asarray(x)
    wide = jnp.float32 if x.dtype.itemsize == 2 else x.dtype
    zero = np.zeros((), wide)
    count = _windows(jnp.ones((1, *x.shape[1:-1], 1), wide), zero, lax.add, **p)
    total = _windows(x.astype(wide), zero, lax.add, **p)
    return (total / count).astype(x.dtype)


def _avg_pool_grad(g, shape, **p):
    return _transposed(lambda x: _avg_pool(x, **p), shape, g)


ROWS = dict(
    conv=_conv, conv_input=_conv_input, conv_kernel=_conv_kernel, max_pool=_max_pool, max_pool_grad=_max_pool_grad,
    max_pool_pick=_max_pool_pick, avg_pool=_avg_pool, avg_pool_grad=_avg_pool_grad,
)  # fmt: skip
