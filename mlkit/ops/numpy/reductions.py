"""Sums, products, extremes and truths over axes, and running sums and products along one.

`axis` is None (all axes), an int, or a tuple of ints; negative ones count from the last. `keepdims` leaves reduced axes with
size 1.
"""

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import normalize_axes, normalize_axis, reduced, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, DType, TensorLike
from mlkit.ops.numpy.shaping import broadcast_to
from mlkit.primitives import elementwise as el
from mlkit.primitives import reduction as red
from mlkit.primitives import shape as sh
from mlkit.primitives.convert import as_tensor, cast, to_bool
from mlkit.primitives.movement import full
from mlkit.primitives.shape import reshape

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "cumprod", "cumsum", "max", "mean", "min", "prod", "ptp",
    "sum",
]  # fmt: skip

_WIDER = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def normalized(name: str, axis: Axis, x: Tensor) -> tuple[int, ...]:
    """The axes of x that `axis` means: a sorted tuple of non-negative ints."""
    n = len(x.shape)
    if type(axis) is int and -n <= axis < n:
        return (axis % n,)
    return normalize_axes(name, axis, n)


def widened(x: TensorLike) -> Tensor:
    """Small integers and truth values in the 32-bit type that sums and products of them need."""
    wider = _WIDER.get(x.dtype)
    return x if wider is None else el.cast(x, dtype=wider)


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes. Small integers and truth values are summed as 32-bit integers.

    >>> sum([[1, 2], [3, 4]], axis=0).numpy()
    array([4, 6], dtype=int32)
    """
    x = widened(as_tensor(x))
    return sh.sum_(x, axes=normalized("sum", axis, x), keepdims=bool(keepdims))


def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False, dtype: DType | None = None) -> Tensor:
    """The product over axes, in `dtype` if given. Small integers and truth values become 32-bit integers."""
    x = as_tensor(x)
    x = widened(x) if dtype is None else cast(x, dtype)
    return red.prod(x, axes=normalized("prod", axis, x), keepdims=bool(keepdims))


def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over axes, a float. Half floats are summed in float32.

    >>> float(mean([1, 2, 3, 6]))
    3.0
    """
    x = as_tensor(x)
    result = dtypes.float_of(x.dtype)
    x = cast(x, dtypes.result_type(result, "float32"))
    axes = normalized("mean", axis, x)
    total = sh.sum_(x, axes=axes, keepdims=bool(keepdims))
    return cast(el.div(total, red.size_operand(red.size_along(x, axes), x.dtype)), result)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False, initial: TensorLike | None = None) -> Tensor:
    """The largest element over axes, at least `initial` if given. NaN if any is NaN.

    Args:
        initial: a value that counts too; needed for empty tensors.
    """
    return _extreme("max", red.max_, el.maximum, as_tensor(x), axis, keepdims, initial)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False, initial: TensorLike | None = None) -> Tensor:
    """The smallest element over axes, at most `initial` if given. NaN if any is NaN.

    Args:
        initial: a value that counts too; needed for empty tensors.
    """
    return _extreme("min", red.min_, el.minimum, as_tensor(x), axis, keepdims, initial)


def amax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`max`."""
    return max(x, axis, keepdims)


def amin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`min`."""
    return min(x, axis, keepdims)


def _extreme(
    name: str, reduce: Op, choose: Op, x: TensorLike, axis: Axis, keepdims: bool, initial: TensorLike | None
) -> Tensor:
    axes = normalized(name, axis, x)
    if initial is None:
        return reduce(x, axes=axes, keepdims=bool(keepdims))
    first = cast(initial, x.dtype)
    if red.size_along(x, axes) == 0:
        return broadcast_to(first, reduced(x.shape, axes, keepdims))
    return choose(reduce(x, axes=axes, keepdims=bool(keepdims)), first)


def ptp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element less the smallest, over axes ("peak to peak")."""
    return el.sub(max(x, axis, keepdims), min(x, axis, keepdims))


def all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element over axes is true (not zero); true where there is none."""
    return _truth("all", red.min_, True, to_bool(x), axis, keepdims)


def any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether an element over axes is true (not zero); false where there is none."""
    return _truth("any", red.max_, False, to_bool(x), axis, keepdims)


def _truth(name: str, reduce: Op, empty: bool, x: TensorLike, axis: Axis, keepdims: bool) -> Tensor:
    axes = normalized(name, axis, x)
    if red.size_along(x, axes) == 0:
        return full(shape=reduced(x.shape, axes, keepdims), value=empty, dtype="bool")
    return reduce(x, axes=axes, keepdims=bool(keepdims))


def count_nonzero(x: TensorLike, axis: Axis = None) -> Tensor:
    """The number of elements over axes that are not zero, int32."""
    x = to_bool(x)
    return sh.sum_(el.cast(x, dtype="int32"), axes=normalized("count_nonzero", axis, x), keepdims=False)


def argmax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Where the largest element of an axis lies, int32; the first of several. Without axis: its place in the flat tensor.

    >>> int(argmax([1.0, 5.0, 5.0]))
    1
    """
    return _place("argmax", red.argmax, x, axis, keepdims)


def argmin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element of an axis lies, int32; the first of several. Without axis: its place in the flat tensor."""
    return _place("argmin", red.argmin, x, axis, keepdims)


def _place(name: str, op: Op, x: TensorLike, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if axis is None:
        out = op(reshape(x, shape=(size_of(x.shape),)), axis=0)
        return reshape(out, shape=(1,) * len(x.shape)) if keepdims else out
    axis = normalize_axis(name, axis, len(x.shape))
    out = op(x, axis=axis)
    return reshape(out, shape=reduced(x.shape, (axis,), True)) if keepdims else out


def cumsum(x: TensorLike, axis: Axis = None, dtype: DType | None = None) -> Tensor:
    """Running sums along an axis (of the flat tensor without axis); truth values are summed as int32.

    >>> cumsum([1, 2, 3]).numpy()
    array([1, 3, 6], dtype=int32)
    """
    return _running("cumsum", red.cumsum, x, axis, dtype)


def cumprod(x: TensorLike, axis: Axis = None, dtype: DType | None = None) -> Tensor:
    """Running products along an axis (of the flat tensor without axis); truth values are multiplied as int32."""
    return _running("cumprod", red.cumprod, x, axis, dtype)


def _running(name: str, op: Op, x: TensorLike, axis: Axis, dtype: DType | None) -> Tensor:
    x = as_tensor(x)
    x = cast(x, dtype if dtype is not None else "int32" if x.dtype == "bool" else x.dtype)
    if axis is None:
        x, axis = reshape(x, shape=(size_of(x.shape),)), 0
    axes = normalized(name, axis, x)
    if len(axes) > 1:
        raise ValueError(f"{name}: `axis` must name one axis, but is {axis}.")
    return op(x, axis=axes[0]) if axes else x
