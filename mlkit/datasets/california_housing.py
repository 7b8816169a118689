"""California housing: 20,640 districts of the 1990 census, 8 features, median house value in $ (Pace and Barry 1997)."""

import numpy as np

from mlkit.datasets.source import fetch, split_table


def load_data(
    version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Download the California housing data.

    Args:
        version: "large", all districts, or "small", 600 of them.
        path: name to keep the file under.
        test_split: fraction of the rows that becomes test data.
        seed: seed of the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x float32 (n, 8), y float32 (n,) in $.
    """
    if version not in ("large", "small"):
        raise ValueError(f"`version` must be 'large' or 'small', but is {version!r}.")
    path = fetch(path, "california_housing.npz", "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f")
    return split_table(path, test_split, seed, rows=600 if version == "small" else None)
