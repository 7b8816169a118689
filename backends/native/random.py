"""Random kernels over any `xp`: Philox by its definition. The CPU has faster ones, in `random_numpy`, of the same numbers."""

import math

import numpy as np

from mlkit.primitives.bernoulli import limits, thresholds
from mlkit.primitives.philox import philox


def make(xp):
    """Op name -> kernel."""

    def random_bits(key, shape, dtype):
        kind, n = np.dtype(dtype), math.prod(shape)
        words = philox(xp, key, -(-n * kind.itemsize // 8))  # of 64 bits
        return words.view(kind)[:n].reshape(shape)

    def bernoulli(key, shape, p):
        rows, width, whole, part = thresholds(shape, p)
        numbers = random_bits(key, (rows, width + 2), "uint8")
        return (numbers[:, :width] < limits(xp, numbers[:, width:], whole, part)).reshape(-1)[: math.prod(shape)].reshape(shape)

    return dict(random_bits=random_bits, bernoulli=bernoulli)
