"""The fields of a message in protobuf's wire format, read within bounds and without a schema.

Format: https://protobuf.dev/programming-guides/encoding
"""

import dataclasses
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}
_LONGEST = 10  # bytes of a number of 64 bits
_FIRST_RUN = 64  # fields looked at together; twice as many each time that all of them belong together


class WireError(ValueError):
    """Bytes that are no message, or more of a message than is allowed."""


class Field(NamedTuple):
    """A field of a message.

    number: its number in the schema. kind: VARINT, FIXED64, BYTES or FIXED32. value: an int without sign for a VARINT, else the
    bytes; of neighbours that are alike and of fixed size, all their bytes.
    """

    number: int
    kind: int
    value: Any


@dataclasses.dataclass
class Budget:
    """How many fields may still be read."""

    fields: int

    def take(self) -> None:
        self.fields -= 1
        if self.fields < 0:
            raise WireError("it has more fields than any network needs.")


def fields(data: memoryview, budget: Budget) -> Iterator[Field]:
    """The fields of a message, in their order.

    Raises WireError for truncated fields, numbers above 64 bits, field number 0, and groups, which Caffe's messages have none of.

    >>> [(f.number, bytes(f.value)) for f in fields(memoryview(b"\\x0a\\x02ab"), Budget(9))]
    [(1, b'ab')]
    """
    at, end = 0, len(data)
    while at < end:
        budget.take()
        tag, start = varint(data, at)
        number, kind = _number_and_kind(tag)
        if kind == VARINT:
            value, at = varint(data, start)
            yield Field(number, kind, value)
        elif kind == BYTES:
            size, start = varint(data, start)
            at = start + size
            _check_room(number, size, end - start)
            yield Field(number, kind, data[start:at])
        else:
            value, at = _run(data, at, start, _SIZES[kind])
            if not len(value):
                raise WireError(f"field {number} is truncated.")
            yield Field(number, kind, value)


def fields_of_file(file: IO[bytes], size: int, budget: Budget) -> Iterator[Field]:
    """The same for a message that a file begins with and ends with: one field at a time is in memory."""
    at = 0
    while at < size:
        budget.take()
        tag, at = _varint_of_file(file, at)
        number, kind = _number_and_kind(tag)
        if kind == VARINT:
            value, at = _varint_of_file(file, at)
            yield Field(number, kind, value)
            continue
        if kind == BYTES:
            count, at = _varint_of_file(file, at)
        else:
            count = _SIZES[kind]
        _check_room(number, count, size - at)
        data = file.read(count)
        if len(data) != count:
            raise WireError("it became shorter while it was read.")
        at += count
        yield Field(number, kind, memoryview(data))


def _check_room(number: int, size: int, there: int) -> None:
    if size > there:
        raise WireError(f"field {number} has {size:,} bytes, of which {there:,} are there: it is truncated.")


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """(number, address behind it) of the number without sign at an address."""
    found = 0
    for i in range(_LONGEST):
        if at + i >= len(data):
            raise WireError("it ends within a number: it is truncated.")
        found |= (data[at + i] & 0x7F) << 7 * i
        if data[at + i] < 0x80:
            return _of_64_bits(found), at + i + 1
    raise WireError("a number has more than 64 bits.")


def _varint_of_file(file, at):
    data = file.read(1)
    while data and data[-1] >= 0x80 and len(data) < _LONGEST and (more := file.read(1)):
        data += more
    value, used = varint(memoryview(data), 0)
    return value, at + used


def _of_64_bits(value):
    if value >> 64:
        raise WireError("a number has more than 64 bits.")
    return value


def _number_and_kind(tag):
    number, kind = tag >> 3, tag & 7
    if number == 0 or tag >> 32:
        raise WireError(f"it has a field of number {number}, which there cannot be.")
    if kind not in (VARINT, FIXED64, BYTES, FIXED32):
        raise WireError(f"field {number} is of wire type {kind}, which Caffe's messages do not have.")
    return number, kind


def _run(data, at, start, size):
    """(values, address behind them) of the fields from `at` on that have the same tag, each a tag and `size` bytes."""
    tag, stride = data[at:start], start - at + size
    values, count = [], _FIRST_RUN
    while (there := min(count, (len(data) - at) // stride)) > 0:
        rows = np.frombuffer(data[at : at + there * stride], "uint8").reshape(there, stride)
        same = (rows[:, : len(tag)] == np.frombuffer(tag, "uint8")).all(axis=1)
        alike = there if same.all() else int(np.argmin(same))
        values.append(rows[:alike, len(tag) :].tobytes())
        at += alike * stride
        if alike < count:
            break
        count *= 2
    return memoryview(b"".join(values)), at
