"""Model files take their place when they are whole: `mlkit.utils.atomic`, with what refuses them said of the file."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO

from mlkit.core.typing import FilePath
from mlkit.objects.errors import ModelFileError
from mlkit.utils.atomic import arriving


@contextlib.contextmanager
def claimed(filepath: FilePath, sync: bool = True) -> Iterator[str]:
    """`arriving`. Raises ModelFileError where the folder cannot be written to."""
    with contextlib.ExitStack() as block:
        try:
            part = block.enter_context(arriving(filepath, sync))
        except OSError as error:
            raise ModelFileError(filepath, "", f"{error.strerror}.") from error
        yield part


@contextlib.contextmanager
def replacing(filepath: FilePath, overwrite: bool = True, sync: bool = True) -> Iterator[IO[bytes]]:
    """A block that writes a binary file; at its end the file takes the place of `filepath`, and after an error nothing has
    changed. sync: whether to wait until the disk has it, so that it outlives a power cut too.

    Raises ModelFileError if the file exists and may not be overwritten, or where the folder cannot be written to.
    """
    if os.path.exists(filepath) and not overwrite:
        raise ModelFileError(filepath, "", "the file exists, and overwrite=False was given.")
    with claimed(filepath, sync) as part, open(part, "x+b") as file:
        yield file
