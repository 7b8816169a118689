"""Which folders below a folder are parts (training, validation, test) and which are classes."""

import os

from mlkit.core.typing import FilePath
from mlkit.data.folder_walk import FolderWalk

TRAINING = ("train", "training")
VALIDATION = ("val", "valid", "validation", "dev")
TEST = ("test", "testing")


def parts(folder: FilePath) -> tuple[str, str | None, str | None]:
    """(folder to train on, for validation or None, to test on or None).

    These are its sub-folders `train`, `val` (or `valid`, `validation`) and `test`, in any letters, if it has `train` and at least one
    of the others, and no more; else it is itself the one to train on, and its sub-folders are classes.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no folder {folder!r}.")
    found: dict[tuple[str, ...], str] = {}
    for name in FolderWalk(folder, ()).class_folders():
        kind = next((names for names in (TRAINING, VALIDATION, TEST) if name.lower() in names), None)
        if kind is None or kind in found:
            return folder, None, None
        found[kind] = os.path.join(folder, name)
    if len(found) < 2 or TRAINING not in found:
        return folder, None, None
    return found[TRAINING], found.get(VALIDATION), found.get(TEST)
