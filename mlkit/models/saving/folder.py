"""A model as a folder: the members of a `.keras` file as files (`save_model(..., zipped=False)`), under the same
rules."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO, Any

from mlkit.core.typing import FilePath
from mlkit.models.saving.assets import files_below
from mlkit.models.saving.replacing import claimed
from mlkit.models.saving.zip_reader import check_name
from mlkit.objects.errors import ModelFileError


class Folder:
    """The regular files of a folder, read like the members of an Archive. Links are refused, and folders other than "assets"."""

    def __init__(self, path: str):
        self.path, self.members, self._open = path, {}, contextlib.ExitStack()
        seen = set()
        for name, file in files_below(path):
            check_name(name, path, seen)
            self.members[name] = file

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def open(self, name: str) -> IO[bytes]:
        """A file, which stays open until the folder is closed."""
        return self._open.enter_context(open(self.members[name], "rb"))

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        with open(self.members[name], "rb") as file:
            return file.read()

    def close(self) -> None:
        self._open.close()


@contextlib.contextmanager
def replacing_folder(filepath: FilePath, members: Any, overwrite: bool = True) -> Iterator[str]:
    """A block that fills the new folder it is given; at its end that takes the place of `filepath`, after an error nothing has
    changed. A folder there is replaced only if nothing but `members` (and "assets") lies in it.
    """
    target = os.path.realpath(filepath)
    if os.path.exists(target):
        if not overwrite:
            raise ModelFileError(filepath, "", "it exists, and overwrite=False was given.")
        if not os.path.isdir(target) or set(os.listdir(target)) - {*members, "assets"}:
            raise ModelFileError(
                filepath, "", "there is something there that is not the folder of a model.", "Choose another path."
            )
    with claimed(filepath) as part:
        os.mkdir(part)
        yield part
