"""Data types by name, and the one promotion rule.

A dtype is a string such as ``"float32"`` everywhere above the kernels. Promotion is the least upper bound in the
lattice of JAX (https://docs.jax.dev/en/latest/type_promotion.html), which Keras 3 uses too: Python scalars are weak, an
integer never widens a float, and bfloat16 with float16 gives float32.
"""

import functools
import math
from typing import Any, Self

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.messages import explained

ml_dtypes = Deferred("ml_dtypes")  # takes a tenth of the time that importing all the rest does

HALF = ("bfloat16", "float16")
FLOATS = ("bfloat16", "float16", "float32", "float64")
INTS = ("int8", "int16", "int32", "int64")
UINTS = ("uint8", "uint16", "uint32", "uint64")
NARROW = ("uint8", "uint16", "int8", "int16")  # integers that many an axis is too long for: places are computed in int32
COMPLEX = ("complex64", "complex128")
STRING = "string"  # of symbols alone: no tensor with a value has it
STRING_KINDS = "OSTU"  # of dtypes of NumPy that hold strings: objects among them, as `str` or `bytes`
NO_STRINGS = (
    "tensors hold numbers. Turn strings into numbers by TextVectorization, StringLookup, Hashing or HashedCrossing: behind "
    "Input(dtype='string') in a functional model or a Sequential, or while data is prepared. (In a model written as a class these layers "
    "may stand in `call` where it is compiled with run_eagerly=True.)"
)
ALL = ("bool", *UINTS, *INTS, *FLOATS, *COMPLEX)

WEAK_INT, WEAK_FLOAT, WEAK_COMPLEX = "int", "float", "complex"  # what a Python scalar counts as

_ABOVE = {  # the lattice: each type and its direct successors
    "bool": (WEAK_INT,),
    WEAK_INT: ("uint8", "int8"),
    "uint8": ("uint16", "int16"),
    "uint16": ("uint32", "int32"),
    "uint32": ("uint64", "int64"),
    "uint64": (WEAK_FLOAT,),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": (WEAK_FLOAT,),
    WEAK_FLOAT: ("bfloat16", "float16", WEAK_COMPLEX),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64", "complex64"),
    "float64": ("complex128",),
    WEAK_COMPLEX: ("complex64",),
    "complex64": ("complex128",),
    "complex128": (),
}

_floatx = "float32"


def floatx() -> str:
    """Name of the default float dtype, ``"float32"`` unless `set_floatx` changed it."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default float dtype: ``"float16"``, ``"bfloat16"``, ``"float32"`` or ``"float64"``.

    Args:
        value: one of these names.
    """
    global _floatx
    if value not in FLOATS:
        raise ValueError(f"set_floatx: unknown value {value!r}. Expected one of {FLOATS}.")
    _floatx = str(value)
    _promote.cache_clear()


@functools.cache
def as_numpy(name: str) -> np.dtype:
    """The NumPy dtype of a dtype name; bfloat16 comes from ml_dtypes, imported on first use.

    >>> as_numpy("float32")
    dtype('float32')
    """
    if name == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


@functools.cache
def itemsize(name: str) -> int:
    """Bytes of one element.

    >>> itemsize("bfloat16")
    2
    """
    return as_numpy(name).itemsize


_NAMES: dict[Any, str] = {**{n: n for n in ALL}, **{np.dtype(n): n for n in ALL if n != "bfloat16"}}


def name_of(dtype: Any) -> str:
    """The name of a NumPy dtype object (the inverse of `as_numpy`), or a name itself, fast: NumPy makes it anew each time."""
    name = _NAMES.get(dtype)
    if name is None:
        name = np.dtype(dtype).name
        if name not in ALL:
            if np.dtype(dtype).kind in STRING_KINDS:
                raise explained(
                    ValueError(f"Unsupported dtype {name!r}: {NO_STRINGS}"), "unsupported-dtype-tensors-hold-numbers"
                )
            raise ValueError(f"Unsupported dtype {name!r}. Supported: {', '.join(ALL)}.")
        _NAMES[dtype] = name
    return name


def standardize_dtype(dtype: Any) -> str:
    """A dtype given as None, name, Python type, NumPy or framework dtype -> its name.

    Args:
        dtype: any of these; None is floatx.

    >>> standardize_dtype(None), standardize_dtype(int), standardize_dtype(np.float64)
    ('float32', 'int32', 'float64')
    """
    if dtype is None:
        return _floatx
    if type(dtype) is str and dtype in _ABOVE and dtype not in (WEAK_INT, WEAK_FLOAT, WEAK_COMPLEX):
        return dtype
    plain = {bool: "bool", int: "int32", float: _floatx, complex: "complex64", "int": "int32", "float": _floatx}
    if isinstance(dtype, (str, type)) and dtype in plain:
        return plain[dtype]
    if isinstance(dtype, np.dtype):
        return name_of(dtype)
    text = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    text = str(text).removeprefix("torch.").removeprefix("jax.numpy.").removeprefix("numpy.")
    if text in ("bool_", "bool"):
        text = "bool"
    if text == STRING:
        raise explained(ValueError(f"Invalid dtype 'string': {NO_STRINGS}"), "unsupported-dtype-tensors-hold-numbers")
    if text not in ALL:
        raise ValueError(f"Invalid dtype: {dtype!r}. Supported: {', '.join(ALL)}.")
    return text


def is_string(x: Any) -> bool:
    """Whether an array or a symbol is of strings; an array of objects counts as one."""
    dtype = getattr(x, "dtype", None)
    return dtype == STRING if type(dtype) is str else getattr(dtype, "kind", "none") in STRING_KINDS


