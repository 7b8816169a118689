"""The container of a `.keras` file: a zip archive that is checked as a whole before a byte of it is interpreted."""

import io
import os
import re
import struct
import zipfile
import zlib
from typing import IO, Any

from mlkit.core.messages import inside
from mlkit.objects.errors import ModelFileError

MAX_MEMBERS = 1_000
_NAME = re.compile(r"[A-Za-z0-9_.:/ -]{1,200}")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_SMALL = 16 * 2**20  # what may be unpacked whatever the file's size; JSON shrinks 20-fold
_CHUNK = 2**20
_FOREIGN = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file; weights are read by model.load_weights() from files ending in .weights.h5 or .h5",
    b"\x80\x04": "a Python pickle, which mlkit does not read: it can run code",
    b"\x80\x02": "a Python pickle, which mlkit does not read: it can run code",
    b"\x1f\x8b": "a gzip archive",
    b"<!DO": "an HTML page; the download went wrong",
    b"<htm": "an HTML page; the download went wrong",
    b"vers": "a git-lfs pointer; fetch the real file with `git lfs pull`",
    b"{": "a JSON text",
}


def file_kind(head: bytes) -> str:
    """What a file that starts with these bytes is, in words."""
    if not head.strip(b"\0"):
        return "empty" if not head else "a run of zero bytes"
    return next((words for start, words in _FOREIGN.items() if head.startswith(start)), "of an unknown kind")


def check_name(name: str, path: str, seen: set[str] | None = None) -> None:
    """Refuse a name of a member, group or tensor that could be read as something else: rules for all containers."""
    parts = name.split("/")
    if not _NAME.fullmatch(name) or name.startswith("/") or any(p in ("", ".", "..") or _DEVICES.fullmatch(p) for p in parts):
        raise ModelFileError(path, repr(name[:80]), "this name is not allowed in a model file.")
    if seen is not None:
        if name.casefold() in seen:
            raise ModelFileError(path, repr(name), "this name occurs twice.")
        seen.add(name.casefold())


class Archive:
    """The members of a zip archive, all of them checked.

    file: binary file object, seekable. path: what error messages call it. Members are stored or deflated; together they may
    unpack to three times the size of the file, or 16 MB.

    Raises ModelFileError for anything but a complete, plain archive: duplicate or irregular names, links, encryption, other
    compression, overlapping members, wrong checksums, surplus bytes around it.
    """

    def __init__(self, file: IO[bytes], path: str):
        self.path = path
        self.size = file.seek(0, os.SEEK_END)
        _check_ends(file, self.size, path)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
            raise ModelFileError(path, "", f"the zip archive is damaged or truncated: {inside(error)}.") from error
        self._file = file
        self.members = {}  # name -> ZipInfo
        seen = set()
        for info in self._zip.infolist():
            check_name(info.orig_filename, path, seen)
            _check_member(info, path)
            self.members[info.orig_filename] = info
        self._starts = self._data_starts()
        total = sum(i.file_size for i in self.members.values())
        if total > max(_SMALL, 3 * self.size):
            raise ModelFileError(
                path, "", f"its members would unpack from {self.size:,} to {total:,} bytes.",
                "mlkit unpacks to at most 3 times the file's size; if the file is genuine, repack it without compression "
                "(zip -0).",
            )  # fmt: skip
        for name in self.members:
            self._check_sum(name)

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def read(self, name: str) -> bytes:
        """The bytes of a member."""
        with self._zip.open(self.members[name]) as f:
            return f.read()

    def start(self, name: str) -> int:
        """Address in the file at which the data of a member begin."""
        return self._starts[name]

    def open(self, name: str) -> "Section":
        """A member as a seekable binary file; a stored one is read in place."""
        info = self.members[name]
        if info.compress_type == 0:
            return Section(self._file, self._starts[name], info.file_size)
        return io.BytesIO(self.read(name))

    def _data_starts(self) -> dict[str, int]:
        """Where each member's data begin; on the way, refuse members that overlap or leave the file."""
        starts, taken = {}, []
        for name, info in self.members.items():
            self._file.seek(max(0, info.header_offset))
            header = self._file.read(30)
            if info.header_offset < 0 or len(header) < 30 or header[:4] != b"PK\3\4":
                raise ModelFileError(self.path, name, "its header is missing; the archive is damaged.")
            name_size, extra_size = struct.unpack("<HH", header[26:30])
            starts[name] = info.header_offset + 30 + name_size + extra_size
            taken.append((info.header_offset, starts[name] + info.compress_size, name))
        taken.sort()
        for (_, end, _), (begin, _, name) in zip(taken, [*taken[1:], (self._zip.start_dir, 0, "the directory")]):
            if end > begin:
                raise ModelFileError(self.path, name, "it overlaps with another member of the archive.")
        return starts

    def _check_sum(self, name: str) -> None:
        """Read a member through, piece by piece, which compares its size and checksum."""
        try:
            size = 0
            with self._zip.open(self.members[name]) as f:
                while piece := f.read(_CHUNK):
                    size += len(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, struct.error) as error:
            raise ModelFileError(
                self.path, name, f"it is damaged: {inside(error)}.", "Copy or download the file again."
            ) from error
        if size != self.members[name].file_size:
            raise ModelFileError(self.path, name, f"it has {size:,} bytes instead of {self.members[name].file_size:,}.")


