"""Model files take their place when they are whole: `mlkit.utils.atomic`, with what refuses them said of the file."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO, TypeVar

from mlkit.core.typing import FilePath
from mlkit.objects.errors import ModelFileError
from mlkit.utils.atomic import arriving, arriving_file

T = TypeVar("T")


def claimed(filepath: FilePath, sync: bool = True) -> contextlib.AbstractContextManager[str]:
    """`arriving`. Raises ModelFileError where the folder cannot be written to."""
    return _refused_as_model_file(filepath, arriving(filepath, sync))


def replacing(filepath: FilePath, overwrite: bool = True, sync: bool = True) -> contextlib.AbstractContextManager[IO[bytes]]:
    """A block that writes a binary file; at its end the file takes the place of `filepath`, and after an error nothing has
    changed. sync: whether to wait until the disk has it, so that it outlives a power cut too.

    Raises ModelFileError if the file exists and may not be overwritten, or where the folder cannot be written to.
    """
    if os.path.exists(filepath) and not overwrite:
        raise ModelFileError(filepath, "", "the file exists, and overwrite=False was given.")
    return _refused_as_model_file(filepath, arriving_file(filepath, sync))


@contextlib.contextmanager
def _refused_as_model_file(filepath: FilePath, block: contextlib.AbstractContextManager[T]) -> Iterator[T]:
    with contextlib.ExitStack() as entered:
        try:
            part = entered.enter_context(block)
        except OSError as error:
            raise ModelFileError(filepath, "", f"{error.strerror}.") from error
        yield part
