"""Weights spread over several files of bounded size: `m.weights.json` says which groups lie in `m_00000.weights.h5` and so on."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.typing import FilePath
from mlkit.models.saving.config_check import MAX_BYTES, parse_json
from mlkit.models.saving.hdf5_reader import TensorFile
from mlkit.models.saving.replacing import replacing
from mlkit.models.saving.zip_reader import check_name
from mlkit.objects.errors import ModelFileError

h5py = Deferred("h5py")  # files are read without it

ENDING = ".weights.json"
_SHARD = ".weights.h5"

# ---- writing -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def writing_shards(path: str, max_shard_size: float, overwrite: bool = True) -> Iterator["ShardWriter"]:
    """A block that writes groups of tensors as into one h5py.File. At its end all files are there, the one that lists the others
    last; after an error nothing has changed.

    max_shard_size: of a file, in GB of 2^30 bytes.
    """
    with contextlib.ExitStack() as files:
        index = files.enter_context(replacing(path, overwrite))
        writer = ShardWriter(path, max_shard_size, files)
        yield writer
        writer.close()
        index.write(json.dumps({"metadata": {"total_size": writer.total}, "weight_map": writer.places}, indent=4).encode())


class ShardWriter:
    """An h5py.File of which only groups are made; their tensors go into the file that is being filled."""

    def __init__(self, path: str, max_shard_size: float, files: contextlib.ExitStack):
        self._base, self._limit, self._files = path.removesuffix(ENDING), max_shard_size * 2**30, files
        self._file, self._filled, self._names = None, 0.0, []
        self.total, self.places = 0, {}

    def create_group(self, path: str) -> "_SpreadGroup":
        return _SpreadGroup(self, path)

    def group_for(self, path: str, key: str, size: int) -> Any:
        """The group of that path in a file that has room for a tensor of so many bytes."""
        if size > self._limit:
            raise ValueError(
                f"save_weights: {path}/{key} has {size:,} bytes, but `max_shard_size` allows {int(self._limit):,} in a file. "
                "Give a larger `max_shard_size`."
            )
        if self._file is None or self._filled + size > self._limit:
            self.close()
            shard = f"{self._base}_{len(self._names):05}{_SHARD}"
            self._names.append(os.path.basename(shard))
            file = self._files.enter_context(replacing(shard))
            self._file, self._filled = self._files.enter_context(h5py.File(file, "w")), 0  # closed before `file` is
        self._filled += size
        self.total += size
        held = self.places.setdefault(f"/{path}", [])
        if self._names[-1] not in held:
            held.append(self._names[-1])
        return self._file.require_group(path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _SpreadGroup:
    """A group whose tensors may lie in several files, each of which has its attributes."""

    def __init__(self, writer: ShardWriter, path: str):
        self._writer, self._path, self._parts, self.attrs = writer, path, {}, {}

    def create_dataset(self, key: str, data: np.ndarray) -> Any:
        group = self._writer.group_for(self._path, key, data.nbytes)
        group.attrs.update(self.attrs)
        self._parts[key] = group
        return group.create_dataset(key, data=data)

    def __getitem__(self, key: str) -> Any:
        return self._parts[key][key]

    def __delitem__(self, key: str) -> None:
        del self._parts.pop(key)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


# ---- reading -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened_shards(path: FilePath) -> Iterator["ShardedTensors"]:
    """The tensors of all files that a `.weights.json` lists, as those of one TensorFile."""
    path = os.fspath(path)
    with contextlib.ExitStack() as files:
        index = _index(path)
        shards = {}
        for name in sorted({name for held in index.values() for name in held}):
            shard = os.path.join(os.path.dirname(path), name)
            try:
                shards[name] = TensorFile(files.enter_context(open(shard, "rb")), shard)
            except OSError as error:
                raise ModelFileError(path, name, f"the file it lists cannot be read: {error.strerror}.") from error
        yield ShardedTensors(path, index, shards)


def _index(path: str) -> dict[str, list[str]]:
    """group -> names of the files that hold its tensors."""
    try:
        with open(path, "rb") as file:
            parsed = parse_json(file.read(MAX_BYTES + 1), path, "")
    except FileNotFoundError as error:
        raise ModelFileError(path, "", "File not found.") from error
    except OSError as error:
        raise ModelFileError(path, "", f"it cannot be read: {error.strerror}.") from error
    held = parsed.get("weight_map")
    if not isinstance(held, dict):
        raise ModelFileError(path, "weight_map", "it is missing, so this is no list of files of weights.")
    index = {group.lstrip("/"): [names] if isinstance(names, str) else names for group, names in held.items()}
    for group, names in index.items():
        if not isinstance(names, list) or not all(isinstance(n, str) and n.endswith(_SHARD) and "/" not in n for n in names):
            raise ModelFileError(
                path, f"weight_map, {group[:80]!r}", f"expected names of files beside it that end in {_SHARD!r}."
            )
        for name in names:
            check_name(name, path)
    return index


class ShardedTensors:
    """What a TensorFile is, of several files."""

    def __init__(self, path: str, index: dict[str, list[str]], shards: dict[str, TensorFile]):
        self.path, self._shards = path, list(shards.values())
        self.tensors, found = {}, {}
        for name, shard in shards.items():
            for tensor in shard.tensors:
                if tensor in self.tensors:
                    raise ModelFileError(path, name, f"{tensor} lies in two of the files.")
                found.setdefault(tensor.rpartition("/")[0], set()).add(name)
            self.tensors.update(shard.tensors)
        if found != {group: set(names) for group, names in index.items()}:
            differing = next(g for g in {*found, *index} if found.get(g) != set(index.get(g, ())))
            raise ModelFileError(path, f"weight_map, {differing!r}", "the files that it lists hold other tensors.")

    @property
    def groups(self) -> set[str]:
        return {group for shard in self._shards for group in shard.groups}

    def attribute(self, group: str, name: str) -> str | list[str] | None:
        return next((shard.attribute(group, name) for shard in self._shards if group in shard.groups), None)
