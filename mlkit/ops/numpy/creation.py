"""Tensors from shapes and ranges. The default dtype is the default float type, as in Keras."""

import math
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Dim, ceil_div, is_known, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, ShapeLike, TensorLike
from mlkit.objects.variable import Variable
from mlkit.ops.numpy.shaping import broadcast_to, moveaxis, reshape
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives.convert import as_shape, as_tensor, cast, convert_to_tensor, promote_tensors, require_real

__all__ = [
    "arange", "array", "copy", "empty", "empty_like", "full", "full_like", "geomspace", "linspace", "logspace", "ones",
    "ones_like", "zeros", "zeros_like",
]  # fmt: skip


def _filled(name: str, shape: ShapeLike, value: float, dtype: DType | None) -> Tensor:
    dtype = dtypes.standardize_dtype(dtype)
    return mov.full(shape=as_shape(name, shape), value=dtypes.as_number(value, dtype), dtype=dtype)


def zeros(shape: ShapeLike, dtype: DType | None = None) -> Tensor:
    """All zeros.

    Args:
        shape: of the result.
    """
    return _filled("zeros", shape, 0, dtype)


def ones(shape: ShapeLike, dtype: DType | None = None) -> Tensor:
    """All ones.

    Args:
        shape: of the result.
    """
    return _filled("ones", shape, 1, dtype)


def empty(shape: ShapeLike, dtype: DType | None = None) -> Tensor:
    """A tensor to be filled; its elements are zero.

    Args:
        shape: of the result.
    """
    return _filled("empty", shape, 0, dtype)


def full(shape: ShapeLike, fill_value: TensorLike, dtype: DType | None = None) -> Tensor:
    """The same number everywhere, or a tensor broadcast to the shape.

    Args:
        shape: of the result.
        fill_value: the value, or what broadcasts to the shape.
    """
    if type(fill_value) is complex and dtype is None:
        dtype = dtypes.result_type(dtypes.standardize_dtype(None), complex)
    if type(fill_value) in (bool, int, float, complex):
        return _filled("full", shape, fill_value, dtype)
    return broadcast_to(cast(fill_value, dtypes.standardize_dtype(dtype)), as_shape("full", shape))


def _like(x: TensorLike, value: TensorLike, dtype: DType | None) -> Tensor:
    x = as_tensor(x)
    return mov.full(shape=x.shape, value=value, dtype=x.dtype if dtype is None else dtypes.standardize_dtype(dtype))


def zeros_like(x: TensorLike, dtype: DType | None = None) -> Tensor:
    """Zeros in the shape (and dtype, unless another is given) of x."""
    return _like(x, 0, dtype)


def ones_like(x: TensorLike, dtype: DType | None = None) -> Tensor:
    """Ones in the shape (and dtype, unless another is given) of x."""
    return _like(x, 1, dtype)


def empty_like(x: TensorLike, dtype: DType | None = None) -> Tensor:
    """A tensor to be filled, in the shape and dtype of x; its elements are zero."""
    return _like(x, 0, dtype)


def full_like(x: TensorLike, fill_value: TensorLike, dtype: DType | None = None) -> Tensor:
    """The same number everywhere in the shape (and dtype, unless another is given) of x.

    Args:
        fill_value: the value.
    """
    x = as_tensor(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype)


def array(x: TensorLike, dtype: DType | None = None) -> Tensor:
    """A tensor from anything: `convert_to_tensor`.

    It has the shape of what is given.
    """
    return convert_to_tensor(x, dtype)


def copy(x: TensorLike) -> Tensor:
    """A tensor of the same elements."""
    return as_tensor(x)  # tensors never change


# ---- ranges ----------------------------------------------------------------------------------------------------------


def arange(
    start: TensorLike, stop: TensorLike | None = None, step: TensorLike | None = None, dtype: DType | None = None
) -> Tensor:
    """start, start + step, ... up to but without stop. With one argument that is stop, and start is 0.

    Args:
        start: first value; alone given, it is the end, and the start is 0.
        stop: end, which is not reached.
        step: distance of the values.

    The result is a vector.

    >>> arange(3, 10, 3).numpy()
    array([3, 6, 9], dtype=int32)
    """
    start, stop, step = (_number(a) for a in (start, stop, step))
    if start is None or isinstance(start, str) or any(isinstance(a, str) for a in (stop, step)):
        raise TypeError(f"arange: limits and step must be numbers, but are {start!r}, {stop!r} and {step!r}.")
    if dtype is None:
        dtype = dtypes.result_type(*(d for d in map(_kind, (start, stop, step)) if d is not None))
    dtype = dtypes.standardize_dtype(dtype)
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if is_known(start, stop, step):
        if step == 0 or not all(n - n == 0 for n in (start, stop, step)):  # inf - inf is no number
            raise ValueError(f"arange: limits must be finite and the step not 0, but got {start}, {stop} and step {step}.")
        if abs(stop - start) / abs(step) > _MOST:
            raise MemoryError(f"arange: there is no memory for the numbers from {start} to {stop} by {step}.")
        values = np.arange(start, stop, step)
        _require(dtype, *values[:1].tolist(), *values[-1:].tolist())
        return as_tensor(values.astype(dtypes.as_numpy(dtype)))
    steps = mov.iota(size=ceil_div(stop - start, step), dtype=dtype)
    return steps if (start, step) == (0, 1) else el.add(el.mul(steps, step), start)