def is_float(dtype: Any) -> bool:
    """Whether the dtype is a floating-point type (bfloat16 counts).

    Args:
        dtype: anything that `standardize_dtype` takes.
    """
    return standardize_dtype(dtype) in FLOATS


def is_int(dtype: Any) -> bool:
    """Whether the dtype is a signed or unsigned integer type; bool is not.

    Args:
        dtype: anything that `standardize_dtype` takes.
    """
    return standardize_dtype(dtype) in INTS + UINTS


def is_complex(dtype: Any) -> bool:
    """Whether the dtype is complex64 or complex128."""
    return standardize_dtype(dtype) in COMPLEX


@functools.cache
def _upper(name: str) -> frozenset[str]:
    return frozenset((name,)).union(*(_upper(n) for n in _ABOVE[name]))


@functools.cache
def _promote(names: frozenset[str]) -> str:
    bounds = frozenset.intersection(*(_upper(n) for n in names))
    least = next(n for n in bounds if bounds <= _upper(n))
    if least == "int64" and not names & {"int64", "uint64"}:
        return "int32"  # uint32 with a signed type: nothing becomes 64 bits wide that was not, as in Keras on JAX
    return {WEAK_INT: "int32", WEAK_FLOAT: _floatx, WEAK_COMPLEX: "complex64"}.get(least, least)


def result_type(*dtypes: Any) -> str:
    """The dtype that operands of these dtypes are computed in.

    Arguments are dtype names, or the Python types bool, int, float, complex, which are weak.

    >>> result_type("int32", "float16"), result_type("float32", int), result_type(int, float)
    ('float16', 'float32', 'float32')
    """
    weak = {bool: "bool", int: WEAK_INT, float: WEAK_FLOAT, complex: WEAK_COMPLEX}
    if not dtypes:
        return _floatx
    names = []
    for d in dtypes:
        w = weak.get(d) if isinstance(d, type) else None
        names.append(w or (d if d in _ABOVE else standardize_dtype(d)))
    return names[0] if len(set(names)) == 1 and names[0] in ALL else _promote(frozenset(names))


def float_of(dtype: str) -> str:
    """The dtype a float-valued function (exp, mean, ...) returns for this input dtype: floats stay, the rest is floatx.

    64-bit integers go to floatx as in Keras; weak Python types are accepted.
    """
    return result_type(dtype, float)


def single_of(dtype: str) -> str:
    """The dtype in which mathematics on values of this dtype is done: float32, or what is wider.

    Squares, sums and quotients of half floats and small integers overflow in their own dtype.

    >>> single_of("float16"), single_of("uint8"), single_of("float64")
    ('float32', 'float32', 'float64')
    """
    return result_type(dtype, "float32")


def holds(dtype: str, number: Any) -> bool:
    """Whether a number lies between the smallest and the largest value of a dtype."""
    low, high = limits(dtype)
    return low <= number <= high


def as_number(number: complex, dtype: str, function: str | None = None) -> Any:
    """A Python number as a Python number of a dtype's kind; integers drop the fraction, as casts do.

    Raises NumberError where the dtype is an integer one that does not hold it. (Floats round: what is too large is infinite.)
    function: the name of who was given the number, if its public function does not put it there.

    >>> as_number(2, "float16"), as_number(1.5, "uint8"), as_number(3, "bool")
    (2.0, 1, True)
    """
    if dtype in COMPLEX:
        return complex(number)
    if isinstance(number, complex):
        raise TypeError(f"The number {number} is complex, but the dtype is {dtype}. Take its real part first.")
    if dtype == "bool":
        return bool(number)
    if dtype in FLOATS:
        try:
            return float(number)
        except OverflowError:  # an int of more than a thousand bits
            return math.inf if number > 0 else -math.inf
    if not (type(number) is int or math.isfinite(number)) or not holds(dtype, int(number)):
        error = NumberError(number, dtype)
        raise error.named(function) if function else error
    return int(number)


class NumberError(OverflowError):
    """A Python number that a dtype does not hold. The public function that was given it is `named` in the message."""

    def __init__(self, number: complex, dtype: str):
        low, high = limits(dtype)
        wider = next((d for d in ("int16", "int32", "int64") if all(holds(d, n) for n in (number, low, high))), floatx())
        shown = number if abs(number) < 1e300 or not isinstance(number, int) else f"of {number.bit_length()} bits"
        super().__init__(
            f"the number {shown} does not fit into dtype {dtype}, which holds {low} to {high}. Compute in a wider dtype, for "
            f'example with ops.cast(x, "{wider}") of the tensors, or dtype="{wider}" where there is none.'
        )
        self.function: str | None = None

    def named(self, function: str) -> Self:
        """The error, with the name of the outermost function that let it out first."""
        if self.function is None:
            self.function = function
            self.args = (f"{function}: {self.args[0]}",)
        return self


@functools.cache
def limits(dtype: str) -> tuple[Any, Any]:
    """(smallest, largest) finite value of an int, bool or float dtype, as Python numbers."""
    if dtype == "bool":
        return False, True
    if dtype == "bfloat16":  # the upper half of a float32
        largest = float(np.uint32(0x7F7F0000).view(np.float32))
        return -largest, largest
    info = np.finfo(dtype) if dtype in FLOATS else np.iinfo(dtype)
    kind = float if dtype in FLOATS else int
    return kind(info.min), kind(info.max)
