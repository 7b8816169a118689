"""From anything to tensors of one dtype: conversion, casting, promotion. What every public function does first."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Dim, Spec, is_known, show, whole
from mlkit.core.state import state
from mlkit.core.tensor import Symbol, Tensor
from mlkit.core.typing import DType, TensorLike
from mlkit.core.variable import BaseVariable
from mlkit.primitives import elementwise as el
from mlkit.primitives.movement import stacked

__all__ = ["cast", "convert_to_numpy", "convert_to_tensor", "is_tensor"]

_SCALARS = (bool, int, float, complex)
_INTEGERS = dtypes.INTS + dtypes.UINTS
_LARGE = 1 << 63  # integers beyond are converted with care


def convert_to_tensor(
    x: TensorLike, dtype: DType | None = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    """A Tensor from a Tensor, Variable, NumPy array, number, nested list, or any array with `__array__`.

    Args:
        dtype: name of the dtype; by default arrays keep theirs, Python floats become floatx and Python ints int32.
        ragged: True is refused: tensors here are dense.

    It has the shape of what is given: of a list of rows of equal length (rows, columns).

    >>> convert_to_tensor([[1.0, 2.0]]).dtype
    'float32'
    """
    if sparse or ragged:
        raise NotImplementedError("convert_to_tensor: `sparse` and `ragged` tensors are not supported.")
    t = as_tensor(x, dtype)
    if dtype is None or t.dtype == dtype:
        return t
    return _in_dtype(t, dtypes.standardize_dtype(dtype))


def _in_dtype(t: Tensor, dtype: str) -> Tensor:
    """A tensor in the dtype that a public function was given."""
    if t.dtype == dtype:
        return t
    if t.dtype in dtypes.COMPLEX and dtype not in dtypes.COMPLEX and dtype != "bool":
        warnings.warn(
            f"A cast from {t.dtype} to {dtype} drops the imaginary parts. Take ops.real or ops.absolute instead.",
            np.exceptions.ComplexWarning,
            stacklevel=3,
        )
    return el.cast(t, dtype=dtype)


def as_tensor(x: TensorLike, dtype: DType | None = None) -> Tensor:
    """`convert_to_tensor` without checks; `dtype` matters only for Python numbers and lists."""
    if type(x) is Tensor:
        return x
    if isinstance(x, BaseVariable):
        return x.value
    if isinstance(x, Symbol):
        x.no_value()
    if type(x) is Dim:  # a size that is known when the model runs
        return Tensor(Spec((), "int32"))
    if isinstance(x, (list, tuple)) and any(isinstance(e, (Tensor, BaseVariable, Dim)) for e in _leaves(x)):
        return _stacked([as_tensor(e, dtype) for e in x])
    written = isinstance(x, (*_SCALARS, list, tuple)) and not isinstance(x, np.generic)  # in Python: no array that others hold
    host = x if isinstance(x, (np.ndarray, np.generic)) else host_array(x)
    if host.dtype == object and not (written and all(type(e) in _SCALARS for e in host.flat)):
        raise ValueError(f"convert_to_tensor: {x!r} is not a number or a regular array of numbers.")
    if written:
        host = _of_python(host, _python_dtype(host) if dtype is None else dtypes.standardize_dtype(dtype))
    return Tensor(state.backend.asarray(host, dtypes.name_of(host.dtype), owned=written))


def _stacked(parts: Sequence[TensorLike]) -> Tensor:
    """Tensors as the rows of one."""
    parts = promote_tensors(*parts)
    if len({t.shape for t in parts if is_known(*t.shape)}) > 1 or len({len(t.shape) for t in parts}) > 1:
        shapes = ", ".join(str(show(t.shape)) for t in parts)
        raise ValueError(f"convert_to_tensor: the tensors in a list must have one shape, but have {shapes}.")
    return stacked(parts)


def _of_python(host: Any, dtype: str) -> np.ndarray:
    """What NumPy made of Python numbers, in a dtype, which must hold them: only what has a dtype already wraps around or loses a part."""
    if host.dtype.kind == "c" and host.size and dtype not in dtypes.COMPLEX and dtype != "bool":
        dtypes.as_number(host.flat[0].item(), dtype)
    if dtype in _INTEGERS and host.dtype.kind in "iufO":
        for number in (host.min(), host.max()) if host.size else ():
            dtypes.as_number(number if type(number) is int else number.item(), dtype)
    return host.astype(dtypes.as_numpy(dtype))


def _python_dtype(host: Any) -> str:
    """The dtype of Python numbers, which NumPy made 64 bits wide: half of that, unless an integer does not fit."""
    if host.dtype in (np.int64, object):  # NumPy makes objects of integers beyond 64 bits
        fits = not host.size or (host.max() < 2**31 and host.min() >= -(2**31))
        return "int32" if fits else "int64"
    return {"float64": dtypes.floatx(), "complex128": "complex64"}.get(host.dtype.name) or dtypes.name_of(host.dtype)


def _leaves(x: Sequence[Any]) -> Iterator[Any]:
    for e in x:
        if isinstance(e, (list, tuple)):
            yield from _leaves(e)
        else:
            yield e


class ForeignSymbol(NotImplementedError):
    """A symbol of another library's graph was given where values are needed."""


