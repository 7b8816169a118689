"""Constraints against Keras: values, configs, lookup."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
import pytest

from mlkit import constraints
from mlkit.objects.variable import Variable
from tests.signatures import untyped

CONSTRAINTS = [
    ("Constraint", {}),
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": (0, 1)}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": -1}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.8, "rate": 0.3, "axis": [0, 1]}),
]
WEIGHT = np.random.default_rng(0).normal(size=(4, 3, 2)).astype("float32")
WEIGHT[:, 0, 0] = 0  # a norm of 0 must not give NaN


def both(cls, options):
    return [getattr(library, cls)(**options) for library in (constraints, keras.constraints)]


@pytest.mark.parametrize("cls, options", CONSTRAINTS)
def test_values(cls, options):
    ours, theirs = both(cls, options)
    v = Variable(WEIGHT)
    v.assign(ours(v))
    np.testing.assert_allclose(v.numpy(), np.asarray(theirs(WEIGHT)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("cls, options", CONSTRAINTS)
def test_dtype_is_kept(cls, options, dtype):
    assert both(cls, options)[0](Variable(WEIGHT, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("cls, options", CONSTRAINTS)
def test_config(cls, options):
    ours, theirs = both(cls, options)
    config = ours.get_config()
    assert config == theirs.get_config()
    assert constraints.deserialize(constraints.serialize(ours)).get_config() == config
    assert keras.constraints.deserialize(constraints.serialize(ours)).get_config() == config
    assert untyped(type(ours).__init__) == untyped(type(theirs).__init__)


@pytest.mark.parametrize("name", sorted(keras.src.constraints.ALL_OBJECTS_DICT))
def test_every_name_of_keras(name):
    assert type(constraints.get(name)).__name__ == type(keras.constraints.get(name)).__name__


def test_get():
    assert constraints.get(None) is None
    assert constraints.max_norm is constraints.MaxNorm
    identity = lambda w: w
    assert constraints.get(identity) is identity
    assert constraints.get({"class_name": "MaxNorm", "config": {"max_value": 3}}).max_value == 3
    with pytest.raises(ValueError, match="Could not interpret the constraint 'unit'. Did you mean"):
        constraints.get("unit")
