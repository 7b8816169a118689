"""What has no gradient, no shape or no meaning says so; and the corners where functions are mapped over nothing or write."""

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.random import normal

RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(3, 3)).astype("float32") + 3 * np.eye(3, dtype="float32")
TALL, WIDE = RNG.normal(size=(4, 2)).astype("float32"), RNG.normal(size=(2, 4)).astype("float32")


def slope(f, x):
    return lambda: mlkit.grad(lambda x: ops.sum(ops.real(f(x))))(ops.convert_to_tensor(x))


def assigning(v):
    return lambda: mlkit.vmap(lambda x: v.assign(x))(ops.ones(3))


CASES = {
    "singular values of complex numbers": (
        slope(lambda x: ops.linalg.svd(x)[1], SQUARE.astype("complex64")),
        "complex matrices .* have no gradient",
    ),
    "singular values of unknown sizes": (
        lambda: ops.linalg.svd(mlkit.KerasTensor((None, None))),
        r"the last two axes need known sizes.*Input\(shape=",
    ),
    "the whole basis of a tall matrix": (slope(lambda x: ops.linalg.qr(x, mode="complete")[0], TALL), "complete"),
    "all left vectors": (slope(lambda x: ops.linalg.svd(x, full_matrices=True)[0], TALL), "full_matrices"),
    "all right vectors": (slope(lambda x: ops.linalg.svd(x, full_matrices=True)[2], WIDE), "full_matrices"),
    "eigenvectors of any matrix": (slope(lambda x: ops.linalg.eig(x)[1], SQUARE), "gradient"),
    "negative sizes": (lambda: ops.reshape(ops.ones(6), (-2, -3)), "reshape"),
    "assigned for each element": (assigning(mlkit.Variable(0.0)), "cannot be assigned in a mapped function"),
    "no transform": (lambda: ops.fft((ops.ones((2, 0)), ops.ones((2, 0)))), "there is no transform of 0 numbers"),
    "a part of an element": (lambda: ops.view(ops.ones(3, "uint8"), "int32"), "cannot be divided into whole elements"),
    "a convolution with no cells": (lambda: ops.conv(ops.ones((1, 4, 4, 1)), ops.ones((0, 2, 1, 1))), "one cell or more"),
    "filters and groups": (
        lambda: ops.conv(ops.ones((1, 4, 4, 4)), ops.ones((1, 1, 1, 3))),
        "filters cannot be divided into 4",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused(name):
    call, words = CASES[name]
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=words):
        call()


@pytest.mark.parametrize("f", [lambda x: ops.linalg.eigh(x)[0], lambda x: ops.linalg.inv(x), lambda x: ops.sort(x), ops.exp])
def test_functions_are_mapped_over_nothing(f):
    """With the shapes that mapping over something has."""
    some, none = np.stack([SQUARE] * 2), np.zeros((0, 3, 3), "float32")
    assert mlkit.vmap(f)(none).shape == (0, *mlkit.vmap(f)(some).shape[1:])


def test_numbers_drawn_in_half_floats_are_those_of_float32():
    draw = lambda dtype: ops.convert_to_numpy(normal((50,), seed=3, dtype=dtype)).astype("float32")
    for dtype in ("float16", "bfloat16"):
        np.testing.assert_allclose(draw(dtype), draw("float32"), rtol=1e-2, atol=1e-2)