def host_array(x: Any) -> np.ndarray:
    """Anything with values as an array of NumPy."""
    try:
        if hasattr(x, "__array__") or not hasattr(x, "__dlpack__"):
            return np.asarray(x)
        return np.from_dlpack(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"convert_to_tensor: {type(x).__name__} {x!r} cannot be converted to a tensor: {error}") from error
    except NotImplementedError as error:  # of TensorFlow, whose symbols have no values
        raise ForeignSymbol(
            f"{type(x).__module__.partition('.')[0]}'s symbol {getattr(x, 'name', x)!r} has no value: it stands in a function that is "
            "being traced, by tf.data's map or tf.function. There, layers can be called on it, and mlkit.ops functions within "
            "tf.numpy_function; or build the pipeline with mlkit.data.Dataset, whose functions get tensors with values."
        ) from error


def convert_to_numpy(x: TensorLike) -> np.ndarray:
    """The value as a NumPy array of its own, which may be written.

    The array has the tensor's shape.

    >>> convert_to_numpy([1, 2])
    array([1, 2], dtype=int32)
    """
    return np.array(x) if isinstance(x, np.ndarray) else np.array(as_tensor(x).numpy())


def is_tensor(x: object) -> bool:
    """Whether x is a `Tensor` (a KerasTensor or a Variable is none)."""
    return type(x) is Tensor


def cast(x: TensorLike, dtype: DType) -> Tensor:
    """The tensor in another dtype.

    Floats to ints drop the fraction; anything to bool asks "is it not zero"; complex to real numbers drop the imaginary parts, with a
    warning.

    It keeps its shape.

    >>> cast([1.5, -1.5], "int32").numpy()
    array([ 1, -1], dtype=int32)
    """
    dtype = dtypes.standardize_dtype(dtype)
    return _in_dtype(as_tensor(x, dtype), dtype)


def pair(x1: TensorLike, x2: TensorLike) -> Sequence[Any]:
    """Two operands as `promote` gives them, by a short way for the common cases."""
    if type(x1) is Tensor:
        if type(x2) is Tensor:
            if x1.data.dtype == x2.data.dtype:
                return x1, x2
        elif type(x2) is float or type(x2) is int:
            dtype = x1.dtype
            if dtype in dtypes.FLOATS:
                if type(x2) is float or -_LARGE < x2 < _LARGE:
                    return x1, float(x2)
            elif type(x2) is int and dtype in _INTEGERS and dtypes.holds(dtype, x2):
                return x1, x2
    return promote(x1, x2)


def dtype_of(x1: Any, x2: Any) -> str:
    """The dtype of operands that `pair` gave."""
    return (x1 if type(x1) is Tensor else x2).dtype


