"""From what a request holds to arrays, and back: JSON's lists, bytes in a row. Everything is checked here, with the tensor's name."""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.serving.contract import TensorSpec, bad, shape_text

STRING = dtypes.STRING
_KINDS = {"b": "booleans", "i": "whole numbers", "u": "whole numbers", "f": "numbers with fractions", "U": "strings"}


def from_json(value: Any, spec: TensorSpec, shape: Sequence[int] | None = None) -> np.ndarray:
    """An array of lists of lists.

    Args:
        value: What JSON held.
        spec: What the model takes.
        shape: Where the request says it: then the lists may be flat.
    """
    if type(value) is not list:
        raise bad(f"input {spec.name!r}: expected a list of rows of shape {spec}, got {_short(value)}.")
    found = _array(_texts(value, spec) if spec.dtype == STRING else value, spec)
    if shape is not None and found.shape != tuple(shape):
        if found.size != math.prod(shape):
            raise bad(f"input {spec.name!r}: shape {list(shape)} needs {math.prod(shape)} elements, got {found.size}.")
        found = found.reshape(shape)
    return _fitting(_cast(found, spec), spec)


def from_bytes(raw: memoryview, spec: TensorSpec, shape: Sequence[int]) -> np.ndarray:
    """An array of bytes in row-major order, little-endian; strings each behind their length."""
    count = math.prod(shape)
    if spec.dtype == STRING:
        return _fitting(np.array(_unpacked(raw, spec, count), "U").reshape(shape), spec)
    dtype = dtypes.as_numpy(spec.dtype)
    if len(raw) != count * dtype.itemsize:
        raise bad(
            f"input {spec.name!r}: shape {list(shape)} of {spec.dtype} needs {count * dtype.itemsize} bytes, got {len(raw)}."
        )
    return _fitting(np.frombuffer(raw, dtype.newbyteorder("<") if dtype.kind in "iuf" else dtype).reshape(shape), spec)


def require_finite(arrays: Sequence[np.ndarray], specs: Sequence[TensorSpec]) -> None:
    """Refuse NaN and infinities."""
    for a, spec in zip(arrays, specs):
        if dtypes.is_string(a) or not dtypes.is_float(spec.dtype):
            continue
        finite = np.isfinite(a)
        if not finite.all():
            place = tuple(map(int, np.argwhere(~finite)[0]))
            raise bad(
                f"input {spec.name!r}: expected finite numbers of {spec.dtype}, got {float(a[place])} at {list(place)}. A server "
                "started with --allow-nonfinite takes them."
            )


def rows_of(arrays: Sequence[np.ndarray], specs: Sequence[TensorSpec]) -> int:
    """How many rows all of them have."""
    rows = {len(a) for a in arrays}
    if len(rows) > 1:
        counts = ", ".join(f"{s.name!r} {len(a)}" for s, a in zip(specs, arrays))
        raise bad(f"all inputs need the same number of rows, got {counts}.")
    if not all(a.size for a in arrays):
        raise bad(f"input {specs[0].name!r}: expected at least one row, and elements in it, got none.")
    return rows.pop()


def to_json(array: np.ndarray) -> Any:
    """Lists of numbers."""
    return (array.astype("float32") if dtypes.name_of(array.dtype) in dtypes.HALF else array).tolist()


def to_bytes(array: np.ndarray) -> bytes:
    """Its elements in row-major order, little-endian."""
    return np.ascontiguousarray(array).tobytes()


def packed_strings(strings: Sequence[str]) -> bytes:
    """Strings, each behind its length in four bytes."""
    return b"".join(struct.pack("<I", len(b)) + b for b in (s.encode() for s in strings))


def _unpacked(raw: memoryview, spec: TensorSpec, count: int) -> list[str]:
    found, at = [], 0
    while at < len(raw):
        length = struct.unpack_from("<I", raw, at)[0] if at + 4 <= len(raw) else len(raw)
        at += 4
        if at + length > len(raw):
            raise bad(f"input {spec.name!r}: its strings end in the middle of one.")
        found.append(_text(bytes(raw[at : at + length]), spec))
        at += length
    if len(found) != count:
        raise bad(f"input {spec.name!r}: expected {count} strings, got {len(found)}.")
    return found


