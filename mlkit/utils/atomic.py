"""Files that come into being complete or not at all."""

import contextlib
import fnmatch
import os
from collections.abc import Iterator
from typing import IO

from mlkit.core.deferred import Deferred
from mlkit.core.typing import FilePath

shutil, tempfile = Deferred("shutil"), Deferred("tempfile")


@contextlib.contextmanager
def arriving(path: FilePath, sync: bool = True) -> Iterator[str]:
    """A block that writes to the name it is given, in a new folder, and beside it whatever belongs to it. At its end all that lies in
    that folder takes its place in that of `path`, what has the name of `path` last; after an error nothing has changed.

    Args:
        path: Of a file or a folder, which is replaced where there is one. Where it is a link, what that leads to is.
        sync: Whether to wait until the disk has all, so that it outlives a power cut too.

    Raises:
        OSError: The folder of `path` cannot be written to.
    """
    folder, name = os.path.split(os.path.realpath(path))
    with _told(folder):
        own = tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    try:
        yield os.path.join(own, name)
        for part in sorted(os.listdir(own), key=lambda part: part == name):
            if sync:
                _sync(os.path.join(own, part))
            _take_place(os.path.join(own, part), os.path.join(folder, part))
        if sync:
            _sync_folder(folder)
    finally:
        shutil.rmtree(own)


@contextlib.contextmanager
def arriving_file(path: FilePath, sync: bool = True) -> Iterator[IO[bytes]]:
    """`arriving` for one file that has nothing beside it: a block that writes to the file it is given. (Without a folder of its own, which
    some file systems take longer to remove than the file takes to write.)"""
    folder, name = os.path.split(os.path.realpath(path))
    own = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
    with _told(folder):
        file = open(own, "x+b")  # noqa: SIM115  (closed below, before it is renamed)
    try:
        with file:
            yield file
        if sync:
            _sync(own)
        os.replace(own, os.path.join(folder, name))
    except BaseException:
        os.remove(own)
        raise
    if sync:
        _sync_folder(folder)


def remove_unfinished(folder: FilePath, *names: str) -> None:
    """Remove what processes that were killed within `arriving` have left of files of these names, patterns as in a shell. Nobody may be
    writing them now."""
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if any(fnmatch.fnmatchcase(name, f".{pattern}.????????.tmp") for pattern in names):
            left = os.path.join(folder, name)
            shutil.rmtree(left) if os.path.isdir(left) else os.remove(left)


@contextlib.contextmanager
def _told(folder: str) -> Iterator[None]:
    """A block whose errors say that the folder cannot be written to."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, f"the folder {folder!r} cannot be written to: {error.strerror}") from error


def _take_place(new: str, place: str) -> None:
    """Rename, also where a folder would have to make way for a folder, which no system does by itself."""
    if not (os.path.isdir(new) and os.path.isdir(place)):
        return os.replace(new, place)
    old = f"{new}.old"
    os.rename(place, old)
    try:
        os.rename(new, place)
    except BaseException:
        os.rename(old, place)
        raise


def _sync(path: str) -> None:
    """Wait until the disk has a file, or all below a folder."""
    files = [os.path.join(at, n) for at, _, names in os.walk(path) for n in names] if os.path.isdir(path) else [path]
    for part in files:
        with open(part, "rb") as file:
            os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Make the renaming itself durable, where the system lets folders be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
