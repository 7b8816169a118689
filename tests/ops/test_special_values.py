"""Infinities, zeros of either sign and empty axes, where shortcuts of kernels would show."""

import numpy as np
import pytest
from scipy import special

import mlkit
from mlkit import ops
from mlkit.primitives.catalogue import OPS


@pytest.mark.parametrize("size", [6, 20000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", ["relu_grad", "relu6_grad", "masked_scale"])
def test_what_a_mask_drops_is_0_whatever_it_was(name, dtype, size):
    """Not -0, which has another sign bit and arctangent; and eagerly no NaN of an infinity (compiled chains may make one)."""
    values = np.resize(np.array([-2.0, 2.0, -np.inf, np.inf, -0.5, 1.0]), size)
    g = ops.cast(values, dtype)
    below = ops.convert_to_tensor(np.zeros(size, "bool" if name == "masked_scale" else "float32"))
    args = (g, below) if name == "masked_scale" else (g, ops.cast(below, dtype))
    params = {"scale": 2.0} if name == "masked_scale" else {}
    found = ops.convert_to_numpy(OPS[name](*args, **params)).astype("float32")
    np.testing.assert_array_equal(found, 0)
    assert not np.signbit(found).any()


def test_nothing_is_taken_from_an_empty_axis():
    assert ops.take(np.zeros((2, 0, 3)), np.zeros((0, 4), "int32"), axis=1).shape == (2, 0, 4, 3)


def test_the_gradient_of_digamma_is_exact_to_the_last_places():
    x = np.random.default_rng(0).uniform(-4.0, 30.0, 200)
    found = mlkit.grad(lambda t: ops.sum(ops.digamma(t)))(ops.convert_to_tensor(x)).numpy()
    wanted = np.where(x > 0, special.polygamma(1, np.abs(x)), (np.pi / np.sin(np.pi * x)) ** 2 - special.polygamma(1, 1 - x))
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
