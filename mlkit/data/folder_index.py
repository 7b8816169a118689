"""Which files a folder holds, which class each belongs to, and which part of them is for validation."""

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.core.typing import FilePath
from mlkit.data.folder_walk import FolderWalk
from mlkit.utils.console import print_message


class PassedOverWarning(UserWarning):
    """Something in a folder is no part of the data: files that cannot be read here, folders, classes without a file."""


@dataclasses.dataclass
class Files:
    """Paths, their integer labels (or None) and the names of the classes (or None). value_names: of the columns of labels that are
    numbers to be predicted."""

    paths: list
    labels: np.ndarray | None
    class_names: list | None
    value_names: list | None = None

    def part(self, rows: Any) -> "Files":
        """The files of a slice, or of an array of numbers."""
        paths = self.paths[rows] if isinstance(rows, slice) else [self.paths[i] for i in rows]
        return dataclasses.replace(self, paths=paths, labels=None if self.labels is None else self.labels[rows])

    def counts(self) -> dict[str, int]:
        """Name of the class -> number of files."""
        return dict(zip(self.class_names, np.bincount(self.labels, minlength=len(self.class_names)).tolist()))


def index_folder(
    directory: FilePath,
    labels: str | Sequence[int] | None,
    formats: tuple[str, ...],
    class_names: Sequence[str] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    follow_links: bool = False,
    verbose: bool = True,
    advice: Mapping[str, str] | None = None,
) -> Files:
    """List the files of a folder whose names end in one of `formats`, sorted, or in the random order that the seed gives.

    Warns of sub-folders that cannot be read, of classes without a file and of files that `advice` knows.

    Args:
        labels: "inferred" (by sub-folder), None, or a list of integers for the files in the order of their sorted paths.
        class_names: sub-folders to use, in the order of their labels.
        advice: what to say about files with other endings: ending -> a few words.

    Returns:
        `Files`.
    """
    directory = os.fspath(directory)
    walk = FolderWalk(directory, formats, follow_links)
    files = _inferred(walk, class_names) if labels == "inferred" else _given(walk, labels, class_names)
    loose = [os.path.basename(path) for path in walk.loose_files()] if labels == "inferred" else []
    notes = walk.notes(advice or {})
    if not files.paths:
        passed = f" Passed over: {'; '.join(notes)}." if notes else ""
        raise ValueError(f"No files found in {directory!r}. Expected names ending in {', '.join(formats)}.{passed}")
    if labels == "inferred":
        notes += [f"{_few(loose)} {'lies' if len(loose) == 1 else 'lie'} in no sub-folder, so in no class"] if loose else []
        empty = [name for name, count in files.counts().items() if not count]
        notes += [f"no file in {'class' if len(empty) == 1 else 'classes'} {_few(empty)}"] if empty else []
    if notes:
        warnings.warn(f"{directory}: {'; '.join(notes)}.", PassedOverWarning, stacklevel=3)
    if verbose:
        classes = "" if labels is None else f" belonging to {len(files.class_names)} classes"
        print_message(f"Found {len(files.paths)} files{classes}.")
    if shuffle:
        order = np.arange(len(files.paths))
        np.random.RandomState(seed).shuffle(order)  # the order Keras gives for this seed
        files.paths = [files.paths[i] for i in order]
        files.labels = None if files.labels is None else files.labels[order]
    return files


def _inferred(walk: FolderWalk, class_names: Sequence[str] | None) -> Files:
    folders = walk.class_folders()
    if class_names is not None:
        missing = sorted(set(class_names) - set(folders))
        if missing:
            raise ValueError(
                f"`class_names` names {missing}, which are no sub-folders of {walk.directory!r}. Those there are: {folders}."
            )
        folders = list(class_names)
    if not folders:
        raise ValueError(
            f"{walk.directory!r} has no sub-folders, so no classes. Pass labels=None to read its images without labels."
        )
    paths, labels = [], []
    for label, folder in enumerate(folders):
        found = walk.files(folder)
        paths += found
        labels += [label] * len(found)
    return Files(paths, np.array(labels, "int32"), folders)


def _given(walk: FolderWalk, labels: str | Sequence[int] | None, class_names: Sequence[str] | None) -> Files:
    if class_names is not None:
        raise ValueError('`class_names` can only be passed with labels="inferred"; with a list they are the sorted labels.')
    paths = walk.files()
    if labels is None:
        return Files(paths, None, None)
    if isinstance(labels, str) or not hasattr(labels, "__len__"):
        raise ValueError(f'`labels` must be "inferred", None or a list of integers, but is {labels!r}.')
    if len(labels) != len(paths):
        raise ValueError(
            f"`labels` holds {len(labels)} labels, but {walk.directory!r} holds {len(paths)} files. They must be as many."
        )
    return Files(paths, np.asarray(labels, "int32"), [str(label) for label in sorted(set(labels))])


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def split_files(
    files: Files, validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None, verbose: bool = True
) -> list[Files]:
    """The parts asked for: `[files]` without a split, `[training, validation]` for `subset="both"`, else the one named.

    The last part of the files is for validation; give two calls the same seed, or their parts overlap.
    """
    if (validation_split is None or validation_split == 0) != (subset is None):
        raise ValueError(f"`validation_split` and `subset` go together, but are {validation_split!r} and {subset!r}.")
    if subset is None:
        return [files]
    if subset not in ("training", "validation", "both"):
        raise ValueError(f"`subset` must be 'training', 'validation' or 'both', but is {subset!r}.")
    if not 0 < validation_split < 1:
        raise ValueError(f"`validation_split` must lie between 0 and 1, but is {validation_split!r}.")
    if shuffle and seed is None:
        raise ValueError("`validation_split` of shuffled files needs a `seed`, else training and validation files overlap.")
    count = int(validation_split * len(files.paths))
    if not 0 < count < len(files.paths):
        raise ValueError(
            f"{len(files.paths)} files cannot be split by validation_split={validation_split}: a part would be empty."
        )
    cut = len(files.paths) - count
    parts = {"training": files.part(slice(None, cut)), "validation": files.part(slice(cut, None))}
    names = list(parts) if subset == "both" else [subset]
    if verbose:
        for name in names:
            print_message(f"Using {len(parts[name].paths)} files for {name}.")
    return [parts[name] for name in names]


def check_label_mode(label_mode, files=None):
    """Raise ValueError unless it is a kind of labels, and one for the classes of these files."""
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(f"`label_mode` must be 'int', 'categorical', 'binary' or None, but is {label_mode!r}.")
    if label_mode == "binary" and files is not None and files.class_names is not None and len(files.class_names) != 2:
        raise ValueError(
            f'label_mode="binary" needs exactly 2 classes, but there are {len(files.class_names)}: {files.class_names}.'
        )


def targets(files, rows, label_mode):
    """The labels of some files: int32 (n,), float32 (n, 1) of two classes, one-hot float32 (n, classes), or the rows as they are."""
    labels = files.labels[rows]
    if label_mode == "rows":
        return labels
    if label_mode == "int":
        return labels.astype("int32")
    if label_mode == "binary":
        return labels.astype("float32")[:, None]
    return np.eye(len(files.class_names), dtype="float32")[labels]