def _check_ends(file: IO[bytes], size: int, path: str) -> None:
    """Whether the file begins and ends as an archive does, with a directory of moderate size.

    The directory must be the last thing in the file: then there is one way only to read it.
    """
    file.seek(0)
    head = file.read(8)
    if head[:4] != b"PK\3\4":
        if head[:4] == b"PK\5\6":
            raise ModelFileError(path, "", "it is an archive without members.")
        raise ModelFileError(
            path, "", f"it is no zip archive but {file_kind(head)}.", "Expected a .keras file of mlkit or Keras 3."
        )
    file.seek(max(0, size - 42))
    tail = file.read(42)
    end = tail[-22:]
    if len(tail) < 42 or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise ModelFileError(path, "", "it is truncated, or something was appended: the archive's directory is not at its end.")
    count, directory_size = struct.unpack("<HI", end[10:16])
    if tail[:4] == b"PK\6\7":  # a large archive: its real figures are in a record of its own
        file.seek(max(0, size - 42 - 56))
        record = file.read(56)
        if record[:4] != b"PK\6\6":
            raise ModelFileError(path, "", "the archive's directory is damaged.")
        count, directory_size = struct.unpack("<QQ", record[32:48])
    if count > MAX_MEMBERS or directory_size > 1000 * MAX_MEMBERS:
        raise ModelFileError(path, "", f"the archive lists {count:,} members; at most {MAX_MEMBERS:,} are read.")


def _check_member(info, path: str):
    kind = info.external_attr >> 28  # file type bits of a Unix mode: 0 none, 4 folder, 8 regular file
    if info.is_dir() or (info.create_system == 3 and kind not in (0, 8)):
        raise ModelFileError(path, info.orig_filename, "it is no regular file but a folder, link or device.")
    if info.flag_bits & 0x1:
        raise ModelFileError(path, info.orig_filename, "it is encrypted.")
    if info.compress_type not in (0, 8):
        raise ModelFileError(
            path, info.orig_filename, f"it is compressed by method {info.compress_type}; only stored and deflate are read."
        )
    if info.compress_type == 0 and info.file_size != info.compress_size:
        raise ModelFileError(path, info.orig_filename, "its sizes contradict each other.")


class Section(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: IO[bytes], start: int, size: int):
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        n = max(0, min(len(buffer), self._size - self._at))
        self._file.seek(self._start + self._at)
        data = self._file.read(n)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
