"""Where the data sets of Keras lie, and how their files are split."""

import numpy as np

from mlkit.data.download import get_file

_BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def fetch(path, name, file_hash, cache_subdir: str = "datasets"):
    """Path of a file of Keras's collection, kept under the name `path`."""
    return get_file(path, origin=_BASE + name, file_hash=file_hash, cache_subdir=cache_subdir)


def shuffled(seed, *arrays):
    """The arrays in one random order (the one Keras gives for this seed)."""
    order = np.arange(len(arrays[0]))
    np.random.RandomState(seed).shuffle(order)
    return tuple(a[order] for a in arrays)


def split_table(path, test_split, seed, rows=None):
    """`(x_train, y_train), (x_test, y_test)` of an npz file with `x` and `y`, in random order."""
    if not 0 <= test_split < 1:
        raise ValueError(f"`test_split` must be at least 0 and below 1, but is {test_split}.")
    with np.load(path, allow_pickle=False) as file:
        x, y = shuffled(seed, file["x"][:rows], file["y"][:rows])
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
