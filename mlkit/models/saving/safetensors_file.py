"""Files of the safetensors format: a header in JSON, then the values. https://huggingface.co/docs/safetensors"""

import json
import math
import os
from typing import IO

from mlkit.core import dtypes
from mlkit.models.saving import hdf5_format as form
from mlkit.models.saving.config_check import parse_json
from mlkit.models.saving.hdf5_reader import StoredTensor
from mlkit.models.saving.zip_reader import check_name, file_kind
from mlkit.objects.errors import ModelFileError, reading

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
    "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def read_safetensors(file: IO[bytes], path: str) -> dict[str, StoredTensor]:
    """The tensors of a file: name -> StoredTensor, not read yet.

    file: binary file object, seekable. path: what error messages call it.

    Raises ModelFileError for a header that is too large or no JSON, and for values that overlap, leave gaps or are missing.
    """
    with reading(path):
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(8)
        length = int.from_bytes(head, "little")
        start = 8 + length
        if len(head) < 8 or start > size or file.read(1) != b"{":
            raise ModelFileError(path, "", f"it is no safetensors file but {file_kind(head)}, or it is truncated.")
        file.seek(8)
        text = file.read(length)
        header = parse_json(text, path, "header")
        if len(json.loads(text, object_pairs_hook=list)) != len(header):
            raise ModelFileError(path, "header", "a name occurs twice.")
        header.pop("__metadata__", None)
        data, names = form.Bytes(file), set()
        found = {name: _tensor(name, entry, data, start, path, names) for name, entry in header.items()}
        _check_extents(found, start, size, path)
        return found


def _tensor(name, entry, data, start, path: str, names):
    check_name(name, path, names)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(path, name, "its entry in the header should have dtype, shape and data_offsets.")
    shape, offsets = entry["shape"], entry["data_offsets"]
    sizes = isinstance(shape, list) and isinstance(offsets, list) and [*shape, *offsets]
    if sizes is False or len(offsets) != 2 or not all(type(n) is int and 0 <= n < 2**48 for n in sizes):
        raise ModelFileError(path, name, "its shape or offsets are no lists of sizes.")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise ModelFileError(path, name, f"its type {entry['dtype']!r:.30} is not read; known are {', '.join(_DTYPES)}.")
    if offsets[1] - offsets[0] != math.prod(shape) * dtypes.as_numpy(dtype).itemsize:
        raise ModelFileError(path, name, f"its shape {shape} does not take the {offsets[1] - offsets[0]:,} bytes stored.")
    return StoredTensor(data, path, name, tuple(shape), dtype, start + offsets[0])


def _check_extents(tensors, start, size, path: str):
    """The values must fill the file without gap and overlap: then there is one way only to read it."""
    at = start
    for first, last, name in sorted((*t.extent, t.name) for t in tensors.values()):
        if first != at:
            raise ModelFileError(path, name, f"its values start at byte {first:,}, though {at:,} is next.")
        at = last
    if at != size:
        raise ModelFileError(path, "", f"it has {size:,} bytes, but its tensors end at {at:,}: it is truncated or damaged.")
