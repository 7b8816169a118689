"""The data of a fine-tuning: folders, data sets or arrays, and what their labels ask of a head."""

import dataclasses
import hashlib
import os

import numpy as np

from mlkit import data
from mlkit.data.image_folder import image_dataset_from_directory

CACHED_BYTES = 1 << 30  # decoded photos of a folder stay in memory up to this


@dataclasses.dataclass
class Labelled:
    """Training and validation data for `fit`, and what a head for it looks like.

    train, validation: data sets, or tuples of arrays. batch_size: for arrays, else None. shape: (height, width, channels) of
    the images. units, activation, loss: of the head. class_names: or None. code: lines that make `train` and `val`; empty where
    they were passed.
    """

    train: object
    validation: object
    batch_size: int | None
    shape: tuple
    units: int
    activation: str
    loss: str
    class_names: list | None
    code: list

    @property
    def is_arrays(self):
        return isinstance(self.train, tuple)

    def steps(self):
        """Batches an epoch."""
        parts = self.train if self.is_arrays else (self.train,)
        count = data.get_adapter(*parts, batch_size=self.batch_size).num_batches
        if count is None:
            raise ValueError("finetune: the training data does not know its number of batches. Give it a `__len__`.")
        return count


def labelled(train, validation, image_size, batch_size, classes, seed):
    """Whatever `finetune` was given, as `Labelled`."""
    code = []
    if isinstance(train, (str, os.PathLike)):
        train, validation, code = _from_folders(train, validation, image_size or (224, 224), batch_size, seed)
    elif image_size is not None:
        raise ValueError("finetune: `image_size` is for folders; the images of other data have a size. Leave it out.")
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
    head = _head(y, classes or known, arrays)
    return Labelled(train, validation, batch_size if arrays else None, tuple(np.shape(x)[1:]), *head, names, code)


def fingerprint(labelled: Labelled) -> str | None:
    """A text that differs as soon as there are other photos, other labels or another order; None for data that has no files."""
    parts = [part.files for part in (labelled.train, labelled.validation) if hasattr(part, "files")]
    if not parts:
        return None
    found = hashlib.sha256()
    for part in parts:
        for path, label in zip(part.paths, part.labels):
            found.update(f"{path}|{os.path.getsize(path)}|{label}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _from_folders(train, validation, image_size, batch_size, seed):
    train, image_size = os.fspath(train), tuple(image_size)
    # what is made here only tells what there is, quietly: the script makes it again
    common = {"image_size": image_size, "batch_size": batch_size, "seed": seed, "verbose": False}
    options = f"image_size={image_size!r}, batch_size={batch_size!r}, seed={seed!r}, verbose=False"
    make = "keras.utils.image_dataset_from_directory"
    if validation is None:
        sets = image_dataset_from_directory(train, validation_split=0.2, subset="both", **common)
        code = [f"train, val = {make}(", f"    {train!r}, {options}, validation_split=0.2, subset='both'", ")"]
    else:
        if not isinstance(validation, (str, os.PathLike)):
            raise ValueError("finetune: where `train` is a folder, `validation` must be one, too, or None to split `train`.")
        validation = os.fspath(validation)
        sets = [image_dataset_from_directory(train, **common)]
        sets.append(image_dataset_from_directory(validation, class_names=sets[0].class_names, shuffle=False, **common))
        code = [
            f"train = {make}({train!r}, {options})",
            f"val = {make}({validation!r}, {options}, class_names=train.class_names, shuffle=False)",
        ]
    size = sum(len(part.file_paths) for part in sets) * image_size[0] * image_size[1] * sets[0].channels
    if size <= CACHED_BYTES:
        code.append(f"train, val = train.cache(), val.cache()  # {max(1, round(size / 1e6))} MB: no file is decoded twice")
    return *sets, code


def _first_batch(dataset):
    batches = data.get_adapter(dataset).epoch(0)
    try:
        x, y, _ = next(batches)
    finally:
        batches.close()
    if y is None:
        raise ValueError("finetune: the training data has no labels.")
    return x, y


def _head(y, classes, all_labels):
    """(units, activation, loss) for labels like these."""
    if y.ndim == 2 and y.shape[1] > 1:
        return y.shape[1], "softmax", "categorical_crossentropy"
    if y.ndim == 2:
        return 1, "sigmoid", "binary_crossentropy"
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(
            f"finetune: labels must be class numbers (batch,), one-hot rows (batch, classes) or 0/1 (batch, 1), but have shape "
            f"{y.shape} and dtype {y.dtype}."
        )
    if classes is None and not all_labels:
        raise ValueError("finetune: pass `classes`, the number of classes: the data set has no `class_names` to count.")
    return classes or int(y.max()) + 1, "softmax", "sparse_categorical_crossentropy"
