"""Activation functions against Keras: values and gradients, names, configs."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
import pytest

from mlkit import activations, ops
from mlkit.ops.gradients import grad
from tests.signatures import untyped

OPTIONS = [  # function, options beyond the defaults
    ("relu", {"negative_slope": 0.2}),
    ("relu", {"max_value": 1.5}),
    ("relu", {"max_value": 6}),
    ("relu", {"threshold": 0.5}),
    ("relu", {"threshold": -0.5}),
    ("relu", {"threshold": -0.5, "max_value": 1.0}),
    ("relu", {"negative_slope": 0.2, "max_value": 1.5}),
    ("relu", {"negative_slope": 0.2, "max_value": 6, "threshold": 0.5}),
    ("leaky_relu", {"negative_slope": 0.4}),
    ("softmax", {"axis": 0}),
    ("softmax", {"axis": (0, 1)}),
    ("log_softmax", {"axis": 0}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 0.5}),
    ("gelu", {"approximate": True}),
    ("glu", {"axis": 0}),
    ("squareplus", {"b": 2}),
    ("soft_shrink", {"threshold": 0.2}),
    ("hard_shrink", {"threshold": 0.2}),
    ("threshold", {"threshold": 0.3, "default_value": -1.0}),
    ("sparsemax", {"axis": 0}),
]
FUNCTIONS = sorted({f.__name__ for f in keras.src.activations.ALL_OBJECTS})
CASES = [(name, {}) for name in FUNCTIONS if name != "threshold"] + OPTIONS
JUDGED = [c for c in CASES if c[0] != "sparsemax"]  # Keras's does not sum to 1; see below
X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32") * 3


@pytest.mark.parametrize("name, options", JUDGED)
def test_values_and_gradients(name, options):
    ours, theirs = (getattr(library, name) for library in (activations, keras.activations))
    np.testing.assert_allclose(
        ours(X, **options).numpy() if name != "linear" else ours(X), theirs(X, **options), rtol=2e-5, atol=2e-6
    )
    weights = np.random.default_rng(1).normal(size=np.shape(theirs(X, **options))).astype("float32")
    expected = jax.grad(lambda x: jax.numpy.sum(theirs(x, **options) * weights))(X)
    found = grad(lambda x: ops.sum(ours(x, **options) * weights))(ops.convert_to_tensor(X))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_sparsemax_is_the_nearest_distribution(axis):
    """The optimality conditions of the projection: sums of 1, one threshold for all that is positive, and none above it."""
    y = np.moveaxis(activations.sparsemax(X, axis=axis).numpy(), axis, -1)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)
    for values, found in zip(np.moveaxis(X, axis, -1), y):
        thresholds = (values - found)[found > 0]
        np.testing.assert_allclose(thresholds, thresholds[0], rtol=1e-5)
        assert np.all(found >= 0)
        assert np.all(values[found == 0] <= thresholds[0] + 1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name, options", CASES)
def test_dtype_is_kept(name, options, dtype):
    assert getattr(activations, name)(ops.cast(X, dtype), **options).dtype == dtype


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signature_name_and_config(name):
    ours, theirs = (getattr(library, name) for library in (activations, keras.activations))
    assert untyped(ours) == untyped(theirs)
    assert activations.get(name) is ours
    assert activations.serialize(ours) == keras.activations.serialize(theirs) == name
    assert activations.deserialize(name) is ours


def test_get():
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu is activations.swish
    assert activations.get("hard_swish") is activations.hard_silu is activations.hard_swish
    mine = lambda x: x + 1
    assert activations.get(mine) is mine
    for bad in ("rellu", 3):
        with pytest.raises(ValueError, match="Could not interpret the activation function"):
            activations.get(bad)


def test_own_functions():
    from mlkit import saving

    @saving.register_keras_serializable("tests")
    def twice(x):
        return 2 * x

    config = activations.serialize(twice)
    assert activations.deserialize(config) is twice
    assert activations.get(config) is twice
    assert activations.get("tests>twice") is twice