def promote(*xs: Any, floating: bool = False) -> list[Any]:
    """The operands as Tensors of one common dtype; Python scalars stay scalars (if any operand is a tensor).

    floating: the common dtype is a float or complex one.
    """
    if _alike(xs) and (not floating or xs[0].dtype in el.FLOATING):
        return list(xs)
    operands = [x if type(x) is Tensor or type(x) in _SCALARS else as_tensor(x) for x in xs]
    dtype = dtypes.result_type(*{x.dtype if type(x) is Tensor else type(x) for x in operands})
    if floating:
        dtype = dtypes.float_of(dtype)
    if not any(type(x) is Tensor for x in operands):
        operands[0] = as_tensor(operands[0], dtype)
    return [_as(x, dtype) for x in operands]


def _alike(xs: Sequence[Any]) -> bool:
    """Whether all are Tensors of one dtype already."""
    if type(xs[0]) is not Tensor:
        return False
    dtype = xs[0].data.dtype
    for x in xs:
        if type(x) is not Tensor or x.data.dtype != dtype:
            return False
    return True


def promote_tensors(*xs: TensorLike, floating: bool = False) -> list[Tensor]:
    """`promote`, with scalars as tensors of shape () too: for what is written with shapes."""
    operands = promote(*xs, floating=floating)
    if _alike(operands):
        return operands
    dtype = next(x.dtype for x in operands if type(x) is Tensor)
    return [as_tensor(x, dtype) for x in operands]


def _as(x: Any, dtype: str) -> Tensor | float:
    if type(x) is Tensor:
        return x if x.dtype == dtype else el.cast(x, dtype=dtype)
    return dtypes.as_number(x, dtype)


def to_float(x: TensorLike) -> Tensor:
    """The tensor in a float (or complex) dtype: what float-valued functions compute in."""
    t = as_tensor(x)
    d = t.dtype
    return t if d in dtypes.FLOATS or d in dtypes.COMPLEX else el.cast(t, dtype=dtypes.float_of(d))


def to_real(name: str, x: TensorLike) -> Tensor:
    """`to_float` for what knows real numbers only."""
    t = to_float(x)
    require_real(name, t)
    return t


def require_real(name: str, *tensors: Tensor) -> None:
    """Raise for complex tensors, of which kernels would drop a part or which they cannot order."""
    for t in tensors:
        if t.dtype in dtypes.COMPLEX:
            raise TypeError(f"{name}: expected real numbers, but got {t.dtype}. Take ops.real, ops.imag or ops.absolute first.")


def to_single(x: TensorLike) -> Tensor:
    """The tensor in float32 or wider: what sums, squares and quotients of values of any dtype are computed in."""
    t = as_tensor(x)
    dtype = dtypes.single_of(t.dtype)
    return t if t.dtype == dtype else el.cast(t, dtype=dtype)


def to_integer(name: str, x: TensorLike) -> Tensor:
    """An integer tensor: indices, or operands of functions that know integers only. Truth values count as int32.

    A symbolic float tensor passes as int32: `Input` is float by default, and what is fed decides.
    """
    t = as_tensor(x)
    if dtypes.is_int(t.dtype):
        return t
    if t.dtype != "bool" and type(t.data) is not Spec:
        raise TypeError(f"{name}: expected integers, but got dtype {t.dtype}. Convert them with ops.cast first.")
    return el.cast(t, dtype="int32")


def to_bool(x: TensorLike) -> Tensor:
    """The tensor as truth values: not zero is true."""
    t = as_tensor(x)
    return t if t.dtype == "bool" else el.not_equal(t, 0)


def as_shape(name: str, shape: Any, least: int | None = 0) -> tuple[Any, ...]:
    """A shape that an op was given as an int, a sequence or an integer tensor, as a tuple of ints and unknown sizes."""
    if isinstance(shape, Tensor):
        if type(shape.data) is Spec:
            return tuple(Dim() for _ in range(shape.shape[0]))
        shape = shape.numpy().ravel()
    if not hasattr(shape, "__iter__") or getattr(shape, "ndim", 1) == 0:
        return (whole(name, "a size", shape, least),)
    if any(type(s) is Tensor and type(s.data) is Spec for s in shape):
        return tuple(Dim() if s is None or type(s) is Tensor else s for s in shape)
    return tuple(whole(name, "a size", s, least) for s in shape)
