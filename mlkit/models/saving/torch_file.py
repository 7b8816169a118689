"""State dicts of PyTorch (`.pth`), in the zip archives of today and in the older form, read without PyTorch and without
pickle."""

import dataclasses
import functools
import math
from typing import IO, Any

import numpy as np

from mlkit.core import dtypes
from mlkit.models.saving import hdf5_format as form
from mlkit.models.saving.hdf5_reader import StoredTensor
from mlkit.models.saving.pickle_data import PickleError, load_pickle
from mlkit.models.saving.zip_reader import Archive, check_name, file_kind
from mlkit.objects.errors import ModelFileError, reading

_MAGIC = 0x1950A86A20F9469CFC6C  # the number that files of the older form begin with
_DTYPES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}  # fmt: skip
_WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys under which training scripts keep the state dict


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A run of numbers in the file: its key, dtype and length."""

    key: str
    dtype: str
    count: int


@dataclasses.dataclass(frozen=True)
class _Record:
    """A tensor as the pickle describes it: where in which storage, and of what shape."""

    storage: _Storage
    offset: int
    shape: tuple
    order: tuple  # its axes, slowest first, as the numbers lie in the file


class PermutedTensor:
    """A StoredTensor read with its axes in another order: how weights that came from TensorFlow lie in PyTorch's files."""

    def __init__(self, stored, order):
        self._stored, self._back = stored, tuple(order.index(i) for i in range(len(order)))
        self.name, self.dtype, self.nbytes = stored.name, stored.dtype, stored.nbytes
        self.shape = tuple(stored.shape[i] for i in self._back)

    def read(self, allow_nonfinite: bool = False) -> np.ndarray:
        """The values as a NumPy array; see StoredTensor.read."""
        return self._stored.read(allow_nonfinite).transpose(self._back)


def read_torch_file(file: IO[bytes], path: str) -> dict[str, Any]:
    """The tensors of a state dict: name -> StoredTensor, not read yet.

    file: binary file object, seekable. path: what error messages call it.

    Raises ModelFileError for anything but a state dict of plain tensors.
    """
    with reading(path):
        file.seek(0)
        is_zip = file.read(4) == b"PK\3\4"
        file.seek(0)
        records, starts = _read_archive(file, path) if is_zip else _read_older(file, path)
        data, found, names = form.Bytes(file), {}, set()
        for name, record in _tensors_of(records, path).items():
            check_name(name, path, names)
            size = dtypes.as_numpy(record.storage.dtype).itemsize
            address = starts[record.storage.key] + record.offset * size
            stored = StoredTensor(data, path, name, tuple(record.shape[i] for i in record.order), record.storage.dtype, address)
            found[name] = PermutedTensor(stored, record.order)
        return found


def _tensors_of(content, path: str):
    """The entries of the state dict that are tensors."""
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    found = {k: v for k, v in content.items() if isinstance(v, _Record)} if isinstance(content, dict) else {}
    if not found:
        raise ModelFileError(path, "", "it holds no state dict: no tensors under names.", "Save model.state_dict() in PyTorch.")
    return found


def _unpickle(file: IO[bytes], storages):
    """The content of a pickle; storages: filled with those it refers to, by key."""

    def persistent(reference):
        kind, dtype, key, _, count = reference[:5]
        if kind != "storage" or not isinstance(dtype, str) or not isinstance(key, str) or not _is_size(count):
            raise PickleError("it refers to something that is no storage of numbers.")
        storage = _Storage(key, dtype, count)
        if storages.setdefault(key, storage) != storage:
            raise PickleError(f"the storage {key!r:.50} is described in two ways.")
        return storage

    makers = {f"torch.{name}": dtype for name, dtype in _DTYPES.items()}
    makers |= {"collections.OrderedDict": dict, "torch._utils._rebuild_tensor_v2": _tensor}
    return load_pickle(file, makers, persistent)


def _tensor(storage, offset, shape, stride, requires_grad=False, hooks=None, metadata=None):
    if not isinstance(storage, _Storage) or not all(map(_is_size, (offset, *shape, *stride))) or len(shape) != len(stride):
        raise PickleError("it describes a tensor in a way that is not understood.")
    order = tuple(sorted(range(len(shape)), key=lambda i: (-stride[i], i)))
    dense = 1
    for i in reversed(order):
        if shape[i] > 1 and stride[i] != dense:
            raise PickleError(f"a tensor of shape {shape} does not lie in one piece; save its .contiguous() form.")
        dense *= shape[i]
    if offset + math.prod(shape) > storage.count:
        raise PickleError(f"a tensor of shape {shape} reaches beyond its {storage.count} numbers.")
    return _Record(storage, offset, tuple(shape), order)


def _is_size(value):
    return type(value) is int and 0 <= value < 2**48


def _bytes_of(storage):
    return storage.count * dtypes.as_numpy(storage.dtype).itemsize


def _read_archive(file: IO[bytes], path: str):
    """(content, key of a storage -> address) of a zip archive."""
    archive = Archive(file, path)
    pickles = [name for name in archive.members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ModelFileError(path, "", "it is a zip archive, but has no data.pkl, so it is no file of torch.save().")
    prefix = pickles[0].removesuffix("data.pkl")
    order = f"{prefix}byteorder"
    if order in archive and archive.read(order) != b"little":
        raise ModelFileError(path, order, "its numbers are not in little-endian order.")
    storages = {}
    content = _unpickle(archive.open(pickles[0]), storages)
    starts = {}
    for key, storage in storages.items():
        member = f"{prefix}data/{key}"
        info = archive.members.get(member)
        if info is None or info.compress_type != 0 or info.file_size != _bytes_of(storage):
            raise ModelFileError(path, member, f"this member is missing, compressed or not of {_bytes_of(storage):,} bytes.")
        starts[key] = archive.start(member)
    return content, starts


def _read_older(file: IO[bytes], path: str):
    """The same of a file of the older form: five pickles, then each storage behind its length."""
    plain = functools.partial(load_pickle, file, {})
    head = file.read(15)
    file.seek(0)
    if not head.startswith(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"):
        raise ModelFileError(path, "", f"it is no file of torch.save() but {file_kind(head)}.")
    magic, version, system = plain(), plain(), plain()
    if magic != _MAGIC or version != 1001 or system.get("little_endian") is not True:
        raise ModelFileError(path, "", f"its version ({version!r:.20}) or byte order is not read.")
    storages = {}
    content = _unpickle(file, storages)
    keys = plain()
    if not isinstance(keys, list) or set(keys) != set(storages) or len(set(keys)) != len(keys):
        raise ModelFileError(path, "", "the list of its storages does not agree with its tensors.")
    starts, at, size = {}, file.tell(), file.seek(0, 2)
    for key in keys:
        file.seek(at)
        if int.from_bytes(file.read(8), "little") != storages[key].count:
            raise ModelFileError(path, key, "a storage has another length than its tensors say; the file is damaged.")
        starts[key], at = at + 8, at + 8 + _bytes_of(storages[key])
    if at != size:
        raise ModelFileError(path, "", f"it has {size:,} bytes, but its tensors end at {at:,}: it is truncated or damaged.")
    return content, starts