def _text(raw: bytes, spec: TensorSpec) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise bad(f"input {spec.name!r}: expected strings in UTF-8, got other bytes.") from None


def _texts(value: Any, spec: TensorSpec) -> Any:
    """Lists of strings, of which some may be written in base64, as TensorFlow Serving has it."""
    if type(value) is list:
        return [_texts(v, spec) for v in value]
    if type(value) is dict and value.keys() == {"b64"} and type(value["b64"]) is str:
        try:
            return _text(base64.b64decode(value["b64"], validate=True), spec)
        except binascii.Error:
            raise bad(f"input {spec.name!r}: {_short(value['b64'])} is not base64.") from None
    if type(value) is not str:
        raise bad(f"input {spec.name!r}: expected strings, got {_short(value)}.")
    return value


def _array(value: list[Any], spec: TensorSpec) -> np.ndarray:
    try:
        found = _numbers(value)
        if found is None:
            found = np.asarray(value)
    except (ValueError, OverflowError, TypeError):
        found = None
    if found is None or found.dtype.kind not in _KINDS:
        raise bad(f"input {spec.name!r}: expected rows of shape {spec} of {spec.dtype}, got {_what_is_wrong(value)}.")
    return found


def _numbers(value: list[Any]) -> np.ndarray | None:
    """What `np.asarray` makes of lists of lists of numbers, in little more than half the time; None for everything else."""
    shape = [len(value)]
    while value and type(value[0]) is list:
        size = len(value[0])
        shape.append(size)
        if set(map(type, value)) != {list} or set(map(len, value)) != {size}:
            return None
        flat: list[Any] = []
        for one in value:
            flat += one
        value = flat
    kinds = set(map(type, value))
    if not kinds or not kinds <= {int, float}:
        return None
    try:
        return np.fromiter(value, "float64" if float in kinds else "int64", len(value)).reshape(shape)
    except OverflowError:
        return None


def _what_is_wrong(value: list[Any]) -> str:
    """Why lists are no array: sizes that differ, or an element that is no number or string."""
    level = [value]
    while level and all(type(v) is list for v in level):
        if len({len(v) for v in level}) > 1:
            return "ragged rows: lists of lengths " + " and ".join(map(str, sorted({len(v) for v in level})[:4]))
        level = [v for one in level for v in one]
    if any(type(v) is list for v in level):
        return "ragged rows: lists beside single elements"
    odd = next((v for v in level if not isinstance(v, (int, float, str)) or (isinstance(v, int) and abs(v) >= 2**63)), None)
    return _short(odd)


def _cast(found: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """The array in the model's dtype, where that loses nothing but digits."""
    kind, wanted = found.dtype.kind, spec.dtype
    if not found.size:
        return found.astype("U1" if wanted == STRING else dtypes.as_numpy(wanted))
    if wanted == STRING:
        fits = kind == "U"
    elif dtypes.is_float(wanted):
        fits = kind in "iuf"
    else:
        fits = kind == "b" if wanted == "bool" else kind in "iu"
    if not fits:
        raise bad(f"input {spec.name!r}: expected {wanted}, got {_KINDS[kind]}.")
    if wanted == STRING:
        return found
    if dtypes.is_int(wanted):
        limits = np.iinfo(wanted)
        low, high = int(found.min()), int(found.max())
        if low < limits.min or high > limits.max:
            raise bad(f"input {spec.name!r}: expected {wanted}, from {limits.min} to {limits.max}, got {low} to {high}.")
    with np.errstate(over="ignore"):
        return found.astype(dtypes.as_numpy(wanted))


def _fitting(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    own = array.shape[1:]
    if array.ndim != len(spec.shape) + 1 or any(n is not None and n != m for n, m in zip(spec.shape, own)):
        got = shape_text(own) if array.ndim else "a single element"
        raise bad(f"input {spec.name!r}: expected shape {spec}, got {got} with {len(array) if array.ndim else 1} rows.")
    return array


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
