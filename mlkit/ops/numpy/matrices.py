"""Identity, triangles and diagonals: masks made by comparing the numbers of rows and columns."""

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Dim, Size, is_known, normalize_axis, show, size_of, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, TensorLike
from mlkit.ops.numpy.reductions import sum as sum_over
from mlkit.ops.numpy.shaping import broadcast_to, moveaxis, ravel, reshape
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives.convert import as_tensor, cast
from mlkit.primitives.reduction import size_operand

__all__ = ["diag", "diagflat", "diagonal", "eye", "identity", "trace", "tri", "tril", "triu", "vander"]


_FAR = 1 << 30  # a diagonal that lies outside of every matrix


def _band(name: str, rows: Size, columns: Size, compare: Op, k: int) -> Tensor:
    """compare(column - k, row) for every place of a matrix, as truth values."""
    row = reshape(mov.iota(size=rows, dtype="int32"), (rows, 1))
    column = mov.iota(size=columns, dtype="int32")
    if type(k) is not Dim:
        k = max(-_FAR, min(whole(name, "the diagonal `k`", k), _FAR))
    return compare(el.sub(column, k) if k else column, row)


def eye(N: int, M: int | None = None, k: int = 0, dtype: DType | None = None) -> Tensor:
    """N x M (default N) with ones on the k-th diagonal, zeros elsewhere.

    Args:
        N, M: rows and columns; M is N by default.
        k: the diagonal: 0 is the main one, positive ones lie above it.

    >>> eye(2, 3, k=1).numpy()
    array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    return _new("eye", N, M, el.equal, k, dtype)


def identity(n: int, dtype: DType | None = None) -> Tensor:
    """The n x n identity matrix.

    Args:
        n: rows and columns.
    """
    return _new("identity", n, None, el.equal, 0, dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: DType | None = None) -> Tensor:
    """N x M (default N) with ones on and below the k-th diagonal, zeros above.

    Args:
        N, M: rows and columns; M is N by default.
        k: the diagonal: 0 is the main one, positive ones lie above it.
    """
    return _new("tri", N, M, el.less_equal, k, dtype)


def _new(name: str, rows: int, columns: int | None, compare: Op, k: int, dtype: DType | None) -> Tensor:
    """The band as a new matrix."""
    rows = whole(name, "the number of rows", rows, least=0)
    columns = rows if columns is None else whole(name, "the number of columns", columns, least=0)
    return cast(_band(name, rows, columns, compare, k), dtypes.standardize_dtype(dtype))


def tril(x: TensorLike, k: int = 0) -> Tensor:
    """Matrices (the last two axes) with zeros above the k-th diagonal.

    Args:
        k: the diagonal: 0 is the main one, positive ones lie above it.
    """
    return _triangle("tril", as_tensor(x), k, keep_lower=True)


def triu(x: TensorLike, k: int = 0) -> Tensor:
    """Matrices (the last two axes) with zeros below the k-th diagonal.

    Args:
        k: the diagonal: 0 is the main one, positive ones lie above it.
    """
    return _triangle("triu", as_tensor(x), whole("triu", "the diagonal `k`", k) - 1, keep_lower=False)


def _triangle(name: str, x: Tensor, k: int, keep_lower: bool) -> Tensor:
    if len(x.shape) < 2:
        raise ValueError(f"{name}: the tensor needs two axes or more, but has shape {show(x.shape)}.")
    lower = _band(name, *x.shape[-2:], el.less_equal, k)
    return el.where(lower, x, _zero(x)) if keep_lower else el.where(lower, _zero(x), x)


def _zero(x: Tensor) -> float:
    return False if x.dtype == "bool" else 0


def diag(x: TensorLike, k: int = 0) -> Tensor:
    """Of a vector the matrix with it on the k-th diagonal; of a matrix its k-th diagonal.

    Args:
        k: the diagonal: 0 is the main one, positive ones lie above it.

    >>> diag([1, 2]).numpy()
    array([[1, 0],
           [0, 2]], dtype=int32)
    """
    x = as_tensor(x)
    if len(x.shape) == 2:
        return diagonal(x, k)
    if len(x.shape) != 1:
        raise ValueError(f"diag: the tensor must be a vector or a matrix, but has shape {show(x.shape)}.")
    n, k = x.shape[0], whole("diag", "the diagonal `k`", k)
    low, high = (0, k) if k > 0 else (-k, 0)
    padded = mov.pad(x, value=0, low=(low,), high=(high,), interior=(0,))
    size = n + low + high
    return el.where(_band("diag", size, size, el.equal, k), reshape(padded, (size, 1)), _zero(x))


def diagflat(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix with all elements of x on its k-th diagonal.

    Args:
        k: the diagonal: 0 is the main one, positive ones lie above it.
    """
    return diag(ravel(x), k)


def diagonal(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of the matrices in two axes, along a new last axis.

    Args:
        offset: the diagonal: positive ones lie above the main one.
        axis1, axis2: the axes of the matrices.

    >>> diagonal([[1, 2], [3, 4]]).numpy()
    array([1, 4], dtype=int32)
    """
    x = as_tensor(x)
    rank = len(x.shape)
    if rank < 2:
        raise ValueError(f"diagonal: the tensor needs two axes or more, but has shape {show(x.shape)}.")
    a, b = (normalize_axis("diagonal", i, rank) for i in (axis1, axis2))
    if a == b:
        raise ValueError(f"diagonal: `axis1` and `axis2` must be different axes, but both are {a}.")
    x = moveaxis(x, (a, b), (-2, -1))
    rows, columns = x.shape[-2:]
    offset = whole("diagonal", "`offset`", offset)
    if is_known(offset, rows, columns):
        offset = max(-rows, min(offset, columns))  # beyond lies nothing
    skip_row, skip_column = (0, offset) if offset >= 0 else (-offset, 0)
    count = _length(rows - skip_row, columns - skip_column)
    flat = reshape(x, (*x.shape[:-2], size_of((rows, columns))))
    place = el.add(
        el.mul(mov.iota(size=count, dtype="int32"), size_operand(columns + 1, "int32")),
        size_operand(skip_row * columns + skip_column, "int32"),
    )
    return mov.take(flat, place, axis=rank - 2)


def _length(a: int, b: int) -> int:
    """The shorter of two sizes, not below 0."""
    if not is_known(a, b):
        return Dim(made_by=(_length, (a, b)))
    return sorted((0, min(a, b)))[-1]


def trace(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonals of the matrices in two axes.

    Args:
        offset: the diagonal: positive ones lie above the main one.
        axis1, axis2: the axes of the matrices.
    """
    return sum_over(diagonal(x, offset, axis1, axis2), axis=-1)


def vander(x: TensorLike, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements as columns: N of them, from the highest, or from 0 if `increasing`.

    Args:
        N: how many columns, by default as many as elements.
        increasing: whether powers rise from 0.

    >>> vander([1, 2, 3], 3).numpy()
    array([[1, 1, 1],
           [4, 2, 1],
           [9, 3, 1]], dtype=int32)
    """
    x = as_tensor(x)
    if len(x.shape) != 1:
        raise ValueError(f"vander: the tensor must be a vector, but has shape {show(x.shape)}.")
    columns = x.shape[0] if N is None else whole("vander", "`N`", N, least=0)
    powers = mov.iota(size=columns, dtype="int32")
    if not increasing:
        powers = mov.flip(powers, axes=(0,))
    base = cast(x, "int32") if x.dtype == "bool" else x
    return el.pow_(broadcast_to(reshape(base, (x.shape[0], 1)), (x.shape[0], columns)), cast(powers, base.dtype))
