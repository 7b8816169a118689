"""Archives that are not what they should be are refused, quickly and in words."""

import io
import struct
import time
import tracemalloc
import warnings
import zipfile

import pytest

from mlkit.models.saving.zip_reader import Archive
from mlkit.objects.errors import ModelFileError

GOOD = {"metadata.json": b"{}", "config.json": b'{"a": 1}' * 100, "model.weights.h5": bytes(range(256)) * 50}


def packed(members=GOOD, **options):
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", **options) as z:
        warnings.simplefilter("ignore")
        for name, data in members.items() if isinstance(members, dict) else members:
            z.writestr(name, data)
    return file.getvalue()


def with_attributes(mode):
    info = zipfile.ZipInfo("config.json")
    info.create_system, info.external_attr = 3, mode << 16
    return packed([(info, b"target")])


def patched(data, old, new, count=-1):
    assert old in data
    return data.replace(old, new, count)


def central(data, offset, value, member=0):
    """The archive with a field of a directory entry overwritten."""
    at = -1
    for _ in range(member + 1):
        at = data.index(b"PK\1\2", at + 1)
    return data[: at + offset] + value + data[at + offset + len(value) :]


def overlapping():
    """Two names for the same bytes: the second directory entry points at the first member."""
    data = packed({"a": b"x" * 100, "b": b"x" * 100})
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    return data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]


def bomb():
    return packed({"config.json": b"\0" * (200 * 2**20)}, compression=zipfile.ZIP_DEFLATED)


BAD = {
    "empty file": (b"", "empty"),
    "zero bytes": (b"\0" * 100, "zero bytes"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5"),
    "pickle": (b"\x80\x04" + b"." * 100, "pickle"),
    "web page": (b"<!DOCTYPE html>" * 10, "HTML page"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\n" * 2, "git-lfs"),
    "no members": (packed({}), "without members"),
    "truncated": (packed()[:-30], "truncated"),
    "half": (packed()[: len(packed()) // 2], "truncated"),
    "appended": (packed() + b"more", "appended"),
    "prefix": (b"MZ" + packed(), "no zip archive"),
    "duplicate": (packed([("config.json", b"1"), ("config.json", b"2")]), "twice"),
    "duplicate but for case": (packed({"config.json": b"1", "CONFIG.json": b"2"}), "twice"),
    "parent folder": (packed({"../config.json": b"1"}), "not allowed"),
    "parent folder inside": (packed({"a/../../b": b"1"}), "not allowed"),
    "absolute": (packed({"/etc/passwd": b"1"}), "not allowed"),
    "backslash": (packed({"..\\x": b"1"}), "not allowed"),
    "control character": (packed({"a\nb": b"1"}), "not allowed"),
    "device": (packed({"assets/COM1.txt": b"1"}), "not allowed"),
    "long name": (packed({"a" * 300: b"1"}), "not allowed"),
    "folder": (packed({"assets/": b""}), "not allowed"),
    "link": (with_attributes(0o120777), "link"),
    "pipe": (with_attributes(0o010666), "device"),
    "encrypted": (central(packed(), 8, b"\1\0"), "encrypted"),
    "bzip2": (packed(compression=zipfile.ZIP_BZIP2), "compressed by method"),
    "wrong checksum": (patched(packed(), GOOD["config.json"], b"[" + GOOD["config.json"][1:]), "damaged"),
    "wrong size": (central(packed(), 24, struct.pack("<I", 10**9)), "contradict"),
    "overlapping": (overlapping(), "overlaps"),
    "names differ": (patched(packed(), b"config.json", b"konfig.json", 1), "damaged"),
    "header points nowhere": (central(packed(), 42, struct.pack("<I", 10**8)), "header is missing"),
    "bomb": (bomb(), "unpack"),
    "many members": (packed({f"m{i}": b"" for i in range(2000)}), "lists 2,000 members"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_archives_are_refused_in_time_and_memory(name):
    data, words = BAD[name]
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ModelFileError, match=words):
        Archive(io.BytesIO(data), "model.keras")
    assert time.perf_counter() - start < 2
    assert tracemalloc.get_traced_memory()[1] < 3 * len(data) + 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read(compression):
    archive = Archive(io.BytesIO(packed(compression=compression)), "model.keras")
    assert set(archive.members) == set(GOOD)
    for name, data in GOOD.items():
        assert archive.read(name) == data
        with archive.open(name) as f:
            assert f.read(10) == data[:10]
            f.seek(-5, io.SEEK_END)
            assert f.read() == data[-5:]


def test_large_archives_have_larger_records():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z, z.open("config.json", "w", force_zip64=True) as member:
        member.write(b"{}")
    assert Archive(file, "x").read("config.json") == b"{}"


def test_every_truncation_and_every_changed_byte_ends_in_the_one_error_or_is_harmless():
    data = packed({"metadata.json": b"{}", "config.json": b"[1, 2]"})
    for cut in range(len(data)):
        with pytest.raises(ModelFileError):
            Archive(io.BytesIO(data[:cut]), "x")
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        try:
            archive = Archive(io.BytesIO(changed), "x")
        except ModelFileError:
            continue
        assert {archive.read(m) for m in archive.members} <= {b"{}", b"[1, 2]"}
