"""What is said of an array in a line."""

from typing import Any

import numpy as np

from mlkit.core.tensor import Tensor


def as_numpy(x: Any) -> np.ndarray:
    """A tensor, a number or None as an array; narrow floats as float32, so that NumPy computes with them."""
    a = x.numpy() if type(x) is Tensor else np.asarray(x)
    return a.astype("float32") if a.dtype.kind not in "biufcSUO" else a


def summary(x: Any) -> str:
    """An array in words: dtype, shape, mean, deviation, range, and how many elements are not finite.

    >>> summary(np.array([[1.0, np.nan], [3.0, 2.0]]))
    'float64 (2, 2): mean 2, std 0.816, in [1, 3], 1 not finite, first at (0, 1)'
    """
    dtype = x.dtype if type(x) is Tensor else np.asarray(x).dtype
    a = as_numpy(x)
    if a.ndim == 0:
        return f"{dtype} {a}"
    if a.dtype.kind not in "biuf" or not a.size:
        return f"{dtype} {a.shape}"
    finite = np.isfinite(a)
    good = a[finite].astype("float64")
    text = f"{dtype} {a.shape}"
    if good.size:
        text += f": mean {good.mean():.3g}, std {good.std():.3g}, in [{good.min():.4g}, {good.max():.4g}]"
    if good.size < a.size:
        text += f", {a.size - good.size} not finite, first at {tuple(map(int, np.argwhere(~finite)[0]))}"
    return text
