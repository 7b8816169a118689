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
    for rows in _strata(files):
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        aside[rng.permutation(rows)[:count]] = True
    return files.part(np.flatnonzero(~aside)), files.part(np.flatnonzero(aside))


def fold_by_class(files: Files, number: int, folds: int, seed: int) -> tuple[Files, Files]:
    """(files to train on, files to validate with) of one of several folds: each file is in the second part of exactly one of them,
    and each class is spread over the folds as evenly as can be.

    >>> files = Files([f"{i}.jpg" for i in range(9)], np.array([0] * 6 + [1] * 3), ["a", "b"])
    >>> [fold_by_class(files, i, 3, seed=0)[1].counts() for i in range(3)]
    [{'a': 2, 'b': 1}, {'a': 2, 'b': 1}, {'a': 2, 'b': 1}]
    """
    if not (2 <= folds <= len(files.paths) and 0 <= number < folds):
        raise ValueError(f"{len(files.paths)} files cannot be cut into {folds} folds of which number {number} is wanted.")
    order = np.concatenate([np.random.default_rng([seed, i]).permutation(rows) for i, rows in enumerate(_strata(files))])
    aside = np.zeros(len(files.paths), bool)
    aside[order[number::folds]] = True
    return files.part(np.flatnonzero(~aside)), files.part(np.flatnonzero(aside))


def _strata(files):
    """The numbers of the files of each class; where labels are no class numbers, of each row of labels or, if these are numbers of
    which hardly two are equal, all together."""
    labels = np.asarray(files.labels)
    if labels.dtype.kind == "f" and (labels.ndim == 1 or not np.isin(labels, (0, 1)).all()):
        return [np.arange(len(labels))]
    _, groups = np.unique(labels, axis=0, return_inverse=True)
    return [np.flatnonzero(groups.reshape(-1) == g) for g in range(groups.max() + 1)]
