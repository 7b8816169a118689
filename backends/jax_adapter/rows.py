"""Rows of jax.numpy for the elementwise, reduction, movement and random primitives: one line each, for the eye to check."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import special

from mlkit.backends.jax_adapter import meshes
from mlkit.backends.jax_adapter.half import in_single
from mlkit.core import dtypes
from mlkit.primitives.philox import philox

UNARY = dict(
    neg=jnp.negative, abs=jnp.abs, sign=jnp.sign, exp=jnp.exp, expm1=jnp.expm1, log=jnp.log, log1p=jnp.log1p, sqrt=jnp.sqrt,
    rsqrt=lax.rsqrt, sin=jnp.sin, cos=jnp.cos, tan=jnp.tan, arcsin=jnp.arcsin, arccos=jnp.arccos, arctan=jnp.arctan,
    sinh=jnp.sinh, cosh=jnp.cosh, arcsinh=jnp.arcsinh, arccosh=jnp.arccosh, arctanh=jnp.arctanh, tanh=jnp.tanh,
    sigmoid=jax.nn.sigmoid, erf=special.erf, erfc=special.erfc, erfinv=special.erfinv, lgamma=special.gammaln,
    digamma=special.digamma, isfinite=jnp.isfinite, isnan=jnp.isnan, stop_gradient=lax.stop_gradient, conj=jnp.conj,
    real=jnp.real, imag=jnp.imag,
)  # fmt: skip
UNARY["not"] = jnp.invert


def _as_truth(x, y):
    """A number beside truth values is one; JAX would count with all of them."""
    for a, b in ((x, y), (y, x)):
        if getattr(a, "dtype", None) == "bool" and getattr(b, "weak_type", isinstance(b, (int, float))):
            return jnp.asarray(x, bool), jnp.asarray(y, bool)
    return x, y


def _pick(function, of_truth):
    """Of truth values another function: XLA has no limits from both sides for them."""

    def pick(x, y):
        x, y = _as_truth(x, y)
        return (of_truth if all(getattr(a, "dtype", None) == "bool" for a in (x, y)) else function)(x, y)

    return pick


def _pow(x, y):
    """Powers of integers below 0 are 0, but for those of 1 and -1."""
    if not jnp.issubdtype(jnp.result_type(x, y), jnp.signedinteger) or (isinstance(y, int) and y >= 0):
        return jnp.power(x, y)
    return jnp.where((y < 0) & (jnp.abs(x) != 1), 0, jnp.power(x, jnp.abs(y)))


BINARY = dict(
    add=jnp.add, sub=jnp.subtract, mul=jnp.multiply, div=jnp.divide, floor_div=jnp.floor_divide, mod=jnp.mod, pow=_pow,
    maximum=_pick(jnp.maximum, jnp.logical_or), minimum=_pick(jnp.minimum, jnp.logical_and), atan2=jnp.arctan2,
    nextafter=jnp.nextafter, gcd=jnp.gcd, equal=jnp.equal,
    not_equal=jnp.not_equal, less=jnp.less, less_equal=jnp.less_equal, xor=jnp.bitwise_xor, left_shift=jnp.left_shift,
    right_shift=jnp.right_shift, where=lambda condition, x, y: jnp.where(condition, *_as_truth(x, y)),
    complex=lambda x, y: lax.complex(*jnp.broadcast_arrays(x, y)),
)  # fmt: skip
BINARY.update({"and": jnp.bitwise_and, "or": jnp.bitwise_or})


def _cast(x, dtype):
    if jnp.iscomplexobj(x) and dtype not in dtypes.COMPLEX:
        x = x != 0 if dtype == "bool" else jnp.real(x)
    return jnp.asarray(x).astype(dtypes.as_numpy(dtype))


def _bitcast(x, dtype):
    """lax has an axis of its own for the bytes; ours are in the last axis. Truth values and complex numbers it does not know."""
    x, new = jnp.asarray(x), dtypes.as_numpy(dtype)
    old, wide = x.dtype.itemsize, new.itemsize
    shape = x.shape if wide == old else (*x.shape[:-1], x.shape[-1] * old // wide)
    if x.dtype == new:
        return x
    if x.dtype == bool:
        return _bitcast(x.astype("uint8"), dtype)
    if jnp.iscomplexobj(x):
        parts = jnp.stack([x.real, x.imag], -1)
        return _bitcast(parts.reshape(*x.shape[:-1], -1), dtype).reshape(shape)
    if dtype == "bool":
        return _bitcast(x, "uint8") != 0
    if dtype in dtypes.COMPLEX:
        parts = _bitcast(jnp.atleast_1d(x), {8: "float32", 16: "float64"}[wide])
        return lax.complex(parts[..., ::2], parts[..., 1::2]).reshape(shape)
    if wide > old:
        x = x.reshape(*x.shape[:-1], -1, wide // old)
    return lax.bitcast_convert_type(x, new).reshape(shape)


def _take(x, index, axis):
    """JAX forgets axes of the index where there is nothing to take."""
    if x.shape[axis]:
        return jnp.take(x, index, axis)
    return jnp.zeros(x.shape[:axis] + index.shape + x.shape[axis + 1 :], x.dtype)


def _rounding(function):
    """Integers are round already."""
    return lambda x: function(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x


def _along(function):
    return lambda x, axes, keepdims: function(x, axis=axes, keepdims=keepdims)


def _argmax_complex(x, axis):
    """The first of what is no number, else of the largest real parts that with the largest imaginary one, as NumPy has it."""
    nan = jnp.isnan(x)
    real = jnp.where(nan, -jnp.inf, x.real)
    imag = jnp.where(real == jnp.max(real, axis=axis, keepdims=True), x.imag, -jnp.inf)
    return jnp.where(nan.any(axis=axis), jnp.argmax(nan, axis=axis), jnp.argmax(imag, axis=axis))


REDUCE = dict(
    sum=lambda x, axes, keepdims: jnp.sum(x, axis=axes, keepdims=keepdims, dtype=x.dtype),
    prod=lambda x, axes, keepdims: jnp.prod(x, axis=axes, keepdims=keepdims, dtype=x.dtype),
    max=_along(jnp.max),
    min=_along(jnp.min),
    argmax=lambda x, axis: (_argmax_complex(x, axis) if jnp.iscomplexobj(x) else jnp.argmax(x, axis=axis)).astype("int32"),
    argmin=lambda x, axis: (_argmax_complex(-x, axis) if jnp.iscomplexobj(x) else jnp.argmin(x, axis=axis)).astype("int32"),
    cumsum=in_single(lambda x, axis: jnp.cumsum(x, axis=axis, dtype=x.dtype)),
    cumprod=in_single(lambda x, axis: jnp.cumprod(x, axis=axis, dtype=x.dtype)),
    matmul=lambda a, b: jnp.matmul(a, b, precision="highest"),
)

MOVE = dict(
    cast=_cast,
    bitcast=_bitcast,
    full=lambda shape, value, dtype: jnp.full(shape, value, dtypes.as_numpy(dtype)),
    iota=lambda size, dtype: jnp.arange(size).astype(dtypes.as_numpy(dtype)),
    reshape=lambda x, shape: jnp.reshape(x, shape),
    transpose=lambda x, perm: jnp.transpose(x, perm),
    broadcast_to=lambda x, shape: jnp.broadcast_to(x, shape),
    slice=lambda x, starts, stops, strides: lax.slice(jnp.asarray(x), starts, stops, strides),
    pad=lambda x, value, low, high, interior: lax.pad(
        jnp.asarray(x), jnp.asarray(value, x.dtype), list(zip(low, high, interior))
    ),
    concat=lambda *xs, axis: jnp.concatenate(xs, axis),
    flip=lambda x, axes: jnp.flip(x, axes),
    after=lambda x, g: lax.optimization_barrier((x, g))[0],
    take=_take,
    take_along_axis=lambda x, index, axis: jnp.take_along_axis(x, index, axis),
    sort=lambda x, axis: jnp.sort(x, axis=axis, stable=True),
    argsort=lambda x, axis: jnp.argsort(x, axis=axis, stable=True).astype("int32"),
    searchsorted=lambda line, values, side: jnp.searchsorted(line, values, side=side).astype("int32"),
    floor=_rounding(jnp.floor),
    ceil=_rounding(jnp.ceil),
    round=_rounding(jnp.rint),
)


def _at(x, index):
    """The slices of x at the coordinates in the last axis of index."""
    return jnp.asarray(x).at[tuple(jnp.moveaxis(jnp.asarray(index), -1, 0))]


SCATTER = dict(
    scatter_add=in_single(lambda x, index, updates: getattr(_at(x, index), "max" if x.dtype == bool else "add")(updates)),
    scatter_mul=in_single(lambda x, index, updates: getattr(_at(x, index), "min" if x.dtype == bool else "multiply")(updates)),
    scatter_max=lambda x, index, updates: _at(x, index).max(updates),
    scatter_min=lambda x, index, updates: _at(x, index).min(updates),
    scatter_set=lambda x, index, updates: _at(x, index).set(updates),
)

FOURIER = dict(fft=jnp.fft.fft, ifft=jnp.fft.ifft, rfft=jnp.fft.rfft, irfft=lambda x, length: jnp.fft.irfft(x, length))


_SHARED = 1024  # words from which on devices share the work


def _random_bits(key, shape, dtype):
    """Within a program each device of the mesh computes a part of the words: XLA by itself lets several compute the same."""
    return _bits(key, shape, dtype, meshes.over_all() if isinstance(key, jax.core.Tracer) else None)


@functools.partial(jax.jit, static_argnames=("shape", "dtype", "sharding"))
def _bits(key, shape, dtype, sharding):
    """The generator is part of an op's definition: written once over an array module, so all backends draw equal numbers."""
    size, kind = 1, jnp.dtype(dtype)
    for n in shape:
        size *= n
    needed = -(-size * kind.itemsize // 8)
    if sharding is None or needed < _SHARED:
        words = philox(jnp, jnp.asarray(key), needed)
    else:
        parts = 4 * sharding.mesh.size  # whole blocks of four
        words = lax.with_sharding_constraint(philox(jnp, jnp.asarray(key), -(-needed // parts) * parts), sharding)
    return _bitcast(words, dtype)[:size].reshape(shape)


ROWS = {**UNARY, **BINARY, **REDUCE, **MOVE, **SCATTER, **FOURIER, "random_bits": _random_bits}
