"""Kernels of the elementwise, reduction and movement primitives, written once over `xp` = numpy or cupy."""

import math

from mlkit.core import dtypes


def make(xp):
    """Op name -> kernel."""
    return {**_elementwise(xp), **_reductions(xp), **_movement(xp), **_picking(xp)}


def _elementwise(xp):
    def cast(x, dtype):
        with xp.errstate(invalid="ignore", over="ignore"):
            return x.astype(dtypes.as_numpy(dtype))

    def quiet(function):
        """Infinities and NaNs are results, not warnings."""

        def kernel(*args):
            with xp.errstate(all="ignore"):
                return function(*args)

        return kernel

    def sigmoid(x):
        return 1 / (1 + xp.exp(-x))

    same = dict(
        neg=xp.negative, abs=xp.abs, sign=xp.sign, sin=xp.sin, cos=xp.cos, tanh=xp.tanh, arctan=xp.arctan, isfinite=xp.isfinite,
        isnan=xp.isnan, not_=xp.invert, conj=xp.conj, add=xp.add, sub=xp.subtract, mul=xp.multiply, maximum=xp.maximum,
        minimum=xp.minimum, atan2=xp.arctan2, nextafter=xp.nextafter, equal=xp.equal, not_equal=xp.not_equal, less=xp.less,
        less_equal=xp.less_equal, and_=xp.bitwise_and, or_=xp.bitwise_or, xor=xp.bitwise_xor, left_shift=xp.left_shift,
        right_shift=xp.right_shift, arcsinh=xp.arcsinh,
    )  # fmt: skip
    table = {name.rstrip("_"): function for name, function in same.items()}
    domain = dict(
        exp=xp.exp, expm1=xp.expm1, log=xp.log, log1p=xp.log1p, sqrt=xp.sqrt, rsqrt=lambda x: 1 / xp.sqrt(x), tan=xp.tan,
        arcsin=xp.arcsin, arccos=xp.arccos, sinh=xp.sinh, cosh=xp.cosh, arccosh=xp.arccosh, arctanh=xp.arctanh, sigmoid=sigmoid,
        div=xp.divide, floor_div=xp.floor_divide, mod=xp.mod, pow=xp.power,
    )  # fmt: skip
    table.update({name: quiet(function) for name, function in domain.items()})
    keep_ints = dict(floor=xp.floor, ceil=xp.ceil, round=xp.rint)
    table.update({n: (lambda x, f=f: f(x) if x.dtype.kind not in "biu" else x) for n, f in keep_ints.items()})
    table.update(cast=cast, stop_gradient=lambda x: x, where=xp.where)
    return table


def _reductions(xp):
    def reduce(function, **fixed):
        def kernel(x, axes, keepdims):
            return xp.asarray(function(x, axis=axes, keepdims=keepdims, **fixed))

        return kernel

    def with_own_dtype(function):
        """sum and prod accumulate in the input's dtype; half floats in float32."""

        def kernel(x, axes, keepdims):
            wide = xp.float32 if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
            return xp.asarray(function(x, axis=axes, keepdims=keepdims, dtype=wide)).astype(x.dtype, copy=False)

        return kernel

    return dict(
        sum=with_own_dtype(xp.sum),
        prod=with_own_dtype(xp.prod),
        max=reduce(xp.max),
        min=reduce(xp.min),
        argmax=lambda x, axis: xp.argmax(x, axis=axis).astype("int32"),
        argmin=lambda x, axis: xp.argmin(x, axis=axis).astype("int32"),
        cumsum=lambda x, axis: xp.cumsum(x, axis=axis, dtype=x.dtype),
        cumprod=lambda x, axis: xp.cumprod(x, axis=axis, dtype=x.dtype),
    )


def _movement(xp):
    def pad(x, value, low, high, interior):
        shape = [n + a + b + max(n - 1, 0) * i for n, a, b, i in zip(x.shape, low, high, interior)]
        out = xp.full(shape, value, x.dtype)
        out[tuple(slice(a, a + (n - 1) * (i + 1) + 1 if n else a, i + 1) for n, a, i in zip(x.shape, low, interior))] = x
        return out

    return dict(
        full=lambda shape, value, dtype: xp.full(shape, value, dtypes.as_numpy(dtype)),
        iota=lambda size, dtype: xp.arange(size).astype(dtypes.as_numpy(dtype)),
        reshape=lambda x, shape: x.reshape(shape),
        transpose=lambda x, perm: x.transpose(perm),
        broadcast_to=lambda x, shape: xp.broadcast_to(x, shape),
        slice=lambda x, starts, stops, strides: x[tuple(map(slice, starts, stops, strides))],
        pad=pad,
        concat=lambda *xs, axis: xp.concatenate(xs, axis),
        flip=lambda x, axes: xp.flip(x, axes),
    )


def _picking(xp):
    def take_along_axis(x, index, axis):
        lead = [max(a, b) if min(a, b) == 1 else a for a, b in zip(x.shape, index.shape)]
        shape = tuple(x.shape[axis] if i == axis else n for i, n in enumerate(lead))
        wide = tuple(index.shape[axis] if i == axis else n for i, n in enumerate(lead))
        return xp.take_along_axis(xp.broadcast_to(x, shape), xp.broadcast_to(index, wide), axis)

    def coordinates(index):
        return tuple(index[..., i] for i in range(index.shape[-1]))

    def scatter_add(x, index, updates):
        k = index.shape[-1]
        lead, rest = x.shape[:k], x.shape[k:]
        row = xp.zeros(index.shape[:-1], "int64")
        for i, n in enumerate(lead):
            row = row * n + index[..., i]
        out = xp.array(x).reshape(math.prod(lead), math.prod(rest))
        _add_rows(xp, out, row.ravel(), updates.reshape(row.size, math.prod(rest)))
        return out.reshape(x.shape)

    def scatter_set(x, index, updates):
        out = xp.array(x)
        out[coordinates(index)] = updates
        return out

    return dict(
        take=lambda x, index, axis: xp.take(x, index, axis),
        take_along_axis=take_along_axis,
        scatter_add=scatter_add,
        scatter_set=scatter_set,
    )


def _add_rows(xp, out, row, updates):
    """out[row] += updates with repeated rows: sorted, summed by run, then added once each."""
    if row.size == 0:
        return
    order = xp.argsort(row, kind="stable")
    row = row[order]
    starts = xp.flatnonzero(xp.concatenate([xp.ones(1, bool), row[1:] != row[:-1]]))
    out[row[starts]] += xp.add.reduceat(updates[order], starts, axis=0)
