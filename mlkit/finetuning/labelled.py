"""The data of a fine-tuning: folders, data sets or arrays, and what their labels ask of a head."""

import dataclasses
import hashlib
import os
from typing import Any

import numpy as np

from mlkit import data
from mlkit.data.image_folder import ImageDataset
from mlkit.data.label_table import TASKS
from mlkit.finetuning.from_folders import from_folders


@dataclasses.dataclass(frozen=True)
class Head:
    """What labels ask of the last layer and of training. metric: its name, as given to `compile`. monitor: the value by which the
    best epoch is chosen unless another one is asked for."""

    task: str
    units: int
    activation: str | None
    loss: str
    metric: str = "accuracy"
    monitor: str = "val_accuracy"


@dataclasses.dataclass
class Labelled:
    """Training and validation data for `fit`, and what a head for it looks like.

    train, validation: data sets, or tuples of arrays. batch_size: for arrays, else None. shape: (height, width, channels) of
    the images. class_names: or None. code: lines that make `train` and `val`; empty where they were passed. first: the first
    images. notes: what a person should know about the data. summary: what there is, in words; "" where that is not known. test:
    photos for the end, or None. mixed: whether `code` makes a data set of mixed images of what was passed.
    """

    train: Any
    validation: Any
    batch_size: int | None
    shape: tuple
    head: Head
    class_names: list | None
    first: np.ndarray
    code: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    summary: str = ""
    test: ImageDataset | None = None
    mixed: bool = False

    @property
    def is_arrays(self):
        """Whether `fit` gets arrays."""
        return isinstance(self.train, tuple) and not self.mixed

    def steps(self):
        """Batches an epoch."""
        parts = self.train if isinstance(self.train, tuple) else (self.train,)
        count = data.get_adapter(*parts, batch_size=self.batch_size).num_batches
        if count is None:
            raise ValueError("finetune: the training data does not know its number of batches. Give it a `__len__`.")
        return count


def labelled(
    train, validation, image_size=None, batch_size=32, classes=None, seed=0, fold=None, *, labels=None, task=None,
    resize="stretch", split="stratified", one_hot=False, test=None,
) -> Labelled:  # fmt: skip
    """Whatever `finetune` was given, as `Labelled`. Arguments are those of `finetune` and `photo_datasets`."""
    if task not in (None, *TASKS):
        raise ValueError(f"finetune: `task` must be one of {', '.join(TASKS)}, but is {task!r}.")
    found = None
    if isinstance(train, (str, os.PathLike)):
        how = {"labels": labels, "task": task, "batch_size": batch_size, "resize": resize, "split": split, "fold": fold or None}
        how |= {"one_hot": one_hot, "seed": seed}
        found = from_folders(train, validation, test, (224, 224) if image_size is None else image_size, how)
        train, validation, task = found.train, found.validation, found.task
    else:
        for_folders = {"image_size": image_size, "labels": labels, "test": test, "fold": fold}
        for_folders |= {"resize": None if resize == "stretch" else resize, "split": None if split == "stratified" else split}
        for name, value in for_folders.items():
            if value is not None:
                raise ValueError(f"finetune: `{name}` is for folders; other data are taken as they are. Leave it out.")
    if isinstance(validation, (str, os.PathLike)):
        raise ValueError("finetune: where `validation` is a folder, `train` must be one, too.")
    if validation is None:
        raise ValueError("finetune: pass `validation` data, by which the best epoch is chosen. (A folder is split by itself.)")
    arrays = isinstance(train, (tuple, list))
    train = tuple(train) if arrays else train
    names = getattr(train, "class_names", None)
    x, y = train[:2] if arrays else _first_batch(train)
    y = np.asarray(y)
    known = len(names) if names else None
    if classes and known and classes != known:
        raise ValueError(f"finetune: `classes` is {classes}, but the data has the classes {names}. Leave `classes` out.")
    told = {} if found is None else {name: getattr(found, name) for name in ("test", "code", "notes", "summary")}
    return Labelled(
        train=train, validation=validation, batch_size=batch_size if arrays else None, shape=tuple(np.shape(x)[1:]),
        head=head_for(y, classes or known, arrays, task), class_names=names, first=np.asarray(x[:32]), **told,
    )  # fmt: skip


def identity(labelled: Labelled) -> str | None:
    """A text that differs as soon as there are other photos, other labels or another order; None for data that has no files."""
    parts = [part.files for part in (labelled.train, labelled.validation) if isinstance(part, ImageDataset)]
    if not parts:
        return None
    found = hashlib.sha256()
    for part in parts:
        for path, label in zip(part.paths, part.labels):
            found.update(f"{os.path.abspath(path)}|{_size(path)}|{label}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _size(path):
    try:
        return os.path.getsize(path)
    except OSError:  # a link to a file that is gone
        return -1


def _first_batch(dataset):
    batches = data.get_adapter(dataset).epoch(0)
    try:
        x, y, _ = next(batches)
    finally:
        batches.close()
    if y is None:
        raise ValueError("finetune: the training data has no labels.")
    return x, y


def head_for(y: np.ndarray, classes: int | None, all_labels: bool, task: str | None = None) -> Head:
    """The head for labels like these. all_labels: whether these are all, so that classes can be counted."""
    if task == "regression":
        if y.dtype.kind not in "fiu" or y.ndim > 2:
            raise ValueError(f"finetune: numbers to predict must have shape (batch,) or (batch, n), but have {y.shape}.")
        return Head(task, 1 if y.ndim == 1 else y.shape[1], None, "mse", "mae", "val_loss")
    if y.ndim == 2 and (y.shape[1] > 1 or task == "multi_label"):
        several = task == "multi_label" or (task is None and np.isin(y, (0, 1)).all() and (y.sum(axis=1) != 1).any())
        if several:
            return Head("multi_label", y.shape[1], "sigmoid", "binary_crossentropy")
        return Head("classification", y.shape[1], "softmax", "categorical_crossentropy")
    if task == "multi_label":
        raise ValueError(f"finetune: several labels a photo are rows of 0 and 1, (batch, classes), but have shape {y.shape}.")
    if y.ndim == 2:
        return Head("classification", 1, "sigmoid", "binary_crossentropy")
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(
            f"finetune: labels must be class numbers (batch,), one-hot rows (batch, classes) or 0/1 (batch, 1), but have shape "
            f"{y.shape} and dtype {y.dtype}. (For numbers to predict pass task='regression'.)"
        )
    if classes is None and not all_labels:
        raise ValueError("finetune: pass `classes`, the number of classes: the data set has no `class_names` to count.")
    return Head("classification", classes or int(y.max()) + 1, "softmax", "sparse_categorical_crossentropy")
