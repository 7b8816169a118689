"""The layers of a `.caffemodel` file and their arrays: messages NetParameter, LayerParameter and BlobProto of Caffe."""

import dataclasses
import math
from typing import IO

import numpy as np

from mlkit.core.messages import inside
from mlkit.models.saving.caffe.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Budget,
    Field,
    WireError,
    fields,
    fields_of_file,
    varint,
)
from mlkit.models.saving.hdf5_reader import is_finite
from mlkit.objects.errors import ModelFileError

MAX_FILE = 2**31 - 1  # bytes of a protobuf message
MAX_FIELDS = 100_000
MAX_LAYERS = 20_000
MAX_AXES = 32
_MAX_SIZE = 2**31 - 1  # of an axis
_LAYERS, _LAYER = 2, 100  # fields of NetParameter: the layers of version 1, and those of today
_V0, _DATA, _DOUBLES, _SHAPE, _DIM = 1, 5, 8, 7, 1
_AXES = (1, 2, 3, 4)  # num, channels, height, width: the shape in files of older versions
_NUMBERS = {_DATA: (FIXED32, "<f4"), _DOUBLES: (FIXED64, "<f8")}
TYPES = {  # of version 1, which are those of today that carry weights
    4: "Convolution", 39: "Deconvolution", 14: "InnerProduct",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class StoredLayer:
    """A layer in a file. type: "Convolution", say, or "" for one of version 1 that has no weights."""

    name: str
    type: str
    blobs: list[np.ndarray]


def read_layers(file: IO[bytes], size: int, path: str, allow_nonfinite: bool) -> list[StoredLayer]:
    """The layers of a file in their order, those without weights included.

    file: at its beginning. size: its bytes. path: what error messages call it.

    Raises ModelFileError for what is no such file, is truncated or damaged, or reaches beyond the limits above.
    """
    if size > MAX_FILE:
        raise ModelFileError(path, "", f"it has {size:,} bytes; a protobuf message has at most {MAX_FILE:,}.")
    found: list[StoredLayer] = []
    versions, budget = set(), Budget(MAX_FIELDS)
    place = ""
    try:
        for field in fields_of_file(file, size, budget):
            if field.kind != BYTES or field.number not in (_LAYERS, _LAYER):
                continue
            versions.add(field.number)
            place = f"layer {len(found)}"
            if len(found) == MAX_LAYERS:
                raise WireError(f"it has more than {MAX_LAYERS:,} layers.")
            found.append(_layer(field.value, budget, path, field.number == _LAYERS, allow_nonfinite))
            place = f"behind layer {len(found) - 1} ({found[-1].name!r:.80})"
    except WireError as error:
        raise ModelFileError(
            path, place, f"{inside(error)}.", "It is no whole .caffemodel file." if not found else ""
        ) from error
    if len(versions) > 1:
        raise ModelFileError(path, "", "it has layers of two versions of Caffe's format.", "Upgrade it with Caffe's tools.")
    if not found:
        raise ModelFileError(path, "", "it has no layers: it is no .caffemodel file.")
    return found


def _layer(data, budget, path, version_1, allow_nonfinite):
    """A message LayerParameter, or V1LayerParameter, in which the fields have other numbers."""
    name_at, type_at, blobs_at = (4, 5, 6) if version_1 else (1, 2, 7)
    name, kind, blobs = "", "", []
    for field in fields(data, budget):
        if field.number == name_at and field.kind == BYTES:
            name = _text(field)
        elif field.number == type_at and field.kind == (VARINT if version_1 else BYTES):
            kind = TYPES.get(field.value, "") if version_1 else _text(field)
        elif field.number == blobs_at and field.kind == BYTES:
            blobs.append(field.value)
        elif version_1 and field.number == _V0 and field.kind == BYTES:
            raise WireError("it is in the format of 2013 (V0): upgrade it with Caffe's upgrade_net_proto_binary.")
    arrays = []
    for i, blob in enumerate(blobs):
        try:
            array = _array(blob, budget)
        except WireError as error:
            raise WireError(f"blob {i} of {name!r:.80}: {inside(error)}.") from error
        if not allow_nonfinite and not is_finite(array):
            raise ModelFileError(
                path,
                f"blob {i} of {name!r:.80}",
                "it has NaN or infinite values.",
                "If they are meant, load with allow_nonfinite=True.",
            )
        arrays.append(array)
    return StoredLayer(name, kind, arrays)


def _array(data, budget):
    """A message BlobProto."""
    shape, axes, parts = [], {}, {_DATA: [], _DOUBLES: []}
    for field in fields(data, budget):
        if field.number in _AXES and field.kind == VARINT:
            axes[field.number] = field.value
        elif field.number == _SHAPE and field.kind == BYTES:
            for part in fields(field.value, budget):
                shape += _dims(part) if part.number == _DIM else []
        elif field.number in parts and field.kind in (BYTES, _NUMBERS[field.number][0]):
            parts[field.number].append(field.value)
        if len(shape) > MAX_AXES:
            raise WireError(f"it has more than {MAX_AXES} axes.")
    sizes = tuple(axes.get(i, 0) for i in _AXES) if axes else tuple(shape)
    if any(size > _MAX_SIZE for size in sizes):
        raise WireError(f"its shape {sizes} has a size that Caffe does not allow.")
    number = _DOUBLES if any(len(p) for p in parts[_DOUBLES]) else _DATA
    dtype = np.dtype(_NUMBERS[number][1])
    there = sum(len(p) for p in parts[number])
    if math.prod(sizes) * dtype.itemsize != there or any(len(p) % dtype.itemsize for p in parts[number]):
        raise WireError(f"its shape {sizes} asks for {math.prod(sizes):,} numbers, but it has {there / dtype.itemsize:,.10g}.")
    values = np.empty(math.prod(sizes), dtype)
    at = 0
    for part in parts[number]:
        count = len(part) // dtype.itemsize
        values[at : at + count] = np.frombuffer(part, dtype)
        at += count
    return values.reshape(sizes).astype(dtype.newbyteorder("="), copy=False)


def _dims(field: Field) -> list[int]:
    """The sizes in a field, which may hold one of them or, packed, several."""
    if field.kind == VARINT:
        return [field.value]
    sizes: list[int] = []
    at = 0
    while field.kind == BYTES and at < len(field.value):
        size, at = varint(field.value, at)
        sizes.append(size)
        if len(sizes) > MAX_AXES:
            break
    return sizes


def _text(field):
    try:
        return bytes(field.value).decode()
    except UnicodeDecodeError as error:
        raise WireError("a name in it is no text in UTF-8.") from error
