"""Fashion-MNIST: 70,000 grey pictures of clothes, 28x28 pixels, ten classes (Xiao, Rasul, Vollgraf 2017; MIT licence)."""

import gzip
import math

import numpy as np

from mlkit.datasets.source import fetch

_HASHES = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download Fashion-MNIST.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (60000 or 10000, 28, 28), y uint8: 0 T-shirt, 1 trouser, 2 pullover,
        3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.
    """
    x_train, y_train, x_test, y_test = (read_idx(fetch(name, name, h, "datasets/fashion-mnist")) for name, h in _HASHES.items())
    return (x_train, y_train), (x_test, y_test)


def read_idx(path):
    """Read a gzipped IDX file of unsigned bytes (LeCun's format: two zeros, type, rank, big-endian sizes, data)."""
    with gzip.open(path, "rb") as file:
        data = file.read()
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no IDX file of unsigned bytes.")
    rank = data[3]
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", rank, offset=4))
    if len(data) != 4 + 4 * rank + math.prod(shape):
        raise ValueError(f"{path} declares an array of shape {shape}, but holds {len(data)} bytes.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
