"""One seed for everything."""

import random

import numpy as np

from mlkit.random import set_global_seed


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's global generator and mlkit's: a program that begins with this repeats itself.

    Args:
        seed: a non-negative integer below 2**32.

    >>> import mlkit
    >>> set_random_seed(1); a = mlkit.random.normal((3,)).numpy()
    >>> set_random_seed(1); b = mlkit.random.normal((3,)).numpy()
    >>> bool((a == b).all())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"set_random_seed: `seed` must be an integer, but is {seed!r} of type {type(seed).__name__}.")
    set_global_seed(seed)  # first: the global generator, when it comes into being, draws from Python's
    random.seed(int(seed))
    np.random.seed(int(seed))
