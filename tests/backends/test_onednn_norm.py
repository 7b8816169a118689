"""oneDNN's normalizations against the reference rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlkit
from mlkit.backends.native.onednn import library
from mlkit.primitives.catalogue import OPS
from tests.backends.test_onednn import check, compare, drawn, reference, row_of

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")
SHAPES = st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SHAPES, st.booleans(), st.booleans(), st.data())
def test_batch_norm(shape, scaled, shifted, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    params = dict(axes=tuple(i for i in range(len(shape)) if i != axis), epsilon=1e-2)
    x, scale = drawn(*shape), drawn(shape[axis], seed=1)
    check("batch_norm", x, scale if scaled else None, scale if shifted else None, **params)
    _, mean, variance = reference("batch_norm", (x, scale, scale), params)
    check("batch_norm_grad", drawn(*shape, seed=2), x, scale, mean, np.asarray(variance), tolerance=1e-4, **params)


@pytest.mark.parametrize("shape", [(3, 4, 5, 8), (2, 3, 3, 16), (5, 24), (2, 7, 48)])
@pytest.mark.parametrize("scaled", [True, False])
def test_batch_norm_with_relu(shape, scaled):
    params = dict(axes=tuple(range(len(shape) - 1)), epsilon=1e-2)
    x, g, scale, offset = drawn(*shape), drawn(*shape, seed=1), drawn(shape[-1], seed=2), drawn(shape[-1], seed=3)
    arguments = (x, scale, offset) if scaled else (x, None, None)
    wanted = reference("batch_norm_relu", arguments, params)
    compare(row_of("batch_norm_relu")(*arguments, **params), wanted, 2e-5)
    planned = mlkit.function(lambda x: OPS["batch_norm_relu"](x * 2.0 * 0.5, *arguments[1:], **params))
    compare(planned(x), wanted, 2e-5)
    np.testing.assert_array_equal(planned(x)[3], wanted[3])
    arguments = (g, x, scale, *wanted[1:])
    wanted = reference("batch_norm_relu_grad", arguments, params)
    compare(row_of("batch_norm_relu_grad")(*arguments, **params), wanted, 1e-4)
    planned = mlkit.function(lambda g: OPS["batch_norm_relu_grad"](g * 2.0 * 0.5, *arguments[1:], **params))
    compare(planned(g), wanted, 1e-4)


def test_batch_norm_whose_mask_would_be_of_bytes_is_left_to_others():
    params = dict(axes=(0,), epsilon=1e-2)
    assert row_of("batch_norm_relu")(drawn(4, 5), None, None, **params) is NotImplemented


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SHAPES, st.booleans(), st.booleans(), st.data())
def test_layer_norm(shape, scaled, shifted, data):
    params = dict(rank=data.draw(st.integers(1, len(shape) - 1)), epsilon=1e-2)
    vector = shape[len(shape) - params["rank"] :]
    x, scale = drawn(*shape), drawn(*vector, seed=1)
    check("layer_norm", x, scale if scaled else None, scale if shifted else None, **params)
    _, mean, variance = reference("layer_norm", (x, scale, scale), params)
    check("layer_norm_grad", drawn(*shape, seed=2), x, scale, mean, variance, tolerance=1e-4, **params)


def test_statistics_over_several_kept_axes_and_gradients_without_scale_are_declined():
    x, vector = drawn(2, 3, 4), drawn(4)
    assert not row_of("batch_norm").accepts(x, None, None, axes=(0,), epsilon=0.1)
    assert not row_of("batch_norm_grad").accepts(x, x, None, vector, vector, axes=(0, 1), epsilon=0.1)
    assert not row_of("layer_norm_grad").accepts(x, x, None, x[..., :1], x[..., :1], rank=1, epsilon=0.1)
