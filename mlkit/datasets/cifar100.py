"""CIFAR-100: 60,000 colour pictures of a hundred things in twenty groups, 32x32 pixels (Krizhevsky 2009)."""

import os

import numpy as np

from mlkit.data.download import get_file
from mlkit.datasets.cifar10 import read_batch


def load_data(label_mode: str | None = "fine") -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download CIFAR-100.

    Args:
        label_mode: "fine" for the 100 classes, "coarse" for the 20 groups.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (50000 or 10000, 32, 32, 3) (channels first if that is the default
        layout), y uint8 (n, 1).
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"`label_mode` must be 'fine' or 'coarse', but is {label_mode!r}.")
    folder = get_file(
        "cifar-100-python-target",
        origin="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        extract=True,
        file_hash="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    )
    train, test = (os.path.join(folder, "cifar-100-python", part) for part in ("train", "test"))
    return read_batch(train, f"{label_mode}_labels"), read_batch(test, f"{label_mode}_labels")
