"""What formats share: files that appear when they are whole, and the answers to compare with."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlkit.core.tensor import Tensor


@contextlib.contextmanager
def arriving(path: str) -> Iterator[str]:
    """A name to write to, in a folder of its own. At the end the files there take their places beside `path`, that of this name
    last; after an error they go.

    Raises:
        OSError: The folder of `path` cannot be written to.
    """
    folder, name = os.path.split(os.path.abspath(path))
    try:
        own = tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    except OSError as error:
        raise type(error)(error.errno, f"export: the folder {folder!r} cannot be written to: {error.strerror}") from error
    try:
        yield os.path.join(own, name)
        for part in sorted(os.listdir(own), key=lambda part: part == name):
            _synced(os.path.join(own, part))
            if os.path.isdir(os.path.join(own, part)) and os.path.isdir(os.path.join(folder, part)):
                os.rename(os.path.join(folder, part), os.path.join(own, f".{part}.old"))
            os.replace(os.path.join(own, part), os.path.join(folder, part))
    finally:
        shutil.rmtree(own)


def _synced(path: str) -> None:
    """Wait until the disk has a file, or all files of a folder."""
    for part in [os.path.join(path, n) for n in os.listdir(path)] if os.path.isdir(path) else [path]:
        with open(part, "rb") as file:
            os.fsync(file.fileno())


def total_bytes(path: str) -> int:
    """Of a file, or of all in a folder."""
    return (
        sum(os.path.getsize(os.path.join(path, n)) for n in os.listdir(path)) if os.path.isdir(path) else os.path.getsize(path)
    )


def answers(fn: Callable[..., Any], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a function of tensors gives for arrays."""
    out = fn(*(Tensor(np.array(a)) for a in inputs))
    return [np.asarray(t.numpy()) for t in (out if isinstance(out, (list, tuple)) else [out])]
