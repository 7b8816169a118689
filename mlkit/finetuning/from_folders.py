"""Folders of photos as data of a fine-tuning: the data sets, the lines that make them, and what is to be said about them."""

import dataclasses
import os
from typing import Any

from mlkit.data.image_folder import ImageDataset, pair_of_pixels
from mlkit.finetuning.photo_checks import check_classes, check_duplicates, counts_text
from mlkit.finetuning.photo_data import photo_dataset, photo_datasets, read_photos

CACHED_BYTES = 1 << 30  # decoded photos of a folder stay in memory up to this
_USUAL = {"labels": None, "task": None, "resize": "stretch", "split": "stratified", "fold": None, "one_hot": False}


@dataclasses.dataclass
class FolderData:
    """train, validation, test (or None): data sets. task: of their labels. code: the lines that make the first two. notes: what a
    person should know. summary: how many photos there are."""

    train: ImageDataset
    validation: ImageDataset
    test: ImageDataset | None
    task: str
    code: list[str]
    notes: list[str]
    summary: str


def from_folders(train: Any, validation: Any, test: Any, image_size: Any, how: dict[str, Any]) -> FolderData:
    """The photos of one folder or several. how: the other arguments of `photo_datasets`."""
    if validation is not None and not isinstance(validation, (str, os.PathLike)):
        raise ValueError("finetune: where `train` is a folder, `validation` must be one, too, or None to split `train`.")
    size = pair_of_pixels(image_size)
    how = {**how, "labels": _place(how["labels"], train)}
    # what is made here only tells what there is: the script makes it again
    sets = photo_datasets(train, validation, image_size=size, **how)
    task = {"rows": "multi_label" if sets[0].class_names else "regression"}.get(sets[0].label_mode, "classification")
    parts = {"training": sets[0].files, "validation": sets[1].files}
    tested = None
    if test is not None:
        parts["test"], _ = read_photos(test, how["labels"], task, sets[0].class_names)
        same = (how[name] for name in ("batch_size", "resize", "one_hot"))
        tested = photo_dataset(parts["test"], task, size, *same, shuffle=False, seed=how["seed"])
    notes = [*check_classes(parts), *check_duplicates(parts)]
    return FolderData(*sets, tested, task, _code(train, validation, size, how, sets), notes, counts_text(parts))


def _place(labels, folder):
    """The path of the table as the script gives it, which runs from anywhere: below the folder, or in full."""
    if labels is None or os.path.isfile(os.path.join(folder, labels)):
        return None if labels is None else os.fspath(labels)
    return os.path.abspath(labels)


def _code(train, validation, size, how, sets):
    """The lines that make the data sets."""
    given = {"image_size": size, **{name: value for name, value in how.items() if value != _USUAL.get(name, "")}}
    folders = [repr(os.path.abspath(folder)) for folder in (train, validation) if folder is not None]  # it runs from anywhere
    arguments = ", ".join([*folders, *(f"{name}={value!r}" for name, value in given.items())])
    code = [f"train, val = finetuning.photo_datasets({arguments})"]
    decoded = sum(len(part.files.paths) for part in sets) * size[0] * size[1] * sets[0].channels
    if decoded <= CACHED_BYTES:
        code.append(f"train, val = train.cache(), val.cache()  # {max(1, round(decoded / 1e6))} MB: no file is decoded twice")
    return code
