"""Regularizers against Keras: penalties, gradients, configs, lookup."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
import pytest

from mlkit import ops, regularizers
from mlkit.ops.gradients import grad
from tests.signatures import untyped

REGULARIZERS = [
    ("L1", {}),
    ("L1", {"l1": 0.5}),
    ("L1", {"l1": None}),
    ("L2", {}),
    ("L2", {"l2": 2}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {"l1": None, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]
MATRIX = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
every_one = pytest.mark.parametrize("cls, options", REGULARIZERS)


def both(cls, options):
    return [getattr(library, cls)(**options) for library in (regularizers, keras.regularizers)]


@every_one
def test_penalty_and_gradient(cls, options):
    ours, theirs = both(cls, options)
    np.testing.assert_allclose(
        ours(ops.convert_to_tensor(MATRIX)).numpy(), np.asarray(theirs(jax.numpy.asarray(MATRIX))), rtol=1e-5
    )
    expected = jax.grad(lambda x: jax.numpy.asarray(theirs(x)))(MATRIX)
    np.testing.assert_allclose(grad(ours)(ops.convert_to_tensor(MATRIX)).numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@every_one
def test_dtype_is_kept(cls, options, dtype):
    ours, _ = both(cls, options)
    assert ours(ops.cast(MATRIX, dtype)).dtype == dtype


@every_one
def test_config(cls, options):
    ours, theirs = both(cls, options)
    config = ours.get_config()
    assert config == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in theirs.get_config().items()}
    assert regularizers.deserialize(regularizers.serialize(ours)).get_config() == config
    assert keras.regularizers.deserialize(regularizers.serialize(ours)).get_config().keys() == config.keys()
    assert untyped(type(ours).__init__) == untyped(type(theirs).__init__)


@pytest.mark.parametrize("name", sorted(keras.src.regularizers.ALL_OBJECTS_DICT))
def test_every_name_of_keras(name):
    assert type(regularizers.get(name)).__name__ == type(keras.regularizers.get(name)).__name__


def test_get():
    def halved(x):
        return 0.5 * ops.sum(x)

    assert regularizers.get(halved) is halved
    assert regularizers.get(None) is None
    assert regularizers.l1_l2 is regularizers.L1L2
    assert regularizers.l2 is regularizers.L2
    assert regularizers.get({"class_name": "L2", "config": {"l2": 0.5}}).l2 == 0.5
    with pytest.raises(ValueError, match="Could not interpret the regularizer 'l3'"):
        regularizers.get("l3")


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "0.1", [0.1], True])
def test_bad_factors(value):
    for make in (regularizers.L1, regularizers.L2, regularizers.L1L2, regularizers.OrthogonalRegularizer):
        with pytest.raises(ValueError, match="must be a finite non-negative number"):
            make(value)


def test_bad_uses():
    with pytest.raises(ValueError, match="`mode` must be"):
        regularizers.OrthogonalRegularizer(mode="diagonal")
    with pytest.raises(ValueError, match="works on matrices"):
        regularizers.OrthogonalRegularizer()(ops.ones((2, 2, 2)))
    assert regularizers.Regularizer()(ops.ones(3)) == 0.0


@pytest.mark.parametrize("name", ["l1", "l2", "l1_l2", "orthogonal_regularizer"])
def test_whole_numbers_have_the_penalty_of_the_same_floats(name):
    penalty, x = getattr(regularizers, name)(), np.array([[1, -2, 0], [3, 1, 2]])
    found, wanted = (penalty(ops.convert_to_tensor(x.astype(t))) for t in ("int32", "float32"))
    assert found.dtype == "float32"
    assert float(found) == float(wanted)
