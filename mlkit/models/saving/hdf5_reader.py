"""The HDF5 container of weights: its whole tree is checked, without reading a value, before anything is taken from it."""

import itertools
import math
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.models.saving import hdf5_format as form
from mlkit.models.saving.zip_reader import check_name, file_kind
from mlkit.objects.errors import ModelFileError

MAX_OBJECTS = 1_000_000
MAX_DEPTH = 64
_SPACE, _TYPE, _LINK, _EXTERNAL, _LAYOUT, _FILTER, _ATTRIBUTE, _TABLE = 0x1, 0x3, 0x6, 0x7, 0x8, 0xB, 0xC, 0x11


class StoredTensor:
    """A tensor in a file, not read yet: shape (tuple), dtype (name), nbytes."""

    __slots__ = ("_data", "_values", "dtype", "name", "nbytes", "path", "shape")

    def __init__(self, data: form.Bytes, path: str, name: str, shape: tuple[int, ...], dtype: str, values: int | bytes):
        self._data, self._values = data, values  # the values: an address, or bytes
        self.path, self.name, self.shape, self.dtype = path, name, shape, dtype
        self.nbytes = math.prod(shape) * dtypes.as_numpy(dtype).itemsize

    @property
    def extent(self):
        """(first, last + 1) address of the values, or None."""
        return (self._values, self._values + self.nbytes) if isinstance(self._values, int) else None

    def read(self, allow_nonfinite: bool = False) -> np.ndarray:
        """The values as a NumPy array. Raises ModelFileError for damage, and for NaN or infinity unless these are allowed."""
        raw = np.empty(self.nbytes, "uint8")
        if isinstance(self._values, int):
            try:
                self._data.read_into(self._values, raw)
            except (form.FormatError, OSError) as error:
                raise ModelFileError(self.path, self.name, str(error)) from error
        else:
            raw[:] = np.frombuffer(self._values, "uint8")
        if self.dtype == "bool" and raw.size and raw.max() > 1:
            raise ModelFileError(self.path, self.name, "the tensor has truth values that are neither 0 nor 1.")
        values = raw.view(dtypes.as_numpy(self.dtype)).reshape(self.shape)
        if not allow_nonfinite and dtypes.is_float(self.dtype) and not is_finite(values):
            raise ModelFileError(
                self.path,
                self.name,
                "the tensor has NaN or infinite values.",
                "If they are meant, load with allow_nonfinite=True.",
            )
        return values


def is_finite(values: np.ndarray) -> bool:
    """Whether a float array has neither NaN nor infinity; without a temporary of its size."""
    if values.size == 0:
        return True
    if values.dtype.kind == "V":  # bfloat16
        values = values.astype("float32")
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


class TensorFile:
    """A checked HDF5 file: `tensors` maps "layers/dense/vars/0" to a StoredTensor, `groups` names all groups.

    file: binary file object, seekable. path: what error messages call the file.

    Raises ModelFileError for links other than plain ones, storage outside the file, compression, types other than numbers,
    groups that are reached twice, overlapping or missing data.
    """

    def __init__(self, file: Any, path: str):
        self.path = path
        self._attributes = {"": []}  # group -> bodies of its attribute messages
        self.tensors = {}
        file.seek(0)
        head = file.read(8)
        if head != form.SIGNATURE:
            raise ModelFileError(
                path, "", f"it is no HDF5 file but {file_kind(head)}.", "Expected a file of weights (.weights.h5)."
            )
        self._data = form.Bytes(file)
        place = ""
        try:
            todo = self._group(place, form.messages(self._data, form.root_address(self._data)))
            while todo:
                place, address = todo.pop()
                if address is None:
                    raise form.FormatError("it is a soft link (SoftLink), which could lead anywhere. Links are not read.")
                todo += self._object(place, form.messages(self._data, address))
        except form.FormatError as error:
            raise ModelFileError(path, place, str(error)) from error
        self._check_overlaps()

    @property
    def groups(self):
        """Names of all groups; "" is the root."""
        return self._attributes.keys()

    def attribute(self, group: str, name: str) -> str | list[str] | None:
        """A text or list of texts kept as attribute of a group, or None."""
        try:
            for body in self._attributes[group]:
                key, datatype, shape, value = form.attribute(body)
                if key == name:
                    return form.texts(self._data, datatype, shape, value)
        except form.FormatError as error:
            raise ModelFileError(self.path, f"{group}@{name}", str(error)) from error
        return None

    def _object(self, place: str, messages: list[tuple[int, bytes]]):
        """Note a group or tensor; what is in it still to be visited."""
        if len(self.tensors) + len(self._attributes) > MAX_OBJECTS:
            raise form.FormatError(f"the file holds more than {MAX_OBJECTS:,} groups and tensors.")
        if any(kind == _LAYOUT for kind, _ in messages):
            self.tensors[place] = self._tensor(place, messages)
            return []
        return self._group(place, messages)

    def _group(self, place: str, messages: list[tuple[int, bytes]]):
        for kind, body in messages:
            if kind == _LINK:
                raise form.FormatError(f"it has {form.link_kind(body)} in it. Links are not read.")
        tables = [body for kind, body in messages if kind == _TABLE]
        if len(tables) != 1:
            raise form.FormatError("it is neither a group nor a tensor.")
        if place.count("/") >= MAX_DEPTH:
            raise form.FormatError(f"groups are nested deeper than {MAX_DEPTH} levels.")
        self._attributes[place] = [body for kind, body in messages if kind == _ATTRIBUTE]
        names, found = set(), []
        for name, address in form.children(self._data, tables[0]):
            check_name(name, self.path, names)
            found.append((f"{place}/{name}" if place else name, address))
        return found

    def _tensor(self, place: str, messages: list[tuple[int, bytes]]):
        parts = dict(messages)
        if _EXTERNAL in parts:
            raise form.FormatError("its values lie in another file (external storage).")
        if _SPACE not in parts or _TYPE not in parts:
            raise form.FormatError("it is damaged: it has no shape or type.")
        shape = form.shape_of(parts[_SPACE])
        if shape is None:
            raise form.FormatError("it has no shape.")
        dtype, size = form.dtype_of(parts[_TYPE])
        if dtype == "opaque":
            # HDF5 has had no bfloat16; Keras writes bare bytes and says so in an attribute
            said = [form.texts(self._data, t, s, v) for n, t, s, v in self._parsed_attributes(messages) if n == "dtype"]
            dtype = "bfloat16" if size == 2 and said == ["bfloat16"] else None
        if dtype is None:
            raise form.FormatError("its type is none of numbers or truth values in this machine's byte order.")
        if _FILTER in parts:
            raise form.FormatError(
                "its values are compressed or filtered, which is not read. Rewrite it with h5repack -f NONE -l CONTI."
            )
        return StoredTensor(self._data, self.path, place, shape, dtype, form.values_of(self._data, parts[_LAYOUT], shape, size))

    def _parsed_attributes(self, messages: list[tuple[int, bytes]]):
        return [form.attribute(body) for kind, body in messages if kind == _ATTRIBUTE]

    def _check_overlaps(self):
        extents = sorted((*t.extent, t.name) for t in self.tensors.values() if t.extent)
        for (_, end, first), (begin, _, second) in itertools.pairwise(extents):
            if begin < end:
                raise ModelFileError(self.path, second, f"its values overlap with those of {first!r}.")
