"""Class numbers as vectors of zeros and ones, and complex numbers from their polar form."""

from typing import Any

from mlkit.core import dtypes
from mlkit.core.spec import normalize_axis, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, DType, TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, cast, promote_tensors, require_real, to_single
from mlkit.primitives.movement import iota
from mlkit.primitives.reduction import max_
from mlkit.primitives.shape import reshape

__all__ = ["multi_hot", "one_hot", "polar"]


def one_hot(x: TensorLike, num_classes: int, axis: Axis = -1, dtype: DType | None = None, sparse: bool = False) -> Tensor:
    """Each class number as a vector with a 1 in that place; a number that is no class gives zeros.

    Args:
        x: integers.
        axis: where the new axis of size num_classes is put.
        dtype: by default floatx.
        num_classes: size of the new axis.

    >>> one_hot([2, 0], 3).numpy()
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if sparse:
        raise NotImplementedError("one_hot: `sparse=True` is not supported.")
    x, num_classes = as_tensor(x), whole("one_hot", "`num_classes`", num_classes, least=0)
    axis = normalize_axis("one_hot", axis, x.ndim + 1)
    classes = iota(size=num_classes, dtype="int32" if x.dtype == "bool" or x.dtype in dtypes.NARROW else x.dtype)
    classes = reshape(classes, shape=tuple(num_classes if i == axis else 1 for i in range(x.ndim + 1)))
    column = reshape(cast(x, classes.dtype), shape=(*x.shape[:axis], 1, *x.shape[axis:]))
    return cast(el.equal(column, classes), dtypes.standardize_dtype(dtype))


def multi_hot(
    inputs: TensorLike,
    num_classes: int | None = None,
    axis: Axis = -1,
    dtype: DType | None = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """Several class numbers as one vector with a 1 in each of those places.

    Args:
        inputs: integers (..., labels), or (labels,).
        axis: where the axis of size num_classes is put.
        dtype: by default floatx.
        num_classes: size of the vectors.

    >>> multi_hot([[0, 2], [1, 1]], 3).numpy()
    array([[1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    num_classes = kwargs.pop("num_tokens", num_classes)
    if kwargs:
        raise TypeError(f"multi_hot: unknown arguments {sorted(kwargs)}.")
    if num_classes is None:
        raise ValueError("multi_hot: `num_classes` must be given.")
    if sparse:
        raise NotImplementedError("multi_hot: `sparse=True` is not supported.")
    x, num_classes = cast(inputs, "int32"), whole("multi_hot", "`num_classes`", num_classes, least=0)
    hot = one_hot(x, num_classes, axis=axis, dtype=dtype)
    return max_(hot, axes=(1 if x.ndim > 1 else 0,), keepdims=False)


def polar(abs_: TensorLike, angle: TensorLike) -> Tensor:
    """Complex numbers of these absolute values and angles (radians).

    Args:
        abs_: absolute values, a float tensor.
        angle: in radians; shapes broadcast.

    >>> abs(complex(polar(2.0, 0.0)))
    2.0
    """
    radius, angle = (to_single(x) for x in promote_tensors(abs_, angle, floating=True))
    require_real("polar", radius)
    return el.complex_(radius * el.cos(angle), radius * el.sin(angle))
