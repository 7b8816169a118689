"""Pooling functions of `keras.ops.nn`."""

from collections.abc import Callable

import numpy as np

from mlkit.core.op import Op
from mlkit.core.spec import is_known, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import IntOrSequence, TensorLike
from mlkit.ops.nn.spatial import check_padding, from_last, is_channels_last, per_axis, spatial_rank, to_last
from mlkit.primitives import elementwise as el
from mlkit.primitives import window
from mlkit.primitives.convert import as_tensor, require_real, to_real
from mlkit.primitives.movement import take
from mlkit.primitives.reduction import max_
from mlkit.primitives.shape import reshape, sum_

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]


def max_pool(
    inputs: TensorLike,
    pool_size: IntOrSequence,
    strides: IntOrSequence | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element of each window, in one to three spatial dimensions.

    Args:
        inputs: (batch, *spatial, channels), for data_format="channels_first" (batch, channels, *spatial).
        pool_size, strides: int, or one per spatial axis; strides default to pool_size.
        padding: "valid" or "same".

    >>> max_pool([[[1.0], [3.0], [2.0], [5.0]]], 2).numpy().ravel()
    array([3., 5.], dtype=float32)
    """
    return _pool("max_pool", window.max_pool, _real("max_pool", inputs), pool_size, strides, padding, data_format)


def average_pool(
    inputs: TensorLike,
    pool_size: IntOrSequence,
    strides: IntOrSequence | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window, in one to three spatial dimensions; cells of the padding are not counted.

    Arguments as for `max_pool`.

    >>> average_pool([[[1.0], [3.0], [2.0]]], 2, padding="same").numpy().ravel()
    array([2., 2.], dtype=float32)
    """
    return _pool("average_pool", window.avg_pool, to_real("average_pool", inputs), pool_size, strides, padding, data_format)


def _real(name: str, x: TensorLike) -> Tensor:
    x = as_tensor(x)
    require_real(name, x)
    return x


def _pool(
    name: str, op: Op, x: Tensor, pool_size: IntOrSequence, strides: IntOrSequence | None, padding: str, data_format: str | None
) -> Tensor:
    rank = spatial_rank(name, x)
    size = per_axis(name, "pool_size", pool_size, rank)
    strides = size if strides is None else per_axis(name, "strides", strides, rank)
    last = is_channels_last(name, data_format)
    return from_last(op(to_last(x, last), window=size, strides=strides, padding=check_padding(name, padding)), last)


def adaptive_average_pool(inputs: TensorLike, output_size: IntOrSequence, data_format: str | None = None) -> Tensor:
    """Mean over windows chosen so that the result has `output_size` cells along each spatial axis.

    Window i of m over n cells holds the cells floor(i n / m) to ceil((i + 1) n / m) - 1.

    Args:
        inputs: (batch, *spatial, channels).
        output_size: int, or one per spatial axis.

    >>> adaptive_average_pool([[[1.0], [3.0], [2.0], [5.0]]], 2).numpy().ravel()
    array([2. , 3.5], dtype=float32)
    """
    return _adaptive(
        "adaptive_average_pool", to_real("adaptive_average_pool", inputs), output_size, data_format, window.avg_pool, _mean
    )


def adaptive_max_pool(inputs: TensorLike, output_size: IntOrSequence, data_format: str | None = None) -> Tensor:
    """Maximum over windows chosen so that the result has `output_size` cells along each spatial axis; see
    `adaptive_average_pool`.

    Args:
        inputs: (batch, *spatial, channels).
        output_size: int, or one per spatial axis.

    >>> adaptive_max_pool([[[1.0], [3.0], [2.0], [5.0]]], 2).numpy().ravel()
    array([3., 5.], dtype=float32)
    """
    return _adaptive(
        "adaptive_max_pool", _real("adaptive_max_pool", inputs), output_size, data_format, window.max_pool, _largest
    )


def _adaptive(
    name: str,
    x: Tensor,
    output_size: IntOrSequence,
    data_format: str | None,
    op: Op,
    reduce: Callable[[Tensor, int, np.ndarray], Tensor],
) -> Tensor:
    rank = spatial_rank(name, x)
    target = per_axis(name, "output_size", output_size, rank)
    last = is_channels_last(name, data_format)
    x = to_last(x, last)
    sizes = x.shape[1:-1]
    if not is_known(*sizes):
        raise ValueError(f"{name}: the spatial sizes must be known, but the shape is {show(x.shape)}.")
    if all(n % m == 0 for n, m in zip(sizes, target)):  # equal windows side by side
        size = tuple(n // m for n, m in zip(sizes, target))
        return from_last(op(x, window=size, strides=size, padding="valid"), last)
    for axis, (n, m) in enumerate(zip(sizes, target), 1):
        x = _along(x, axis, n, m, reduce)
    return from_last(x, last)


def _along(x: Tensor, axis: int, n: int, m: int, reduce: Callable[[Tensor, int, np.ndarray], Tensor]) -> Tensor:
    """One axis from n to m cells: the cells of each window side by side, short windows filled with their last cell."""
    start = np.arange(m) * n // m
    length = -(-(np.arange(1, m + 1) * n) // m) - start
    cell = np.arange(length.max())
    index = start[:, None] + np.minimum(cell, length[:, None] - 1)
    wide = take(x, as_tensor(index.astype("int32")), axis=axis)
    real = (cell < length[:, None]).reshape(m, -1, *(1,) * (x.ndim - axis - 1))
    return reduce(wide, axis + 1, real)


def _largest(wide: Tensor, axis: int, real: np.ndarray) -> Tensor:
    return max_(wide, axes=(axis,), keepdims=False)  # a cell that stands twice does no harm


def _mean(wide: Tensor, axis: int, real: np.ndarray) -> Tensor:
    weights = real / real.sum(axis=1, keepdims=True)
    shape = (*(1,) * (wide.ndim - weights.ndim), *weights.shape)
    weights = reshape(as_tensor(weights.astype("float32")), shape=shape)
    return sum_(el.mul(wide, el.cast(weights, dtype=wide.dtype)), axes=(axis,), keepdims=False)
