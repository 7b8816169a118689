"""The files below a folder: what is taken, and what is passed over and why."""

import collections
import os
from collections.abc import Mapping

from mlkit.core.messages import explained
from mlkit.core.typing import FilePath

_NOT_FOLDERS = (
    "__MACOSX",
)  # what zip archives made on a Mac hold besides; hidden ones (.ipynb_checkpoints) are no classes either


class FolderWalk:
    """Finds files by the endings of their names, in sorted order, and remembers what it passed over.

    Hidden folders, `__MACOSX` and the `._*` files of a Mac are no data. Links are followed if wanted, but never back to where they
    come from.

    unreadable: folder -> reason. others: ending -> number of files that were passed over.
    """

    def __init__(self, directory: FilePath, endings: tuple[str, ...], follow_links: bool = False):
        self.directory, self.endings, self.follow_links = os.fspath(directory), endings, follow_links
        self.unreadable: dict[str, str] = {}
        self.others: collections.Counter[str] = collections.Counter()
        if not os.path.isdir(self.directory):
            raise explained(
                FileNotFoundError(f"There is no folder {self.directory!r} (looked for it in {os.getcwd()!r})."),
                "there-is-no-folder",
            )

    def class_folders(self) -> list[str]:
        """The names of the sub-folders that can be classes."""
        return sorted(e.name for e in os.scandir(self.directory) if e.is_dir() and _is_data(e.name))

    def files(self, folder: str = "") -> list[str]:
        """The paths of the files in a sub-folder (or in all), at any depth."""
        found = self._within(os.path.join(self.directory, folder) if folder else self.directory, ())
        return [path for _, paths in sorted(found, key=lambda entry: entry[0]) for path in paths]

    def loose_files(self) -> list[str]:
        """The paths of the files that lie in the folder itself, beside its sub-folders."""
        files, _ = self._listed(self.directory)
        return [os.path.join(self.directory, name) for name in sorted(files)]

    def notes(self, advice: Mapping[str, str]) -> list[str]:
        """In words: folders that could not be read, and files of the kinds that there is some advice about."""
        notes = [f"folder {path} cannot be read ({reason})" for path, reason in sorted(self.unreadable.items())]
        known = sorted((ending, count) for ending, count in self.others.items() if ending in advice)
        return [f"{count} {ending} file{'s' if count != 1 else ''}: {advice[ending]}" for ending, count in known] + notes

    def _within(self, folder, above):
        """(folder, its files) of a folder and all below. above: the real paths of those it lies in."""
        real = os.path.realpath(folder)
        if real in above:
            return []
        try:
            files, folders = self._listed(folder)
        except OSError as error:
            self.unreadable[folder] = error.strerror or str(error)
            return []
        found = [(folder, [os.path.join(folder, name) for name in sorted(files)])]
        for name in sorted(folders):
            found += self._within(os.path.join(folder, name), (*above, real))
        return found

    def _listed(self, folder):
        """The names of the files and of the sub-folders to enter."""
        files, folders = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir():
                    if _is_data(name) and entry.is_dir(follow_symlinks=self.follow_links):
                        folders.append(name)
                elif name.lower().endswith(self.endings):
                    if not name.startswith("._"):
                        files.append(name)
                else:
                    self.others[os.path.splitext(name)[1].lower()] += 1
        return files, folders


def _is_data(name):
    return not name.startswith(".") and name not in _NOT_FOLDERS
