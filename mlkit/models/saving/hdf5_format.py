"""The parts of the HDF5 file format that weights files consist of, read in Python.

The HDF5 library trusts its input: a few changed bytes in a file make it crash the process, which a downloaded file must not
be able to do. So files are read here, in the classic form that h5py writes by default and Keras has always used: superblock
version 0, groups as symbol tables, values in one piece. Each structure is bounds-checked and read once.
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html (the section numbers below are its)
"""

import math
import os
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

UNDEFINED = 2**64 - 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FLOATS = {  # size, and bit layout: offset, precision, exponent location and size, mantissa location and size, exponent bias
    (2, (0, 16, 10, 5, 0, 10, 15)): "float16",
    (4, (0, 32, 23, 8, 0, 23, 127)): "float32",
    (8, (0, 64, 52, 11, 0, 52, 1023)): "float64",
    (2, (0, 16, 7, 8, 0, 7, 127)): "bfloat16",
}


class FormatError(ValueError):
    """A structure of the file is damaged or of a kind that is not read."""


class Bytes:
    """A file as a range of addresses. However its structures refer to one another, not much more than its size is read."""

    def __init__(self, file: Any):
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._left = 4 * self.size + 2**16
        self._read = set()
        self.heaps = {}  # address of a heap of strings -> index -> bytes

    def at(self, address: int, count: int) -> bytes:
        """`count` bytes of structure at an address."""
        if address < 0 or count < 0 or address + count > self.size:
            raise FormatError("a structure lies outside of the file, which is damaged or truncated.")
        self._left -= count
        if self._left < 0:
            raise FormatError("structures refer to one another in circles.")
        self._file.seek(address)
        found = self._file.read(count)
        if len(found) != count:
            raise FormatError("the file is truncated.")
        return found

    def once(self, address: int) -> None:
        """Note that the structure at an address is being read. Raises FormatError the second time."""
        if address in self._read:
            raise FormatError("it is reached by several names or by a cycle of groups.")
        self._read.add(address)

    def read_into(self, address: int, buffer: np.ndarray) -> None:
        """Fill a writable buffer with the values at an address."""
        view = memoryview(buffer)
        self._file.seek(address)
        while len(view):
            n = self._file.readinto(view)
            if not n:
                raise FormatError("the file is truncated.")
            view = view[n:]


def root_address(data: Bytes) -> int:
    """Address of the root group's header (II.A superblock)."""
    block = data.at(0, 96)
    if block[8] != 0:
        raise FormatError(
            f"it has a superblock of version {block[8]}; files as Keras and h5py write them have version 0 "
            "(libver='earliest'). Copy it with h5py or h5repack to that form."
        )
    if block[13:15] != b"\x08\x08":
        raise FormatError("its addresses are not 8 bytes wide.")
    base, _, end = struct.unpack("<3Q", block[24:48])
    if base != 0:
        raise FormatError("something stands in front of the HDF5 data.")
    if end > data.size:
        raise FormatError(f"it is truncated: {data.size:,} of {end:,} bytes are there.")
    return struct.unpack("<Q", block[64:72])[0]


def messages(data: Bytes, address: int) -> list[tuple[int, bytes]]:
    """[(type, bytes)] of an object's header (IV.A.1.a)."""
    data.once(address)
    version, _, count, _, size = struct.unpack("<BBHII", data.at(address, 12))
    if version != 1:
        raise FormatError("an object has a header of an unknown version, or none.")
    found, blocks = [], [(address + 16, size)]
    while blocks:
        start, size = blocks.pop(0)
        block, at = data.at(start, size), 0
        while at + 8 <= size and len(found) < count:
            kind, length, flags = struct.unpack("<HHB", block[at : at + 5])
            if at + 8 + length > size:
                raise FormatError("an object's header is damaged.")
            body = block[at + 8 : at + 8 + length]
            if kind == 0x10:
                next_start, next_size = unpack("<2Q", body)
                data.once(next_start)
                blocks.append((next_start, next_size))
            if flags & 2 and kind in (0x1, 0x3, 0x5, 0x8, 0xB):
                raise FormatError("its type is kept elsewhere in the file (a named type), which is not read.")
            found.append((kind, body))
            at += 8 + length
    return found


