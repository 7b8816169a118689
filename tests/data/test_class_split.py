"""Files cut by class: every class keeps a file to train on, and something is set aside of whatever labels there are."""

import numpy as np
import pytest

from mlkit.data.class_split import fold_by_class, split_by_class
from mlkit.data.folder_index import Files

RNG = np.random.default_rng(0)
LABELS = {
    "classes": np.repeat(np.arange(4), [30, 5, 2, 1]),
    "several a file": (RNG.random((60, 12)) < 0.3).astype("float32"),
    "a rare one of several": np.eye(8, 3, dtype="float32")[np.r_[0, 0, 0, 0, 1, 1, 2]],
    "numbers": RNG.random(20).astype("float32"),
    "rows of numbers": RNG.random((20, 2)).astype("float32"),
}


def files_of(labels):
    return Files([f"{i}.jpg" for i in range(len(labels))], labels, ["c"] * int(labels.shape[-1]))


def lacks_none(part, labels):
    """Whether all classes are in a part."""
    if labels.dtype.kind != "f":
        return set(part.labels) == set(labels)
    return labels.ndim == 1 or (part.labels.any(axis=0) == labels.any(axis=0)).all()


@pytest.mark.parametrize("kind", LABELS)
def test_a_fifth_is_set_aside_and_no_class_is_lost(kind):
    labels = LABELS[kind]
    training, aside = split_by_class(files_of(labels), 0.2, seed=3)
    assert sorted(training.paths + aside.paths) == sorted(files_of(labels).paths)
    assert 0.1 <= len(aside.paths) / len(labels) <= 0.3
    assert lacks_none(training, labels)


@pytest.mark.parametrize("kind", LABELS)
def test_each_file_is_in_one_fold_but_the_only_one_of_a_class(kind):
    labels = LABELS[kind]
    folds = [fold_by_class(files_of(labels), i, 3, seed=3) for i in range(3)]
    held = [path for _, aside in folds for path in aside.paths]
    assert len(set(held)) == len(held) >= len(labels) - 2
    for training, aside in folds:
        assert sorted(training.paths + aside.paths) == sorted(files_of(labels).paths)
        assert aside.paths
        assert lacks_none(training, labels)


@pytest.mark.parametrize("folds, number, words", [(1, 0, "2 to 38"), (99, 0, "2 to 38"), (3, 3, "0 to 2"), (3, -1, "0 to 2")])
def test_folds_that_cannot_be(folds, number, words):
    with pytest.raises(ValueError, match=words):
        fold_by_class(files_of(LABELS["classes"]), number, folds, seed=0)
