"""What all of linear algebra is written with: checks of matrix shapes, triangles, adjoints."""

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Size, Spec, is_known, show
from mlkit.core.tensor import Tensor
from mlkit.primitives import elementwise as el
from mlkit.primitives.linear import swap
from mlkit.primitives.movement import iota
from mlkit.primitives.shape import reshape


def check_matrix(name: str, x: Spec | Tensor) -> None:
    """x has two axes or more and a float or complex dtype."""
    if len(x.shape) < 2:
        raise ValueError(
            f"{name}: expected a matrix or a batch of them, of shape (..., M, N), but got shape {show(x.shape)}. "
            "Give it two axes with ops.reshape or ops.expand_dims."
        )
    if x.dtype not in dtypes.FLOATS and x.dtype not in dtypes.COMPLEX:
        raise TypeError(f"{name}: expected a float or complex matrix, but got dtype {x.dtype}. Convert it with ops.cast.")


def same(a: Size, b: Size) -> bool:
    """Whether sizes are equal, or both unknown. With one unknown, most likely a batch axis is where a matrix axis belongs."""
    return a == b or not (is_known(a) or is_known(b))


def check_square(name: str, x: Spec | Tensor) -> None:
    """x is a square matrix, or a batch of them."""
    check_matrix(name, x)
    if not same(*x.shape[-2:]):
        raise ValueError(
            f"{name}: expected square matrices of shape (..., M, M), but got shape {show(x.shape)}. For matrices that are not "
            "square see ops.qr, ops.svd, ops.pinv and ops.lstsq."
        )


def check_known(name: str, x: Spec | Tensor) -> None:
    """The sizes of the matrices (not of the batch) are numbers, so that the smaller one is known."""
    check_matrix(name, x)
    if not is_known(*x.shape[-2:]):
        raise ValueError(
            f"{name}: the last two axes need known sizes, but the shape is {show(x.shape)}. Set them in Input(shape=...)."
        )


def real_only(name: str, x: Tensor) -> None:
    """Gradients of what is no holomorphic function are for real matrices."""
    if x.dtype in dtypes.COMPLEX:
        raise NotImplementedError(f"{name}: complex matrices ({x.dtype}) have no gradient here, real ones do.")


def offsets(x: Tensor) -> Tensor:
    """Column number minus row number of each element of the matrices of x: 0 on the diagonal, above 0 over it."""
    m, n = x.shape[-2:]
    columns = reshape(iota(size=n, dtype="int32"), shape=(1, n))
    return columns - reshape(iota(size=m, dtype="int32"), shape=(m, 1))


def lower(x: Tensor, k: int = 0) -> Tensor:
    """Zeros over the k-th diagonal."""
    return el.where(offsets(x) <= k, x, 0.0)


def upper(x: Tensor, k: int = 0) -> Tensor:
    """Zeros under the k-th diagonal."""
    return el.where(offsets(x) >= k, x, 0.0)


def identity_like(x: Tensor) -> Tensor:
    """The identity matrix of the size of the square matrices of x, without batch axes."""
    return el.cast(el.equal(offsets(x), 0), dtype=x.dtype)


def adjoint(x: Tensor) -> Tensor:
    """The conjugate transpose."""
    return el.conj(swap(x)) if x.dtype in dtypes.COMPLEX else swap(x)


def as_column(x: Tensor) -> Tensor:
    """A vector as a matrix of one column."""
    return reshape(x, shape=(*x.shape, 1))


def as_row(x: Tensor) -> Tensor:
    """A vector as a matrix of one row."""
    return reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def epsilon(dtype: str) -> float:
    """The spacing of numbers at 1 in the dtype a decomposition computes in; half floats compute in float32."""
    return float(np.finfo("float64" if dtype in ("float64", "complex128") else "float32").eps)


def real_dtype(dtype: str) -> str:
    """The dtype of absolute values."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def complex_dtype(dtype: str) -> str:
    """The dtype of eigenvalues of general matrices."""
    return "complex128" if dtype in ("float64", "complex128") else "complex64"
