"""Files that come into being complete or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import IO

from mlkit.core.typing import FilePath
from mlkit.objects.errors import ModelFileError


@contextlib.contextmanager
def replacing(filepath: FilePath, overwrite: bool = True, sync: bool = True) -> Iterator[IO[bytes]]:
    """A block that writes a binary file; at its end the file takes the place of `filepath`, and after an error nothing has
    changed. sync: whether to wait until the disk has it, so that it outlives a power cut too.

    Raises ModelFileError if the file exists and may not be overwritten, or where the folder cannot be written to.
    """
    target = os.path.realpath(filepath)
    if os.path.exists(target) and not overwrite:
        raise ModelFileError(filepath, "", "the file exists, and overwrite=False was given.")
    before, after = _unfinished(target)
    temporary = os.path.join(os.path.dirname(target), f"{before}{secrets.token_hex(4)}{after}")
    try:
        file = open(temporary, "x+b")
    except OSError as error:
        raise ModelFileError(filepath, "", f"it cannot be written: {error.strerror}.") from error
    try:
        with file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise
    if sync:
        _sync_folder(os.path.dirname(target))


def remove_unfinished(filepath: FilePath) -> None:
    """Remove what processes that were killed while they wrote this file have left. Nobody may be writing it now."""
    folder, (before, after) = os.path.dirname(os.path.realpath(filepath)), _unfinished(os.path.realpath(filepath))
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if name.startswith(before) and name.endswith(after) and len(name) == len(before) + 8 + len(after):
            os.remove(os.path.join(folder, name))


def _unfinished(target):
    """How the name of a file that is being written begins and ends; between them are eight random characters."""
    return f".{os.path.basename(target)}.", ".tmp"


def _sync_folder(folder: str) -> None:
    """Make the renaming itself durable, where the system lets folders be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
