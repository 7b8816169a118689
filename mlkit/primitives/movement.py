"""Primitives that make, move and pick elements without computing."""

from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes, layout
from mlkit.core.messages import explained
from mlkit.core.op import Op
from mlkit.core.spec import Dim, Size, Spec, broadcast, is_known, normalize_axis, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.traits import Traits
from mlkit.primitives import elementwise as el
from mlkit.primitives.axes import led, shifted
from mlkit.primitives.counts import each_update, free
from mlkit.primitives.shape import broadcast_to, reshape, transpose

# ---- make ------------------------------------------------------------------------------------------------------------


def _full_spec(shape: Sequence[Size], value: complex, dtype: str) -> Spec:
    dtypes.as_number(value, dtype, "full")
    return Spec(shape, dtype)


_moving = Traits(flops=free)
full = Op("full", _full_spec, traits=_moving)  # value: a Python number
iota = Op("iota", lambda size, dtype: Spec((size,), dtype), traits=_moving)  # 0, 1, ..., size - 1


# ---- slices and padding ----------------------------------------------------------------------------------------------


def _slice_spec(x: Spec, starts: Sequence[Size], stops: Sequence[Size], strides: tuple[int, ...]) -> Spec:
    shape: list[Size] = []
    for size, a, b, s in zip(x.shape, starts, stops, strides):
        if is_known(size, a, b) and not 0 <= a <= b <= size:
            raise ValueError(f"slice: from {a} to {b} does not lie within axis {len(shape)} of shape {show(x.shape)}.")
        whole = type(size) is Dim and b is size and s == 1 and type(a) is int
        shape.append(size - a if whole else slice_size(a, b, s))
    return Spec(shape, x.dtype)