def unpack(layout: str, body: bytes, at: int = 0) -> tuple[Any, ...]:
    """struct.unpack of the first bytes from `at`, in a FormatError if they are too few."""
    size = struct.calcsize(layout)
    if at + size > len(body):
        raise FormatError("a structure is cut off.")
    return struct.unpack(layout, body[at : at + size])


# ---- groups --------------------------------------------------------------------------------------------------------------


def children(data: Bytes, body: bytes) -> Iterator[tuple[str, int]]:
    """(name, header address or None for a soft link) of a group, from its symbol table message (IV.A.2.r)."""
    tree, heap = unpack("<2Q", body)
    head = data.at(heap, 32)
    size, _, start = unpack("<3Q", head, 8)
    if head[:4] != b"HEAP":
        raise FormatError("the names of a group are missing.")
    names = data.at(start, size)
    nodes = [(tree, None)]
    while nodes:
        address, level = nodes.pop()
        data.once(address)
        head = data.at(address, 8)
        if head[:4] == b"TREE" and (level is None or head[5] == level - 1):
            nodes.extend((child, head[5]) for child in reversed(_tree_children(data, address, head)))
        elif head[:4] == b"SNOD" and level == 0:
            yield from _symbols(data, address, head, names)
        else:
            raise FormatError("the table of a group is damaged.")


def _tree_children(data: Bytes, address: int, head: bytes) -> list[int]:
    """Addresses below a node of a group's B-tree (III.A.1)."""
    if head[4] != 0:
        raise FormatError("the table of a group is damaged.")
    (count,) = unpack("<H", head, 6)
    body = data.at(address + 24, 8 * (2 * count + 1))
    return [unpack("<Q", body, 16 * i + 8)[0] for i in range(count)]


def _symbols(data: Bytes, address: int, head: bytes, names: bytes) -> Iterator[tuple[str, int]]:
    """The entries of a leaf of a group's B-tree (III.B, III.C)."""
    (count,) = unpack("<H", head, 6)
    body = data.at(address + 8, 40 * count)
    for i in range(count):
        name_at, target, cache = unpack("<QQI", body, 40 * i)
        end = names.find(b"\0", name_at)
        if name_at >= len(names) or end < 0:
            raise FormatError("the name of a member of a group is missing.")
        yield names[name_at:end].decode("utf-8", "replace"), None if cache == 2 else target


def link_kind(body: bytes) -> str:
    """What a link message is (IV.A.2.g), for the message that refuses it."""
    kind = body[2] if len(body) > 2 and body[1] & 8 else 0
    return {0: "a link of newer form", 1: "a soft link (SoftLink)"}.get(kind, "an external link (ExternalLink)")


# ---- tensors -------------------------------------------------------------------------------------------------------------


def shape_of(body: bytes) -> tuple[int, ...] | None:
    """The shape in a dataspace message (IV.A.2.b), None for a null space."""
    version, rank, _, kind = unpack("<4B", body)
    if version not in (1, 2) or rank > 32:
        raise FormatError("its shape is damaged.")
    if version == 2 and kind == 2:
        return None
    return unpack(f"<{rank}Q", body, 8 if version == 1 else 4)


def dtype_of(body: bytes) -> tuple[str | None, int]:
    """(name, size in bytes) from a datatype message (IV.A.2.d). The name is "opaque" for bare bytes, None for no number."""
    first, bits, bits_high = body[0], *unpack("<BH", body, 1)
    (size,) = unpack("<I", body, 4)
    kind = first & 15
    if kind in (0, 1) and (bits & 1 or (kind == 1 and bits & 64)):
        return None, size  # big-endian
    if kind == 0:
        offset, precision = unpack("<2H", body, 8)
        whole = offset == 0 and precision == 8 * size and size in (1, 2, 4, 8)
        return (f"{'' if bits & 8 else 'u'}int{precision}" if whole else None), size
    if kind == 1:
        return _FLOATS.get((size, unpack("<2H4BI", body, 8))), size
    if kind == 5:
        return "opaque", size
    if kind == 8:
        return ("bool" if _is_bool(body, first >> 4, bits | (bits_high & 255) << 8) else None), size
    return None, size


