"""Boston housing: 506 districts, 13 features, median house price in 1,000 $.

One feature, B, was built on the assumption that the share of Black residents influences prices; use `california_housing`.
"""

import numpy as np

from mlkit.datasets.source import fetch, split_table


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download the Boston housing data.

    Args:
        path: name to keep the file under.
        test_split: fraction of the rows that becomes test data.
        seed: seed of the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x float64 (n, 13), y float64 (n,) in 1,000 $.
    """
    path = fetch(path, "boston_housing.npz", "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5")
    return split_table(path, test_split, seed)
