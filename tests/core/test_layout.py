"""Strides of views, with NumPy as judge."""

import math
import random

import numpy as np

from mlkit.core import layout


def _random_shape(rng, n, rank):
    shape = [1] * rank
    for prime in (2, 2, 2, 3, 3, 5):
        if n % prime == 0:
            n //= prime
            shape[rng.randrange(rank)] *= prime
    return tuple(shape)


def _random_view(rng):
    n = rng.choice([24, 12, 36, 60, 8, 1, 30])
    a = np.zeros(_random_shape(rng, n, rng.randint(1, 4)), "f4")
    if rng.random() < 0.4:
        a = np.zeros([2 * s for s in a.shape], "f4")[tuple(slice(0, 2 * s, rng.choice([1, 2])) for s in a.shape)]
        a = a[tuple(slice(0, -(-s // 1)) for s in a.shape)]
    if rng.random() < 0.6:
        a = a.transpose(rng.sample(range(a.ndim), a.ndim))
    return a


def test_reshape_finds_the_strides_numpy_finds():
    rng = random.Random(0)
    views = moved = 0
    for _ in range(3000):
        a = _random_view(rng)
        new = _random_shape(rng, a.size, rng.randint(1, 4))
        if math.prod(new) != a.size:
            continue
        found = layout.reshape(a.shape, a.strides, new)
        v = a.view()
        try:
            expected = np.reshape(v, new, copy=False).strides
        except ValueError:
            assert found is None
            moved += 1
            continue
        assert all(n == 1 or f == e for n, f, e in zip(new, found, expected))
        views += 1
    assert views > 500
    assert moved > 200


def test_other_views():
    a = np.arange(24, dtype="f4").reshape(2, 3, 4)
    assert layout.contiguous(a.shape, 4) == a.strides
    assert layout.transpose(a.strides, (2, 0, 1)) == a.transpose(2, 0, 1).strides
    assert layout.broadcast((3, 1), (4, 4), (2, 3, 5)) == np.broadcast_to(np.zeros((3, 1), "f4"), (2, 3, 5)).strides
    offset, strides = layout.take_slice(a.strides, (1, 0, 1), (1, 2, 3))
    v = a[1:, ::2, 1::3]
    assert strides == v.strides
    assert offset == v.ctypes.data - a.ctypes.data
    assert layout.is_contiguous((2, 1, 3), (12, 999, 4), 4)
    assert not layout.is_contiguous((2, 3), (4, 8), 4)