def _is_bool(body: bytes, version: int, count: int) -> bool:
    """Whether an enumeration is h5py's FALSE = 0, TRUE = 1 of one byte."""
    base, size = dtype_of(body[8:]) if len(body) >= 20 and body[8] & 15 == 0 else (None, 0)
    names = (b"FALSE\0", b"TRUE\0") if version >= 3 else (b"FALSE\0\0\0", b"TRUE\0\0\0\0")
    return base == "int8" and size == 1 and count == 2 and body[20:].startswith(b"".join(names) + b"\0\1")


def values_of(data: Bytes, body: bytes, shape: tuple[int, ...], itemsize: int) -> int | bytes:
    """Where the values of a tensor are, from its layout message (IV.A.2.i): an address, or the bytes themselves.

    Raises FormatError unless exactly the bytes that the shape needs are stored, in one piece.
    """
    nbytes = math.prod(shape) * itemsize
    version, kind = unpack("<2B", body)
    if version not in (3, 4):
        raise FormatError(f"its values are laid out in an unknown way (version {version}).")
    if kind == 0:
        (stored,) = unpack("<H", body, 2)
        if stored == nbytes:
            return body[4 : 4 + stored]
    elif kind == 1:
        address, stored = unpack("<2Q", body, 2)
        stored = 0 if address == UNDEFINED else stored
        if stored == nbytes:
            if nbytes and address + nbytes > data.size:
                raise FormatError("its values end behind the end of the file, which is truncated.")
            return address if nbytes else b""
    elif kind == 2:
        raise FormatError(
            "its values are stored in chunks (compressed, perhaps), which are not read. Rewrite it with h5repack -l CONTI."
        )
    else:
        raise FormatError("its values lie in another file (a virtual Dataset).")
    raise FormatError(f"it declares shape {shape}, {nbytes:,} bytes, but {stored:,} bytes are stored for it.")


# ---- attributes ----------------------------------------------------------------------------------------------------------


def attribute(body: bytes) -> tuple[str, bytes, tuple[int, ...], bytes]:
    """(name, datatype bytes, shape, value bytes) of an attribute message (IV.A.2.m)."""
    version, _, name_size, type_size, space_size = unpack("<2B3H", body)
    if version not in (1, 2, 3):
        raise FormatError("an attribute is damaged.")
    at = 9 if version == 3 else 8
    fields = []
    for size in (name_size, type_size, space_size):
        fields.append(body[at : at + size])
        at += -(-size // 8) * 8 if version == 1 else size
    name, datatype, space = fields
    return name.rstrip(b"\0").decode("utf-8", "replace"), datatype, shape_of(space), body[at:]


def texts(data: Bytes, datatype: bytes, shape: tuple[int, ...], value: bytes) -> str | list[str] | None:
    """The strings in an attribute's value: a list, or one string for a scalar; None if it holds none."""
    count = math.prod(shape) if shape is not None else 0
    (size,) = unpack("<I", datatype, 4)
    kind = datatype[0] & 15
    if count * size > len(value):
        raise FormatError("an attribute is cut off.")
    if kind == 3:
        found = [value[i * size : (i + 1) * size].split(b"\0")[0] for i in range(count)]
    elif kind == 9 and datatype[1] & 15 == 1 and size == 16:
        found = [_from_heap(data, *unpack("<IQI", value, 16 * i)) for i in range(count)]
    else:
        return None
    found = [f.decode("utf-8", "replace") for f in found]
    return found if shape else found[0] if found else None


def _from_heap(data: Bytes, length: int, address: int, index: int) -> bytes:
    """A string of variable length from the global heap (III.E)."""
    if address not in data.heaps:
        data.heaps[address] = dict(_heap_objects(data, address))
    if index not in data.heaps[address]:
        raise FormatError("the text of an attribute is missing.")
    return data.heaps[address][index][:length].rstrip(b"\0")


def _heap_objects(data: Bytes, address: int):
    head = data.at(address, 16)
    (size,) = unpack("<Q", head, 8)
    if head[:4] != b"GCOL":
        raise FormatError("the text of an attribute is missing.")
    block, at = data.at(address, size), 16
    while at + 16 <= size:
        number, _, _, stored = unpack("<HHIQ", block, at)
        if number == 0:
            return
        yield number, block[at + 16 : at + 16 + stored]
        at += 16 + -(-stored // 8) * 8
