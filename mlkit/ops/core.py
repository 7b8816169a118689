"""What `keras.ops` has about tensors as such: shape and dtype, slices, scatters, casts, gradients stopped and replaced."""

from collections.abc import Callable
from typing import Any

from mlkit.core import dtypes
from mlkit.core.spec import Dim, is_known, normalize_axis, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, ShapeLike, TensorLike
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.ops import gradients
from mlkit.ops.numpy.indexing import positions
from mlkit.ops.numpy.shaping import reshape, squeeze
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives.convert import as_shape, as_tensor, cast, convert_to_numpy, convert_to_tensor, is_tensor, to_integer
from mlkit.primitives.reduction import size_operand

__all__ = [
    "cast", "convert_to_numpy", "convert_to_tensor", "custom_gradient", "dtype", "is_tensor", "saturate_cast", "scatter",
    "scatter_update", "shape", "slice", "slice_update", "stop_gradient", "unstack",
]  # fmt: skip


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function a gradient of its own: `f(*args)` returns (outputs, grad_fn), see `mlkit.custom_gradient`.

    Args:
        f: function of tensors.
    """
    return gradients.custom_gradient(f)


def shape(x: TensorLike) -> tuple[Any, ...]:
    """The shape as a tuple. While a layer is traced it may hold unknown sizes, which can be computed with.

    >>> shape([[1, 2, 3]])
    (1, 3)
    """
    return x.shape if hasattr(x, "shape") else as_tensor(x).shape


def dtype(x: TensorLike) -> str:
    """The name of the dtype.

    >>> dtype([1.0])
    'float32'
    """
    return x.dtype if isinstance(x, KerasTensor) else as_tensor(x).dtype


def saturate_cast(x: TensorLike, dtype: DType) -> Tensor:
    """The tensor in another dtype; what that cannot hold becomes the nearest number it can.

    >>> saturate_cast([-3.0, 300.0], "uint8").numpy()
    array([  0, 255], dtype=uint8)
    """
    x, dtype = as_tensor(x), dtypes.standardize_dtype(dtype)
    if "bool" in (x.dtype, dtype) or x.dtype in dtypes.COMPLEX or dtype in dtypes.COMPLEX:
        return cast(x, dtype)
    if x.dtype == "float16" and dtype not in dtypes.FLOATS:
        x = cast(x, "float32")  # its infinity is beyond limits that float16 cannot name
    low, high = _common_limits(x.dtype, dtype)
    clipped = x
    if low is not None:
        clipped = el.maximum(clipped, low)
    if high is not None:
        clipped = el.minimum(clipped, high)
    result, highest = cast(clipped, dtype), dtypes.limits(dtype)[1]
    return result if high in (None, highest) else el.where(x > high, highest, result)


def _common_limits(source: str, target: str) -> tuple[Any, Any]:
    """The limits of the target that the source can go beyond, as the source can represent them; None where it cannot."""
    (low, high), (target_low, target_high) = dtypes.limits(source), dtypes.limits(target)
    if source in dtypes.FLOATS and target not in dtypes.FLOATS:
        # the largest float not above the limit: 2**31 - 1, say, is rounded up in float32
        bits = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[source]
        spare = max(target_high.bit_length() - bits, 0)
        target_high = target_high >> spare << spare
    return (target_low if target_low > low else None), (target_high if target_high < high else None)


def stop_gradient(variable: TensorLike) -> Tensor:
    """The same values, of which gradients know nothing.

    Args:
        variable: tensor of any shape.

    >>> import mlkit
    >>> x = as_tensor(3.0)
    >>> float(mlkit.grad(lambda x: x * stop_gradient(x))(x))
    3.0
    """
    return el.stop_gradient(as_tensor(variable))


def scatter(indices: TensorLike, values: TensorLike, shape: ShapeLike) -> Tensor:
    """Zeros in which `values` are added at `indices`; equal indices add up.

    Args:
        indices: (..., k) integers, coordinates in the first k axes of `shape`.
        values: (..., *shape[k:]).
        shape: of the result.

    >>> scatter([[0], [2]], [1.0, 5.0], (4,)).numpy()
    array([1., 0., 5., 0.], dtype=float32)
    """
    values = as_tensor(values)
    zeros = mov.full(shape=as_shape("scatter", shape), value=0, dtype=values.dtype)
    return mov.scatter_add(zeros, _coordinates(indices, zeros), values)


_REDUCTIONS = {
    None: mov.scatter_set,
    "add": mov.scatter_add,
    "max": mov.scatter_max,
    "min": mov.scatter_min,
    "mul": mov.scatter_mul,
}


def scatter_update(inputs: TensorLike, indices: TensorLike, updates: TensorLike, reduction: str | None = None) -> Tensor:
    """`inputs` with `updates` at `indices`: in place of the elements there, or combined with them.

    Args:
        indices: (..., k) integers, coordinates in the first k axes.
        updates: (..., *inputs.shape[k:]).
        reduction: None (replace), "add", "max", "min" or "mul".
        inputs: tensor of any shape.

    >>> scatter_update([1, 2, 3], [[1]], [9]).numpy()
    array([1, 9, 3], dtype=int32)
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"scatter_update: unknown `reduction` {reduction!r}. Expected one of {list(_REDUCTIONS)}.")
    inputs = as_tensor(inputs)
    return _REDUCTIONS[reduction](inputs, _coordinates(indices, inputs), cast(updates, inputs.dtype))


