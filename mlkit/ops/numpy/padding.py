"""Padding in all of NumPy's modes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Spec, is_known, require_elements, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.objects.variable import Variable
from mlkit.ops.numpy import reductions, statistics
from mlkit.ops.numpy.shaping import broadcast_to, reshape
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives.convert import as_tensor, cast

__all__ = ["pad"]

_BY_INDEX = ("edge", "reflect", "symmetric", "wrap")
_BY_VALUE = ("linear_ramp", "maximum", "mean", "median", "minimum")


def pad(
    x: TensorLike,
    pad_width: int | Sequence[int] | Sequence[Sequence[int]],
    mode: str = "constant",
    constant_values: TensorLike | None = None,
) -> Tensor:
    """x with elements added before and after its axes.

    Args:
        pad_width: ((before, after), ...) for each axis; (before, after) or an int for all.
        mode: "constant" (`constant_values`, default 0), "edge", "reflect", "symmetric", "wrap" or "circular", "linear_ramp"
            (down to 0), "maximum", "mean", "median", "minimum" (of the axis), "empty" (zeros).
        constant_values: of mode "constant", a number; None: 0.

    >>> pad([1, 2], (1, 2)).numpy()
    array([0, 1, 2, 0, 0], dtype=int32)
    """
    x = as_tensor(x)
    mode = {"circular": "wrap", "empty": "constant"}.get(mode, mode)
    widths = _per_axis(pad_width, len(x.shape), "pad_width")
    widths = tuple(tuple(whole("pad", "`pad_width`", n, least=0) for n in pair) for pair in widths)
    if mode == "constant":
        return _constant(x, widths, 0 if constant_values is None else constant_values)
    if constant_values is not None:
        raise ValueError(f"pad: `constant_values` has a meaning only with mode='constant', but the mode is {mode!r}.")
    if mode not in _BY_INDEX + _BY_VALUE:
        raise ValueError(
            f"pad: unknown mode {mode!r}. Expected 'constant', 'empty', 'circular', {str(_BY_INDEX + _BY_VALUE)[1:-1]}."
        )
    for axis, (before, after) in enumerate(widths):
        if (before, after) != (0, 0):
            require_elements("pad", x.shape, (axis,))
            along = _by_index if mode in _BY_INDEX else _by_value
            x = along(x, axis, before, after, mode)
    return x


def _per_axis(given: Any, rank: int, name: str) -> tuple[tuple[Any, Any], ...]:
    """One (before, after) for each axis."""
    if isinstance(given, (Tensor, Variable, np.ndarray)):
        given = np.asarray(given).tolist()
    if not isinstance(given, (list, tuple)):
        return ((given, given),) * rank
    if not any(isinstance(g, (list, tuple)) for g in given):
        if len(given) == 1:
            return ((given[0], given[0]),) * rank
        if len(given) == 2:
            return (tuple(given),) * rank
    elif len(given) == 1:
        given = tuple(given) * rank
    pairs = tuple((tuple(g) * 2)[:2] if isinstance(g, (list, tuple)) else (g, g) for g in given)
    if len(pairs) != rank:
        raise ValueError(f"pad: `{name}` {given} has {len(pairs)} entries for a tensor of {rank} axes.")
    return pairs


def _constant(x: Tensor, widths: Sequence[tuple[int, int]], values: Any) -> Tensor:
    if isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.ndim):
        pairs = _per_axis(values, len(x.shape), "constant_values")
        for axis, ((before, after), (low, high)) in enumerate(zip(widths, pairs)):
            none = ((0, 0),) * len(x.shape)
            x = _constant(x, (*none[:axis], (before, 0), *none[axis + 1 :]), low)
            x = _constant(x, (*none[:axis], (0, after), *none[axis + 1 :]), high)
        return x
    low, high = (tuple(side) for side in zip(*widths)) if widths else ((), ())
    gaps = (0,) * len(widths)
    value = _number(values)
    if value is not None:
        return mov.pad(x, value=dtypes.as_number(value, x.dtype), low=low, high=high, interior=gaps)
    inside = mov.full(shape=x.shape, value=True, dtype="bool")
    inside = mov.pad(inside, value=False, low=low, high=high, interior=gaps)
    return el.where(inside, mov.pad(x, value=0, low=low, high=high, interior=gaps), cast(values, x.dtype))


def _number(value: Any) -> Any:
    """The value as a Python number, None if a symbolic tensor holds it."""
    if isinstance(value, (Tensor, Variable)):
        value = as_tensor(value)
        return value.item() if value.is_concrete and value.node is None else None
    return value.item() if isinstance(value, (np.ndarray, np.generic)) else value


def _by_index(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """Modes that repeat elements of the axis: picked by an index that NumPy itself pads."""
    n = x.shape[axis]
    if not is_known(n, before, after):
        index = Tensor(Spec((n + before + after,), "int32"))
    else:
        index = as_tensor(np.pad(np.arange(n, dtype="int32"), (before, after), mode))
    return mov.take(x, index, axis=axis)


def _by_value(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """Modes that put one computed slice, or a ramp from it, at either end."""
    n = x.shape[axis]
    if mode == "linear_ramp":
        ends = (mov.slice_along(x, axis, 0, 1), mov.slice_along(x, axis, n - 1, n))
    else:
        ends = (_statistic(x, axis, mode),) * 2

    def side(count: int, end: Tensor, rising: bool) -> Tensor:
        if mode == "linear_ramp":
            return _ramp(end, count, axis, rising)
        return broadcast_to(end, (*x.shape[:axis], count, *x.shape[axis + 1 :]))

    return mov.concat(side(before, ends[0], True), x, side(after, ends[1], False), axis=axis)


def _statistic(x: Tensor, axis: int, mode: str) -> Tensor:
    function = dict(maximum=reductions.max, minimum=reductions.min, mean=reductions.mean, median=statistics.median)[mode]
    out = function(x, axis=axis, keepdims=True)
    return out if out.dtype == x.dtype else cast(el.round_(out), x.dtype)


def _ramp(end: Tensor, count: int, axis: int, rising: bool) -> Tensor:
    """`count` steps from 0 to next to the end value (or back)."""
    dtype = dtypes.float_of(end.dtype)
    steps = mov.iota(size=count, dtype=dtype)
    steps = steps if rising else mov.flip(steps, axes=(0,))
    shape = tuple(count if i == axis else 1 for i in range(len(end.shape)))
    out = el.mul(reshape(steps, shape), el.div(cast(end, dtype), count or 1))
    return cast(out if end.dtype in el.FLOATING else el.floor(out), end.dtype)
