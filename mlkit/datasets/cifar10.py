"""CIFAR-10: 60,000 colour pictures of ten things, 32x32 pixels (Krizhevsky 2009)."""

import os

import numpy as np

from mlkit.core.settings import image_data_format
from mlkit.data.download import get_file
from mlkit.data.plain_pickle import load_pickle


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download CIFAR-10.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (50000 or 10000, 32, 32, 3) (channels first if that is the default
        layout), y uint8 (n, 1): 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.
    """
    folder = get_file(
        "cifar-10-batches-py-target",
        origin="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        extract=True,
        file_hash="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    )
    folder = os.path.join(folder, "cifar-10-batches-py")
    parts = [read_batch(os.path.join(folder, f"data_batch_{i}")) for i in range(1, 6)]
    x_train, y_train = (np.concatenate(columns) for columns in zip(*parts))
    return (x_train, y_train), read_batch(os.path.join(folder, "test_batch"))


def read_batch(path, label_key: str = "labels"):
    """Images and labels of one of CIFAR's files."""
    content = load_pickle(path)
    images = content[b"data"].reshape(-1, 3, 32, 32)
    if image_data_format() == "channels_last":
        images = images.transpose(0, 2, 3, 1)
    return images, np.array(content[label_key.encode()], "uint8")[:, None]