def _coordinates(indices: TensorLike, x: Tensor) -> Tensor:
    """Indices with negative ones counted from the end of their axis."""
    indices = to_integer("scatter", indices)
    k = indices.shape[-1]
    if k > len(x.shape):
        raise ValueError(f"scatter: indices of {k} coordinates for a tensor of {len(x.shape)} axes, shape {show(x.shape)}.")
    if k == 1:
        return positions("scatter", indices, x.shape[0])
    last = len(indices.shape) - 1
    return mov.concat(
        *(positions("scatter", mov.slice_along(indices, last, i, i + 1), x.shape[i]) for i in range(k)), axis=last
    )


def slice(inputs: TensorLike, start_indices: TensorLike, shape: ShapeLike) -> Tensor:
    """The part of a tensor of the given shape that starts at `start_indices`, one for each axis. They may be tensors.

    A start too near the end is moved so that the part fits; a size of -1 means up to the end.

    Args:
        inputs: tensor of n axes.
        start_indices: n integers, or a tensor (n,).
        shape: n sizes.

    >>> slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).numpy()
    array([[2, 3],
           [5, 6]], dtype=int32)
    """
    x = as_tensor(inputs)
    starts, sizes = _starts(start_indices, x), as_shape("slice", shape, least=-1)
    for axis, (start, size) in enumerate(zip(starts, sizes)):
        n = x.shape[axis]
        if _is_tensor(start):
            if is_known(size) and size == -1:
                size = n - int(start) if start.is_concrete else Dim()
            last = size_operand(n - size, start.dtype)
            start = el.minimum(el.maximum(start, 0), last)
            x = mov.take(x, el.add(mov.iota(size=size, dtype=start.dtype), start), axis=axis)
            continue
        if is_known(size) and size == -1:
            stop = n
        else:
            if is_known(start) and start < 0:
                raise ValueError(f"slice: the start {start} of axis {axis} is negative. Starts are counted from the beginning.")
            if is_known(n, size, start):
                if size > n:
                    raise ValueError(f"slice: size {size} exceeds axis {axis} of shape {show(x.shape)}.")
                start = sorted((0, start, n - size))[1]
            stop = start + size
        x = mov.slice_along(x, axis, start, stop)
    return x


def slice_update(inputs: TensorLike, start_indices: TensorLike, updates: TensorLike) -> Tensor:
    """A tensor in which the part that starts at `start_indices` (one for each axis; may be tensors) is replaced by `updates`.

    Args:
        inputs: tensor of n axes.
        start_indices: n integers, or a tensor (n,).
        updates: tensor of n axes, not larger than `inputs` along any.

    >>> slice_update([1, 2, 3, 4], [1], [8, 9]).numpy()
    array([1, 8, 9, 4], dtype=int32)
    """
    x = as_tensor(inputs)
    part = cast(updates, x.dtype)
    starts = _starts(start_indices, x)
    if len(part.shape) != len(x.shape):
        raise ValueError(
            f"slice_update: updates of shape {show(part.shape)} must have as many axes as inputs of shape {show(x.shape)}."
        )
    if any(is_known(n, m) and m > n for n, m in zip(x.shape, part.shape)):
        raise ValueError(f"slice_update: updates of shape {show(part.shape)} do not fit into inputs of shape {show(x.shape)}.")
    if any(is_known(m) and m == 0 for m in part.shape):
        return x
    inside = None
    for axis, start in enumerate(starts):
        n, m = x.shape[axis], part.shape[axis]
        if n is m or (is_known(n, m) and n == m):
            continue
        if _is_tensor(start):
            start = el.minimum(el.maximum(start, 0), size_operand(n - m, start.dtype))
        elif is_known(n, m, start):
            start = sorted((0, start, n - m))[1]
        place = el.sub(mov.iota(size=n, dtype=start.dtype if _is_tensor(start) else "int32"), start)
        here = el.and_(el.less_equal(0, place), el.less(place, m))
        here = reshape(here, tuple(n if i == axis else 1 for i in range(len(x.shape))))
        inside = here if inside is None else el.and_(inside, here)
        part = mov.take(part, el.minimum(el.maximum(place, 0), m - 1), axis=axis)
    return part if inside is None else el.where(inside, part, x)


def _is_tensor(start: object) -> bool:
    return not isinstance(start, (int, Dim))


def _starts(start_indices: TensorLike, x: Tensor) -> list[Any]:
    """One start for each axis: an int where it is known, else an integer tensor."""
    if not isinstance(start_indices, (list, tuple)):
        t = to_integer("slice", start_indices)
        if not t.shape:
            raise ValueError("slice: `start_indices` must hold one start for each axis, but is a single number.")
        start_indices = t.numpy().tolist() if t.is_concrete else unstack(t)
    starts = [_start(s) for s in start_indices]
    if len(starts) != len(x.shape):
        raise ValueError(f"slice: {len(starts)} start indices for a tensor of {len(x.shape)} axes, shape {show(x.shape)}.")
    return starts


def _start(s: Any) -> Any:
    if type(s) in (int, Dim):
        return s
    t = to_integer("slice", s)
    return int(t) if t.is_concrete else el.cast(t, dtype="int32") if t.dtype in dtypes.NARROW else t


def unstack(x: TensorLike, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices along an axis, without that axis, as a list. `num` states how many where the size is unknown.

    Args:
        num: the size of the axis, where it is unknown.

    >>> [int(part) for part in unstack([1, 2, 3])]
    [1, 2, 3]
    """
    x = as_tensor(x)
    axis = normalize_axis("unstack", axis, len(x.shape))
    n = x.shape[axis]
    if not is_known(n):
        if num is None:
            raise ValueError(
                f"unstack: axis {axis} of shape {show(x.shape)} is unknown; say with `num` how many slices it has."
            )
        n = num
    elif num is not None and num != n:
        raise ValueError(f"unstack: `num` is {num}, but axis {axis} of shape {show(x.shape)} has size {n}.")
    return [squeeze(mov.slice_along(x, axis, i, i + 1), axis) for i in range(n)]
