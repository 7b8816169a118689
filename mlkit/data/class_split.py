"""Files cut into parts by class: each part has its share of every class."""

import numpy as np

from mlkit.data.folder_index import Files


def split_by_class(files: Files, fraction: float, seed: int) -> tuple[Files, Files]:
    """(files to train on, files to validate with): of each class about `fraction` of the files is in the second, but at least one
    is in either where the class has two.

    >>> files = Files([f"{i}.jpg" for i in range(14)], np.array([0] * 10 + [1] * 3 + [2]), ["a", "b", "c"])
    >>> [part.counts() for part in split_by_class(files, 0.2, seed=0)]
    [{'a': 8, 'b': 2, 'c': 1}, {'a': 2, 'b': 1, 'c': 0}]
    """
    if not 0 < fraction < 1:
        raise ValueError(f"The share of files set aside must lie between 0 and 1, but is {fraction!r}.")
    aside = np.zeros(len(files.paths), bool)
    rng = np.random.default_rng(seed)
    for rows in _strata(files.labels):
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        aside[rng.permutation(rows)[:count]] = True
    return _parted(files, aside)


def fold_by_class(files: Files, number: int, folds: int, seed: int) -> tuple[Files, Files]:
    """(files to train on, files to validate with) of one of several folds: each class is spread over the folds as evenly as can
    be, and each file is in the second part of exactly one of them, but for the only file of a class, which all train on.

    >>> files = Files([f"{i}.jpg" for i in range(10)], np.array([0] * 6 + [1] * 3 + [2]), ["a", "b", "c"])
    >>> [fold_by_class(files, i, 3, seed=0)[1].counts() for i in range(3)]
    [{'a': 2, 'b': 1, 'c': 0}, {'a': 2, 'b': 1, 'c': 0}, {'a': 2, 'b': 1, 'c': 0}]
    """
    if not 2 <= folds <= len(files.paths):
        raise ValueError(f"{len(files.paths)} files cannot be cut into {folds} folds, but into 2 to {len(files.paths)}.")
    if not 0 <= number < folds:
        raise ValueError(f"Of {folds} folds there are the numbers 0 to {folds - 1}, but not {number}.")
    return _parted(files, fold_numbers(files.labels, folds, seed) == number)


def fold_numbers(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """For each label the number of its fold: those of a class are spread over the folds as evenly as can be.

    >>> np.bincount(fold_numbers(np.array([0, 0, 0, 1, 1, 1]), 3, seed=0))
    array([2, 2, 2])
    """
    order = np.concatenate([np.random.default_rng([seed, i]).permutation(rows) for i, rows in enumerate(_strata(labels))])
    numbers = np.empty(len(order), "int64")
    numbers[order] = np.arange(len(order)) % folds
    return numbers


def _parted(files, aside):
    """(the others, those aside), of which the first keeps a file of each class."""
    for rows in _by_class(files.labels):
        if len(rows) and aside[rows].all():
            aside[rows[0]] = False
    return files.part(np.flatnonzero(~aside)), files.part(np.flatnonzero(aside))


def _strata(labels):
    """The numbers of the files that are alike: of one class; where there are several labels a file, of the same ones, and all
    whose labels are nobody else's; where labels are numbers to be predicted, all files."""
    classes = _by_class(labels)
    if not classes:
        return [np.arange(len(labels))]
    if labels.ndim == 1:
        return classes
    _, groups = np.unique(labels, axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    groups[np.bincount(groups)[groups] == 1] = -1
    return [np.flatnonzero(groups == g) for g in np.unique(groups)]


def _by_class(labels):
    """The numbers of the files of each class, also where a file has several; none where labels are numbers to be predicted."""
    if labels.dtype.kind == "f" and (labels.ndim == 1 or not np.isin(labels, (0, 1)).all()):
        return []
    if labels.ndim == 2:
        return [np.flatnonzero(column) for column in labels.T]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
