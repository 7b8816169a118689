"""Operations on the bits of integers; on truth values they are the logical ones.

A KerasTensor may be of floats, the dtype of an Input for which none is given: Keras builds the model and refuses the numbers
that come, and so it is here.
"""

from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, TensorLike
from mlkit.objects.keras_tensor import symbolic
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, dtype_of, pair

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "left_shift", "right_shift", "view",
]  # fmt: skip


def _alike(x: TensorLike, y: TensorLike) -> Sequence[Any]:
    return el.maximum(*pair(x, y))


@symbolic(_alike)
def bitwise_and(x: TensorLike, y: TensorLike) -> Tensor:
    """The bits that are set in both.

    Args:
        y: tensor of shifts or numbers, of integers; shapes broadcast.
    """
    return el.and_(*pair(x, y))


@symbolic(_alike)
def bitwise_or(x: TensorLike, y: TensorLike) -> Tensor:
    """The bits that are set in either.

    Args:
        y: tensor of shifts or numbers, of integers; shapes broadcast.
    """
    return el.or_(*pair(x, y))


@symbolic(_alike)
def bitwise_xor(x: TensorLike, y: TensorLike) -> Tensor:
    """The bits that are set in one only.

    Args:
        y: tensor of shifts or numbers, of integers; shapes broadcast.
    """
    return el.xor(*pair(x, y))


@symbolic(as_tensor)
def bitwise_invert(x: TensorLike) -> Tensor:
    """Every bit turned over.

    >>> bitwise_invert([0, 5]).numpy()
    array([-1, -6], dtype=int32)
    """
    return el.not_(as_tensor(x))


@symbolic(as_tensor)
def bitwise_not(x: TensorLike) -> Tensor:
    """`bitwise_invert`."""
    return bitwise_invert(x)


def _shift(x: TensorLike, y: TensorLike) -> Sequence[Any]:
    x, y = pair(x, y)
    if dtype_of(x, y) == "bool":
        x, y = (el.cast(as_tensor(t), dtype="int32") for t in (x, y))
    return x, y


def _shifted(x: TensorLike, y: TensorLike) -> Any:
    return el.maximum(*_shift(x, y))


@symbolic(_shifted)
def bitwise_left_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """The bits of x moved y places to the left: x * 2**y.

    Args:
        y: tensor of shifts or numbers, of integers; shapes broadcast.
    """
    return el.left_shift(*_shift(x, y))


@symbolic(_shifted)
def left_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """`bitwise_left_shift`.

    Args:
        y: tensor of shifts or numbers, of integers; shapes broadcast.
    """
    return bitwise_left_shift(x, y)


@symbolic(_shifted)
def bitwise_right_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """The bits of x moved y places to the right: x // 2**y.

    Args:
        y: tensor of shifts or numbers, of integers; shapes broadcast.
    """
    return el.right_shift(*_shift(x, y))


@symbolic(_shifted)
def right_shift(x: TensorLike, y: TensorLike) -> Tensor:
    """`bitwise_right_shift`.

    Args:
        y: tensor of shifts or numbers, of integers; shapes broadcast.
    """
    return bitwise_right_shift(x, y)


def view(x: TensorLike, dtype: DType | None = None) -> Tensor:
    """The same bytes read as another dtype. Where its width differs, the last axis shrinks or grows.

    >>> view([1.0], "int32").numpy()
    array([1065353216], dtype=int32)
    """
    x = as_tensor(x)
    dtype = dtypes.standardize_dtype(x.dtype if dtype is None else dtype)
    return x if dtype == x.dtype else el.bitcast(x, dtype=dtype)
