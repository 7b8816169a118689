"""MNIST: 70,000 handwritten digits, 28x28 grey pixels (LeCun, Cortes, Burges; CC BY-SA 3.0)."""

import numpy as np

from mlkit.datasets.source import fetch


def load_data(path: str = "mnist.npz") -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download MNIST.

    Args:
        path: name to keep the file under.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (60000 or 10000, 28, 28), y uint8 digits.
    """
    path = fetch(path, "mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1")
    with np.load(path, allow_pickle=False) as file:
        return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])
