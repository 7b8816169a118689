"""Which cells nearest-neighbour resampling takes."""

import numpy as np


def nearest_cells(size, new):
    """Those of `size` cells that the centres of `new` ones lie in: floor((i + 1/2) size / new), in float32. Where a centre lies between
    two cells, rounding decides, as it does in Keras."""
    place = (np.arange(new, dtype="float32") + np.float32(0.5)) * np.float32(size / new)
    return np.minimum(place.astype("int32"), size - 1)
