"""Photos as people keep them: folders of classes, folders for training and validation, one folder with a table of labels."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.settings import image_data_format
from mlkit.core.typing import FilePath
from mlkit.data.class_split import fold_by_class, split_by_class
from mlkit.data.folder_index import Files, index_folder
from mlkit.data.folder_walk import FolderWalk
from mlkit.data.image_folder import ImageDataset, Images
from mlkit.data.label_table import read_label_table
from mlkit.data.photo_kinds import advice, readable_formats

ASIDE = 0.2  # the share of photos that is set aside to choose the best epoch by


def photo_datasets(
    train: FilePath,
    validation: FilePath | None = None,
    labels: FilePath | None = None,
    *,
    task: str | None = None,
    image_size: Sequence[int] = (224, 224),
    batch_size: int = 32,
    resize: str = "stretch",
    one_hot: bool = False,
    split: str = "stratified",
    fold: Sequence[int] | None = None,
    seed: int = 0,
) -> tuple[ImageDataset, ImageDataset]:
    """Photos to train on and to validate with, for `fit`.

    Args:
        train: a folder with one sub-folder a class (those without a photo are left out), or with photos that `labels` names.
        validation: a folder like it; a fifth of `train` is set aside if this is None.
        labels: a table of labels, see `mlkit.data.label_table`; looked for in each of the folders.
        task: of a table: "classification", "multi_label" or "regression"; told from it unless given.
        image_size: (height, width).
        batch_size: photos a batch.
        resize: "stretch"; "crop", the largest middle part of the right shape; "pad", all of it with black borders.
        one_hot: labels as rows of 0 and 1 in place of class numbers.
        split: "stratified", a fifth of each class; "random", a fifth of all photos.
        fold: (i, k) to set aside part number i of k instead.
        seed: of order and split.

    Returns:
        `(train, validation)`, a pair of `ImageDataset`.
    """
    files, task = read_photos(train, labels, task)
    if validation is None:
        parts = _split(files, split, fold, seed)
    else:
        parts = files, read_photos(validation, labels, task, files.class_names)[0]
    return tuple(
        photo_dataset(part, task, image_size, batch_size, resize, one_hot, shuffle=not i, seed=seed)
        for i, part in enumerate(parts)
    )


def read_photos(
    folder: FilePath, labels: FilePath | None = None, task: str | None = None, class_names: Sequence[str] | None = None
) -> tuple[Files, str]:
    """(files, task) of a folder: by its sub-folders, or by a table of labels.

    class_names: the classes that may be there, in the order of their numbers.
    """
    if labels is not None:
        return read_label_table(labels, folder, task, class_names)
    if task not in (None, "classification"):
        raise ValueError(f"Sub-folders stand for classes; for the task {task!r} pass `labels`, a table of labels.")
    if not FolderWalk(folder, ()).class_folders():
        tables = [e.name for e in os.scandir(folder) if e.name.lower().endswith(".csv")]
        hint = f" There is a table in it: pass labels={tables[0]!r} (--labels {tables[0]})." if tables else ""
        raise ValueError(
            f"{os.fspath(folder)!r} has no sub-folders, so no classes. Give each class a sub-folder, or pass a table of labels.{hint}"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files = index_folder(folder, "inferred", readable_formats(), shuffle=False, verbose=False, advice=advice())
    for warning in caught:
        warnings.warn(str(warning.message), warning.category, stacklevel=4)
    found = files.counts()
    names = [name for name, count in found.items() if count]
    if class_names is not None:
        unknown = [name for name in names if name not in class_names]
        if unknown:
            raise ValueError(
                f"{os.fspath(folder)!r} has photos of {', '.join(unknown)}, which are none of the classes: {', '.join(class_names)}."
            )
        names = list(class_names)
    number = {name: i for i, name in enumerate(names)}
    of = [number.get(name, -1) for name in files.class_names]
    return Files(files.paths, np.array([of[k] for k in files.labels], "int32"), names), "classification"


def photo_dataset(
    files: Files, task: str, image_size: Any, batch_size: int, resize: str, one_hot: bool, shuffle: bool, seed: int
) -> ImageDataset:
    """Batches of these photos, with labels for the task."""
    mode = "rows" if task != "classification" else "categorical" if one_hot else "int"
    return ImageDataset(
        Images(
            files, mode, "rgb", batch_size, tuple(image_size), "bilinear", resize, image_data_format(), shuffle, seed, "warn"
        )
    )


def _split(files, split, fold, seed):
    if fold is not None:
        return fold_by_class(files, *fold, seed)
    if split == "stratified":
        return split_by_class(files, ASIDE, seed)
    if split != "random":
        raise ValueError(f"`split` must be 'stratified' or 'random', but is {split!r}.")
    order = np.random.default_rng(seed).permutation(len(files.paths))
    cut = len(order) - max(1, int(ASIDE * len(order)))
    return files.part(np.sort(order[:cut])), files.part(np.sort(order[cut:]))
