"""5,000 handwritten digits of MNIST that come with the package: no network needed."""

import importlib.resources
import io

import numpy as np


def load_data(test_size: int = 500, seed: int = 0) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The packaged digits, split into training and test parts.

    Args:
        test_size: number of test digits, as many of each class; a multiple of 10.
        seed: which ones they are, and the order of both parts.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (n, 28, 28) with values 0 to 255, y uint8 (n,).

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape, np.bincount(y_test).tolist()
    ((4500, 28, 28), (500, 28, 28), [50, 50, 50, 50, 50, 50, 50, 50, 50, 50])
    """
    data = importlib.resources.files("mlkit.data.resources").joinpath("digits.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        x, y = file["x"], file["y"]
    if not 0 < test_size < len(y) or test_size % 10:
        raise ValueError(f"digits: `test_size` must be a multiple of 10 between 10 and {len(y) - 10}, but is {test_size}.")
    rng = np.random.RandomState(seed)
    held_out = np.concatenate([rng.permutation(np.flatnonzero(y == digit))[: test_size // 10] for digit in range(10)])
    training = np.setdiff1d(np.arange(len(y)), held_out)
    rng.shuffle(held_out)
    rng.shuffle(training)
    return (x[training], y[training]), (x[held_out], y[held_out])
