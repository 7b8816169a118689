"""Primitives that reduce axes (sums are in `shape`), and running sums along one."""

import functools
from collections.abc import Callable
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Size, Spec, is_known, normalize_axis, reduced, require_elements, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.axes import shifted
from mlkit.primitives.counts import each_input
from mlkit.primitives.movement import flip, full, pad, slice_along
from mlkit.primitives.shape import reduce_spec, reshape, spread, sum_


def _extreme_vjp(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> tuple[Tensor | None, ...]:
    """To the elements that attain the extreme, in equal shares; to none where it is NaN."""
    chosen = el.cast(el.equal(x, spread(y, x, axes)), dtype=g.dtype)
    count = el.maximum(sum_(chosen, axes=axes, keepdims=True), 1)
    return (chosen * (spread(g, x, axes) / count),)


def _in_single(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A gradient rule that computes in float32 where x is of half floats, whose range products of many leave."""

    @functools.wraps(rule)
    def wide(g: Tensor, y: Tensor | None, x: Tensor, **params: Any) -> tuple[Tensor | None, ...]:
        if x.dtype not in dtypes.HALF:
            return rule(g, y, x, **params)
        (slope,) = rule(el.cast(g, dtype="float32"), None, el.cast(x, dtype="float32"), **params)
        return (el.cast(slope, dtype=x.dtype),)

    return wide


@_in_single
def _prod_vjp(g: Tensor, y: Tensor | None, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> tuple[Tensor | None, ...]:
    """The product of all other elements, by running products from both ends, so that zeros do no harm."""
    axis = axes[0]
    if len(axes) > 1:  # one axis after the other
        inner = prod(x, axes=axes[1:], keepdims=True)
        kept = tuple(1 if i in axes else s for i, s in enumerate(x.shape))
        g = _prod_vjp(reshape(g, shape=kept), None, inner, axes=(axis,), keepdims=True)[0]
        return _prod_vjp(g, None, x, axes=axes[1:], keepdims=True)
    before = _shifted_cumprod(x, axis)
    after = flip(_shifted_cumprod(flip(x, axes=(axis,)), axis), axes=(axis,))
    return (spread(g, x, axes) * before * after,)


def _shifted_cumprod(x: Tensor, axis: int) -> Tensor:
    """At position i the product of the elements before i."""
    if x.shape[axis] == 0:
        return x
    head = slice_along(x, axis, 0, x.shape[axis] - 1)
    low = tuple(int(i == axis) for i in range(x.ndim))
    none = (0,) * x.ndim
    return cumprod(pad(head, value=1.0, low=low, high=none, interior=none), axis=axis)


# axes: tuple of distinct non-negative ints
_reduction = Traits(flops=each_input, batch=shifted("axes"))
_place = Traits(flops=each_input, batch=shifted("axis"))
prod = Op("prod", reduce_spec("prod"), _prod_vjp, keep="x", traits=_reduction)
max_ = Op("max", reduce_spec("max"), _extreme_vjp, traits=_reduction)
min_ = Op("min", reduce_spec("min"), _extreme_vjp, traits=_reduction)


def _arg_spec(name: str) -> Callable[..., Any]:
    def spec(x: Spec, axis: int) -> Spec:
        axis = normalize_axis(name, axis, len(x.shape))
        require_elements(name, x.shape, (axis,))
        return Spec(reduced(x.shape, (axis,), False), "int32")

    return spec


argmax = Op("argmax", _arg_spec("argmax"), traits=_place)  # the first of equal ones; int32
argmin = Op("argmin", _arg_spec("argmin"), traits=_place)


def _scan_spec(name: str) -> Callable[..., Any]:
    def spec(x: Spec, axis: int) -> Spec:
        normalize_axis(name, axis, len(x.shape))
        return x

    return spec


def _reverse_cumsum(x: Tensor, axis: int) -> Tensor:
    return flip(cumsum(flip(x, axes=(axis,)), axis=axis), axes=(axis,))


@_in_single
def _cumprod_vjp(g: Tensor, y: Tensor, x: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    """dy_j / dx_i is (product before i) * (product between i and j). The sum over j obeys r_i = g_i + x_{i+1} r_{i+1}, which is
    solved by doubling, without a division, so that zeros do no harm.

    Hillis and Steele, Data Parallel Algorithms, Comm. ACM 29 (1986).
    """
    factor, r, step = _moved_up(x, axis, 1), g, 1
    while step < x.shape[axis]:
        r = r + factor * _moved_up(r, axis, step)
        factor = factor * _moved_up(factor, axis, step)
        step *= 2
    return (_shifted_cumprod(x, axis) * r,)


def _moved_up(x: Tensor, axis: int, places: int) -> Tensor:
    """At position i the element i + places, zero beyond the end."""
    n = x.shape[axis]
    tail = slice_along(x, axis, min(places, n), n)
    none = (0,) * x.ndim
    return pad(tail, value=0.0, low=none, high=tuple(min(places, n) * (i == axis) for i in range(x.ndim)), interior=none)


cumsum = Op("cumsum", _scan_spec("cumsum"), lambda g, y, x, axis: (_reverse_cumsum(g, axis),), keep="", traits=_place)
cumprod = Op("cumprod", _scan_spec("cumprod"), _cumprod_vjp, keep="x", traits=_place)


def size_along(x: Tensor, axes: tuple[int, ...]) -> Any:
    """Number of elements that are reduced together."""
    return size_of([x.shape[a] for a in axes])


def size_operand(n: Size, dtype: str) -> Any:
    """A size to compute with: a Python number, or a sum of ones while it is unknown."""
    if is_known(n):
        return float(n) if dtype in dtypes.FLOATS else n
    return sum_(full(shape=(n,), value=1, dtype=dtype), axes=(0,), keepdims=False)
