"""Products of vectors, matrices and tensors, all by way of `matmul`."""

from typing import Any

from mlkit.core.spec import normalize_axis, require_elements, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, Structure, TensorLike
from mlkit.ops.numpy.shaping import expand_dims, moveaxis, permuted, ravel, reshape
from mlkit.primitives import elementwise as el
from mlkit.primitives import linear
from mlkit.primitives import movement as mov
from mlkit.primitives.convert import as_tensor, promote_tensors

__all__ = ["correlate", "cross", "dot", "inner", "kron", "matmul", "outer", "tensordot", "vdot"]


def factors(x1: TensorLike, x2: TensorLike) -> list[Tensor]:
    """Operands of a product in one dtype; products of int8 are summed as int32."""
    x1, x2 = promote_tensors(x1, x2)
    return [el.cast(x, dtype="int32") for x in (x1, x2)] if x1.dtype == "int8" else [x1, x2]


def matmul(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The matrix product over the last two axes; leading axes broadcast, a vector counts as one row or column.

    >>> matmul([[1, 2], [3, 4]], [1, 1]).numpy()
    array([3, 7], dtype=int32)
    """
    x1, x2 = factors(x1, x2)
    if not x1.shape or not x2.shape:
        raise ValueError(
            f"matmul: scalars cannot be multiplied as matrices (shapes {show(x1.shape)} and {show(x2.shape)}). Use multiply."
        )
    row, column = len(x1.shape) == 1, len(x2.shape) == 1
    if not row and not column:
        return linear.matmul(x1, x2)
    out = linear.matmul(expand_dims(x1, 0) if row else x1, expand_dims(x2, 1) if column else x2)
    shape = out.shape[: -2 if row or column else None]
    kept = () if row and column else (out.shape[-1],) if row else (out.shape[-2],)
    return reshape(out, (*shape, *kept))


def dot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The sum of products over the last axis of x1 and the last but one (of vectors the only one) of x2; scalars multiply."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if not x1.shape or not x2.shape:
        return el.mul(*factors(x1, x2))
    return tensordot(x1, x2, axes=([-1], [-1 if len(x2.shape) == 1 else -2]))


def inner(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The sum of products over the last axes of both; scalars multiply."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if not x1.shape or not x2.shape:
        return el.mul(*factors(x1, x2))
    return tensordot(x1, x2, axes=([-1], [-1]))


def outer(x1: TensorLike, x2: TensorLike) -> Tensor:
    """All products of an element of x1 and one of x2, both flat: a matrix.

    >>> outer([1, 2], [3, 4]).numpy()
    array([[3, 4],
           [6, 8]], dtype=int32)
    """
    x1, x2 = promote_tensors(x1, x2)
    return el.mul(expand_dims(ravel(x1), 1), ravel(x2))


def vdot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The scalar product of both flat, with the conjugate of x1."""
    x1, x2 = (ravel(x) for x in factors(x1, x2))
    return dot(el.conj(x1) if x1.dtype.startswith("complex") else x1, x2)


def tensordot(x1: TensorLike, x2: TensorLike, axes: Structure = 2) -> Tensor:
    """The sum of products over axes of both.

    Args:
        axes: a number n (the last n of x1 with the first n of x2), or a pair: axes of x1, axes of x2 (ints or lists).
    """
    x1, x2 = factors(x1, x2)
    left, right = _paired_axes(axes, len(x1.shape), len(x2.shape))
    if len(left) != len(right) or any(not same_size(x1.shape[a], x2.shape[b]) for a, b in zip(left, right)):
        raise ValueError(
            f"tensordot: axes {left} of shape {show(x1.shape)} and axes {right} of shape {show(x2.shape)} must be as many "
            "and of equal sizes."
        )
    rows = [i for i in range(len(x1.shape)) if i not in left]
    columns = [i for i in range(len(x2.shape)) if i not in right]
    row_sizes, column_sizes = [x1.shape[i] for i in rows], [x2.shape[i] for i in columns]
    depth = size_of([x1.shape[i] for i in left])
    a = reshape(permuted(x1, (*rows, *left)), (size_of(row_sizes), depth))
    b = reshape(permuted(x2, (*right, *columns)), (depth, size_of(column_sizes)))
    return reshape(linear.matmul(a, b), (*row_sizes, *column_sizes))


def _paired_axes(axes: Any, rank1: int, rank2: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, int):
        if not 0 <= axes <= rank1 or axes > rank2:
            raise ValueError(f"tensordot: {axes} axes cannot be summed over in tensors of {rank1} and {rank2} axes.")
        return tuple(range(rank1 - axes, rank1)), tuple(range(axes))
    pairs = [(a,) if isinstance(a, int) else tuple(a) for a in axes]
    return tuple(tuple(normalize_axis("tensordot", a, n) for a in side) for side, n in zip(pairs, (rank1, rank2)))


def kron(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The Kronecker product: every element of x1 replaced by its product with x2.

    >>> kron([1, 10], [1, 2]).numpy()
    array([ 1,  2, 10, 20], dtype=int32)
    """
    x1, x2 = promote_tensors(x1, x2)
    rank = len(x1.shape) if len(x1.shape) > len(x2.shape) else len(x2.shape)
    s1, s2 = ((1,) * (rank - len(x.shape)) + tuple(x.shape) for x in (x1, x2))
    a = reshape(x1, [n for s in s1 for n in (s, 1)])
    b = reshape(x2, [n for s in s2 for n in (1, s)])
    return reshape(el.mul(a, b), [n * m for n, m in zip(s1, s2)])


def cross(x1: TensorLike, x2: TensorLike, axisa: Axis = -1, axisb: Axis = -1, axisc: Axis = -1, axis: Axis = None) -> Tensor:
    """The vector product of vectors of 3 (or 2, with third component 0) elements along an axis of each.

    Of two vectors of 2 elements only the third component, without an axis for it.

    Args:
        axisa, axisb: the axis of x1, and of x2, along which their vectors lie.
        axisc: that of the result's.
        axis: one for all three, in their place.

    >>> cross([1, 0, 0], [0, 1, 0]).numpy()
    array([0, 0, 1], dtype=int32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x1, x2 = promote_tensors(x1, x2)
    x1, x2 = moveaxis(x1, axisa, -1), moveaxis(x2, axisb, -1)
    sizes = x1.shape[-1], x2.shape[-1]
    if any(n not in (2, 3) for n in sizes if isinstance(n, int)):
        raise ValueError(f"cross: the vectors must have 2 or 3 elements, but have {sizes[0]} and {sizes[1]}.")
    (a0, a1, a2), (b0, b1, b2) = _components(x1), _components(x2)
    third = el.sub(el.mul(a0, b1), el.mul(a1, b0))
    if sizes == (2, 2):
        return third
    first = el.sub(_times(a1, b2, third), _times(a2, b1, third))
    second = el.sub(_times(a2, b0, third), _times(a0, b2, third))
    return moveaxis(mov.concat(*(expand_dims(c, -1) for c in (first, second, third)), axis=len(third.shape)), -1, axisc)


def _components(x: Tensor) -> list[Tensor]:
    n = len(x.shape) - 1
    return [reshape(mov.slice_along(x, n, i, i + 1), x.shape[:-1]) if x.shape[-1] != 2 or i < 2 else None for i in range(3)]


def _times(a: Tensor, b: Tensor, like: Tensor) -> Tensor:
    return el.mul(like, 0) if a is None or b is None else el.mul(a, b)


def correlate(x1: TensorLike, x2: TensorLike, mode: str = "valid") -> Tensor:
    """The cross-correlation of two vectors: sums of products of x1 with x2 at every shift.

    Args:
        mode: "valid" (shifts at which they overlap fully), "same" (as many as the longer has elements), "full" (all that
            overlap).

    >>> correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5]).numpy()
    array([3.5], dtype=float32)
    """
    x1, x2 = promote_tensors(x1, x2, floating=True)
    if len(x1.shape) != 1 or len(x2.shape) != 1:
        raise ValueError(f"correlate: both must be vectors, but have shapes {show(x1.shape)} and {show(x2.shape)}.")
    for x in (x1, x2):
        require_elements("correlate", x.shape, (0,))
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: `mode` must be 'valid', 'same' or 'full', but is {mode!r}.")
    if x2.dtype.startswith("complex"):
        x2 = el.conj(x2)
    n, m = x1.shape[0], x2.shape[0]
    if n < m:
        return mov.flip(correlate(x2, x1, mode), axes=(0,))
    before, after = {"valid": (0, 0), "same": (m // 2, m - 1 - m // 2), "full": (m - 1, m - 1)}[mode]
    padded = mov.pad(x1, value=0, low=(before,), high=(after,), interior=(0,))
    count = n + before + after - m + 1
    start = reshape(mov.iota(size=count, dtype="int32"), (count, 1))
    windows = mov.take(padded, el.add(start, mov.iota(size=m, dtype="int32")), axis=0)
    return matmul(windows, x2)
