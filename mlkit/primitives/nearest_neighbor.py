"""Which cells nearest-neighbour resampling takes."""

import numpy as np


def nearest_cells(size: int, new: int) -> np.ndarray:
    """Those of `size` cells that the centres of `new` ones lie in: floor((i + 1/2) size / new). Where a centre lies between two cells,
    rounding decides; this is how XLA rounds for Keras on JAX."""
    step = np.float32(size) * (np.float32(1) / np.float32(new))
    place = (np.arange(new, dtype="float32") + np.float32(0.5)) * step
    return np.minimum(place.astype("int32"), size - 1)