def slice_size(a: Size, b: Size, s: int) -> Size:
    if is_known(a, b):
        return max(0, -(-(b - a) // s))
    return (b - a + (s - 1)) // s if s != 1 else b - a


def _slice_vjp(
    g: Tensor, y: Tensor, x: Tensor, starts: Sequence[Size], stops: Sequence[Size], strides: tuple[int, ...]
) -> tuple[Tensor | None, ...]:
    """Zeros everywhere else: interior zeros by stride, then the margins."""
    after = [n - (a + (m - 1) * s + 1) if m != 0 else n - a for n, a, m, s in zip(x.shape, starts, g.shape, strides)]
    inner = tuple(s - 1 for s in strides)
    return (pad(g, value=0.0, low=tuple(starts), high=tuple(after), interior=inner),)


def _slice_view(
    x: Any, offset: int, steps: tuple[int, ...], starts: Sequence[int], stops: Sequence[int], strides: tuple[int, ...]
) -> tuple[int, tuple[int, ...]]:
    more, new = layout.take_slice(steps, starts, strides)
    return offset + more, new


# starts, stops, strides: one per axis, 0 <= start <= stop <= size, stride >= 1
slice_ = Op(
    "slice",
    _slice_spec,
    _slice_vjp,
    keep="",
    traits=Traits(view=_slice_view, selects=True, flops=free, batch=led(starts=0, stops=lambda size: size, strides=1)),
)


def _pad_spec(x: Spec, value: complex, low: Sequence[int], high: Sequence[int], interior: Sequence[int]) -> Spec:
    dtypes.as_number(value, x.dtype, "pad")
    shape = [n + a + b + _spread(n, i) for n, a, b, i in zip(x.shape, low, high, interior)]
    if any(type(s) is int and s < 0 for s in shape):
        raise ValueError(f"pad: shape {show(x.shape)} cannot be padded by {low} before and {high} after.")
    return Spec(shape, x.dtype)


def _spread(n: Size, interior: int) -> Size:
    """Elements added between n elements, `interior` in each gap."""
    if interior == 0 or n == 0:
        return 0
    return (n - 1) * interior


def _pad_vjp(
    g: Tensor, y: Tensor, x: Tensor, value: complex, low: Sequence[int], high: Sequence[int], interior: Sequence[int]
) -> tuple[Tensor | None, ...]:
    stops = tuple(a + n + _spread(n, i) for n, a, i in zip(x.shape, low, interior))
    return (slice_(g, starts=tuple(low), stops=stops, strides=tuple(i + 1 for i in interior)),)


# value: Python number; low, high: elements before and after each axis (not negative); interior: elements put between neighbours
pad = Op("pad", _pad_spec, _pad_vjp, keep="", traits=Traits(flops=free, batch=led(low=0, high=0, interior=0)))


def _concat_spec(*xs, axis: int) -> Spec:
    first = xs[0]
    for x in xs[1:]:
        if len(x.shape) != len(first.shape) or any(
            not same_size(a, b) for i, (a, b) in enumerate(zip(x.shape, first.shape)) if i != axis
        ):
            shapes = ", ".join(str(show(s.shape)) for s in xs)
            raise explained(
                ValueError(f"concatenate: shapes {shapes} differ outside axis {axis}."),
                "concatenate-shapes-differ-outside-axis",
            )
    total = xs[0].shape[axis]
    for x in xs[1:]:
        total = total + x.shape[axis]
    shape = list(first.shape)
    for x in xs[1:]:
        shape = [a if type(a) is int else b for a, b in zip(shape, x.shape)]
    shape[axis] = total
    return Spec(shape, first.dtype)


def _concat_vjp(g: Tensor, y: Tensor, *xs: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    gs, start = [], 0
    for x in xs:
        stop = start + x.shape[axis]
        gs.append(slice_along(g, axis, start, stop))
        start = stop
    return tuple(gs)


concat = Op("concat", _concat_spec, _concat_vjp, keep="", traits=Traits(flops=free, batch=shifted("axis")))


def slice_along(x: Tensor, axis: int, start: Size, stop: Size, stride: int = 1) -> Tensor:
    """Elements start, start + stride, ... before stop of one axis, all of the others."""
    n = x.ndim
    return slice_(
        x,
        starts=tuple(start if i == axis else 0 for i in range(n)),
        stops=tuple(stop if i == axis else x.shape[i] for i in range(n)),
        strides=tuple(stride if i == axis else 1 for i in range(n)),
    )


def element(x: Tensor, i: int, axis: int = 0) -> Tensor:
    """What lies at one place of an axis, without that axis."""
    return reshape(slice_along(x, axis, i, i + 1), shape=(*x.shape[:axis], *x.shape[axis + 1 :]))


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one shape side by side along a new first axis."""
    return concat(*(reshape(t, shape=(1, *t.shape)) for t in tensors), axis=0)


def _flip_view(x: Any, offset: int, strides: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    more = sum((x.shape[a] - 1) * strides[a] for a in axes)
    return offset + more, tuple(-s if i in axes else s for i, s in enumerate(strides))


flip = Op(
    "flip",
    lambda x, axes: x,
    lambda g, y, x, axes: (flip(g, axes=axes),),
    keep="",
    traits=Traits(view=_flip_view, flops=free, batch=shifted("axes")),
)


# x, which is not there before g is: what is computed of it cannot be taken for what was computed of x
after = Op(
    "after",
    lambda x, g: x,
    lambda h, y, x, g: (h, None),
    keep="",
    traits=Traits(
        view=lambda x, offset, strides: (offset, strides),
        flops=free,
        batch=lambda op, args, has, size, params: op(*args) if has[0] else None,
    ),
)


# ---- picking by index ------------------------------------------------------------------------------------------------


def check_index(name: str, index: Spec) -> None:
    if index.dtype not in dtypes.INTS and index.dtype not in dtypes.UINTS:
        raise TypeError(f"{name}: indices must be integers, but have dtype {index.dtype}.")


def _take_spec(x: Spec, index: Spec, axis: int) -> Spec:
    check_index("take", index)
    axis = normalize_axis("take", axis, len(x.shape))
    return Spec(x.shape[:axis] + index.shape + x.shape[axis + 1 :], x.dtype)


def _take_vjp(g: Tensor, y: Tensor | None, x: Any, index: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    """Put each slice back where it came from: index and gradient axes first, then sums along them."""
    n, k = len(x.shape), len(index.shape)
    g = transpose(g, perm=(*range(axis, axis + k), *range(axis), *range(axis + k, n - 1 + k)))
    rest = x.shape[:axis] + x.shape[axis + 1 :]
    number = size_of(index.shape)
    out = sum_rows(reshape(index, shape=(number,)), reshape(g, shape=(number, *rest)), size=x.shape[axis])
    return transpose(out, perm=(*range(1, axis + 1), 0, *range(axis + 1, n))), None


def _take_each(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor | None:
    """One index for all; one x for all: then what is taken lies behind the axes before; or each its own, from one long axis of all."""
    (x, index), axis = args, params["axis"]
    if not has[1]:
        return op(x, index, axis=axis + 1)
    if has[0]:
        n, before = x.shape[axis + 1], range(1, axis + 1)
        x = transpose(x, perm=(0, axis + 1, *before, *range(axis + 2, x.ndim)))
        start = reshape(iota(size=size, dtype=index.dtype) * n, shape=(size, *(1,) * (index.ndim - 1)))
        taken = op(reshape(x, shape=(size * n, *x.shape[2:])), index + start, axis=0)
        k = index.ndim
        return transpose(taken, perm=(0, *(i + k - 1 for i in before), *range(1, k), *range(k + axis, taken.ndim)))
    taken = op(x, index, axis=axis)
    return transpose(taken, perm=(axis, *range(axis), *range(axis + 1, taken.ndim)))


# index: any shape, 0 <= index < size of the axis; the result's shape has index.shape in place of the axis
take = Op("take", _take_spec, _take_vjp, keep="1", traits=Traits(selects=True, flops=free, batch=_take_each))


def _take_along_axis_spec(x: Spec, index: Spec, axis: int) -> Spec:
    check_index("take_along_axis", index)
    if len(x.shape) != len(index.shape):
        raise ValueError(
            f"take_along_axis: x of shape {show(x.shape)} and indices of shape {show(index.shape)} must have equal rank."
        )
    shape = list(broadcast("take_along_axis", *(s[:axis] + (1,) + s[axis + 1 :] for s in (x.shape, index.shape))))
    shape[axis] = index.shape[axis]
    return Spec(shape, x.dtype)


def _take_along_axis_vjp(g: Tensor, y: Tensor, x: Tensor, index: Tensor, axis: int) -> tuple[Tensor | None, ...]:
    """Scatter by full coordinates: the picked axis by index, the others by their own position."""
    wide = tuple(x.shape[:axis]) + (index.shape[axis],) + tuple(x.shape[axis + 1 :])
    where_to = []
    for i, n in enumerate(g.shape):
        if i == axis:
            position = broadcast_to(index, shape=g.shape) if index.shape != g.shape else index
        else:
            line = iota(size=n, dtype=index.dtype)
            line = reshape(line, shape=tuple(n if j == i else 1 for j in range(len(g.shape))))
            position = broadcast_to(line if wide[i] != 1 or n == 1 else line * 0, shape=g.shape)
        where_to.append(reshape(position, shape=(size_of(g.shape), 1)))
    zeros = full(shape=x.shape, value=0, dtype=g.dtype)
    return scatter_add(zeros, concat(*where_to, axis=1), reshape(g, shape=(size_of(g.shape),))), None


take_along_axis = Op(
    "take_along_axis",
    _take_along_axis_spec,
    _take_along_axis_vjp,
    keep="1",
    traits=Traits(selects=True, flops=free, batch=shifted("axis")),
)


def _scatter_spec(x: Spec, index: Spec, updates: Spec) -> Spec:
    check_index("scatter", index)
    k = index.shape[-1]
    expected = index.shape[:-1] + x.shape[k:]
    if len(updates.shape) != len(expected) or any(not same_size(a, b) for a, b in zip(updates.shape, expected)):
        raise ValueError(
            f"scatter: updates of shape {show(updates.shape)} do not fit: indices of shape {show(index.shape)} into shape "
            f"{show(x.shape)} need updates of shape {show(expected)}."
        )
    return x


def gather_nd(x: Tensor, index: Tensor) -> Tensor:
    """x[index[..., 0], index[..., 1], ...]: the slices at the coordinates in the last axis of index."""
    k = index.shape[-1]
    lead = x.shape[:k]
    flat = full(shape=index.shape[:-1], value=0, dtype=index.dtype)
    for i, n in enumerate(lead):
        column = slice_along(index, index.ndim - 1, i, i + 1)
        flat = flat * n + reshape(column, shape=index.shape[:-1])
    return take(reshape(x, shape=(size_of(lead), *x.shape[k:])), flat, axis=0)


def _scatter_each(op: Op, args: Sequence[Any], has: Sequence[bool], size: Size, params: dict[str, Any]) -> Tensor | None:
    """The leading axis is one more coordinate."""
    if not all(has):
        return None
    x, index, updates = args
    line = reshape(iota(size=size, dtype=index.dtype), shape=(size, *(1,) * (index.ndim - 1)))
    line = broadcast_to(line, shape=(*index.shape[:-1], 1))
    return op(x, concat(line, index, axis=index.ndim - 1), updates, **params)


# index (..., k): coordinates of slices x[i0, ..., ik-1]; updates (..., *x.shape[k:]) are combined with what is there, equal
# coordinates one after the other
_combining = Traits(flops=each_update, batch=_scatter_each)
scatter_add = Op(
    "scatter_add",
    _scatter_spec,
    lambda g, y, x, index, updates: (g, None, gather_nd(g, index)),
    keep="1",
    asks_first=True,
    traits=_combining,
)


def _sum_rows_spec(index: Spec, updates: Spec, size: int) -> Spec:
    check_index("sum_rows", index)
    if len(index.shape) != 1 or not updates.shape or not same_size(index.shape[0], updates.shape[0]):
        raise ValueError(
            f"sum_rows: there must be one index for each of the updates, but the shapes are {show(index.shape)} and "
            f"{show(updates.shape)}."
        )
    return Spec((size, *updates.shape[1:]), updates.dtype)


def _sum_rows(index: Tensor, updates: Tensor, size: int) -> Tensor:
    zeros = full(shape=(size, *updates.shape[1:]), value=0, dtype=updates.dtype)
    return scatter_add(zeros, reshape(index, shape=(*index.shape, 1)), updates)


# index (n,), updates (n, ...) -> (size, ...), whose row i is the sum of the updates with index i: a scatter_add into zeros
sum_rows = Op(
    "sum_rows",
    _sum_rows_spec,
    lambda g, y, index, updates, size: (None, take(g, index, axis=0)),
    keep="0",
    fallback=_sum_rows,
    traits=Traits(flops=each_update),
)


def _scatter_mul_vjp(g: Tensor, y: Tensor, x: Tensor, index: Tensor, updates: Tensor) -> tuple[Tensor | None, ...]:
    """By division, so a factor of zero gets no gradient of its own."""
    gy = g * y
    safe_x, safe_updates = (_no_zero(t) for t in (x, updates))
    return gy / safe_x, None, gather_nd(gy, index) / safe_updates


def _no_zero(x: Tensor) -> Tensor:
    return x + el.cast(el.equal(x, 0), dtype=x.dtype)


def _scatter_extreme_vjp(g: Tensor, y: Tensor, x: Tensor, index: Tensor, updates: Tensor) -> tuple[Tensor | None, ...]:
    """In equal shares to all that attain the extreme."""
    mine = el.cast(el.equal(x, y), dtype=g.dtype)
    theirs = el.cast(el.equal(updates, gather_nd(y, index)), dtype=g.dtype)
    share = g / scatter_add(mine, index, theirs)
    return share * mine, None, gather_nd(share, index) * theirs


scatter_mul = Op("scatter_mul", _scatter_spec, _scatter_mul_vjp, asks_first=True, traits=_combining)
scatter_max = Op("scatter_max", _scatter_spec, _scatter_extreme_vjp, asks_first=True, traits=_combining)
scatter_min = Op("scatter_min", _scatter_spec, _scatter_extreme_vjp, asks_first=True, traits=_combining)


def _scatter_set_vjp(g: Tensor, y: Tensor, x: Tensor, index: Tensor, updates: Tensor) -> tuple[Tensor | None, ...]:
    zeros = full(shape=updates.shape, value=0, dtype=g.dtype)
    return scatter_set(g, index, zeros), None, gather_nd(g, index)


# of equal coordinates the last one wins
scatter_set = Op(
    "scatter_set", _scatter_spec, _scatter_set_vjp, keep="1", asks_first=True, traits=Traits(flops=free, batch=_scatter_each)
)