_MOST = 1 << 40  # numbers of a range: more than fit in any memory


def _require(dtype: str, *ends: Any) -> None:
    """Raise unless a dtype holds what a range lies between. Ends that are tensors, and None for no dtype, pass."""
    for end in ends if dtype is not None else ():
        if isinstance(end, (int, float)):
            dtypes.as_number(end, dtypes.standardize_dtype(dtype))


def _number(a: Any) -> Any:
    """A limit of a range as a Python or NumPy number, or an unknown size."""
    if isinstance(a, (Tensor, Variable)):
        return as_tensor(a).numpy()[()]
    return a[()] if isinstance(a, np.ndarray) else a


def _kind(a: Any) -> Any:
    if a is None:
        return None
    return int if type(a) is Dim else a.dtype.name if isinstance(a, np.generic) else type(a)


def linspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DType | None = None,
    axis: int = 0,
) -> Tensor | tuple[Tensor, Tensor]:
    """`num` evenly spaced numbers from start to stop, which is the last one if `endpoint`.

    start and stop may be tensors; the numbers lie along a new axis of the result.

    Args:
        retstep: also return the step.
        start, stop: numbers or tensors, whose shapes broadcast.
        num: how many numbers.
        endpoint: whether the last one is `stop`.

    >>> linspace(0, 1, 5).numpy()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    num = whole("linspace", "`num`", num, least=0)
    gaps = num - 1 if endpoint else num
    if gaps and isinstance(start, (int, float)) and isinstance(stop, (int, float)):
        _require(dtype, start, stop if endpoint else start + (stop - start) * (num - 1) / gaps)
    start, stop = promote_tensors(start, stop, floating=True)
    shape = (num,) + (1,) * (len(start.shape) if len(start.shape) > len(stop.shape) else len(stop.shape))
    at = reshape(mov.iota(size=num, dtype=start.dtype), shape)
    step = el.div(el.sub(stop, start), gaps if gaps else math.nan)
    out = el.add(el.mul(el.sub(1, el.div(at, gaps or 1)), start), el.mul(el.div(at, gaps or 1), stop))
    if endpoint and num > 1:
        out = el.where(el.equal(at, num - 1), stop, out)  # exactly, whatever rounding does
    if dtype is not None and dtypes.is_int(dtype):
        out = el.floor(out)
    out = moveaxis(out, 0, axis)
    out = out if dtype is None else cast(out, dtype)
    return (out, step) if retstep else out


def logspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: DType | None = None,
    axis: int = 0,
) -> Tensor:
    """`num` numbers from base**start to base**stop, evenly spaced on a logarithmic scale.

    Args:
        start, stop: exponents, numbers or tensors.
        num: how many numbers.
        endpoint: whether the last one is `stop`'s power.
        base: of the powers.
    """
    num = whole("logspace", "`num`", num, least=0)
    if all(isinstance(n, (int, float)) for n in (start, stop, base)):
        _require(dtype, *(_power(base, n) for n in (start, stop)[: 1 + bool(endpoint)]))
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    out = el.pow_(float(base) if isinstance(base, (int, float)) else cast(base, exponents.dtype), exponents)
    return out if dtype is None else cast(out, dtype)


def _power(base: float, exponent: Any) -> float:
    try:
        return float(base) ** exponent
    except OverflowError:
        return math.inf


def geomspace(
    start: TensorLike, stop: TensorLike, num: int = 50, endpoint: bool = True, dtype: DType | None = None, axis: int = 0
) -> Tensor:
    """`num` numbers from start to stop with a constant ratio. Both must have the same sign.

    Args:
        start, stop: numbers or tensors, whose shapes broadcast.
        num: how many numbers.
        endpoint: whether the last one is `stop`.

    >>> geomspace(1.0, 8.0, 4).numpy().round(4)
    array([1., 2., 4., 8.], dtype=float32)
    """
    num = whole("geomspace", "`num`", num, least=0)
    _require(dtype, *(start, stop)[: 1 + bool(endpoint)])
    start, stop = promote_tensors(start, stop, floating=True)
    require_real("geomspace", start)
    log_start, log_stop = (el.log(el.abs_(x)) for x in (start, stop))
    grown = el.exp(linspace(log_start, log_stop, num, endpoint))
    at = reshape(mov.iota(size=num, dtype="int32"), (num,) + (1,) * (len(grown.shape) - 1))
    out = el.where(el.equal(at, 0), start, el.mul(grown, el.sign(start)))
    if endpoint and num > 1:
        out = el.where(el.equal(at, num - 1), stop, out)
    out = moveaxis(out, 0, axis)
    return out if dtype is None else cast(out, dtype)
