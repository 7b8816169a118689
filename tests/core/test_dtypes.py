"""Names of dtypes and the promotion rule, with JAX as judge of the lattice."""

import itertools

import numpy as np
import pytest

from mlkit.core import dtypes


def test_names():
    for name in dtypes.ALL:
        assert dtypes.name_of(dtypes.as_numpy(name)) == name == dtypes.standardize_dtype(name)
    assert dtypes.standardize_dtype(None) == "float32"
    assert dtypes.standardize_dtype(float) == "float32"
    assert dtypes.standardize_dtype("int") == "int32"
    assert dtypes.standardize_dtype(np.float16) == "float16" == dtypes.standardize_dtype(np.dtype("float16"))
    with pytest.raises(ValueError, match="Invalid dtype"):
        dtypes.standardize_dtype("float31")
    with pytest.raises(ValueError, match="Unsupported dtype"):
        dtypes.name_of(np.dtype("datetime64[s]"))
    with pytest.raises(ValueError, match="TextVectorization"):
        dtypes.standardize_dtype("string")


def test_frameworks_dtypes():
    jnp = pytest.importorskip("jax.numpy")
    assert dtypes.standardize_dtype(jnp.bfloat16) == "bfloat16"
    assert dtypes.standardize_dtype(jnp.ones(1).dtype) == "float32"


def test_kinds():
    assert dtypes.is_float("bfloat16")
    assert not dtypes.is_float("int8")
    assert dtypes.is_int("uint8")
    assert not dtypes.is_int("bool")
    assert dtypes.is_complex("complex64")


_KERAS_DIFFERS = {("uint32", i) for i in ("int8", "int16", "int32")}  # Keras on JAX works without 64-bit integers there


@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement(dtypes.ALL, 2)), ids="-".join)
def test_promotion_as_in_jax(pair):
    jax = pytest.importorskip("jax")
    if set(pair) in map(set, _KERAS_DIFFERS):
        assert dtypes.result_type(*pair) == "int32"
        return
    with jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64(True):
        expected = str(jax.numpy.promote_types(*(dtypes.as_numpy(p) for p in pair)))
    if pair in (("uint64", "int8"),) or ("uint64" in pair and any(p.startswith("int") for p in pair)):
        expected = "float32"  # a weak float in the lattice
    assert dtypes.result_type(*pair) == dtypes.result_type(*pair[::-1]) == expected


def test_python_scalars_are_weak():
    for name in dtypes.FLOATS:
        assert dtypes.result_type(name, float) == dtypes.result_type(name, int) == name
    assert dtypes.result_type("int8", int) == "int8"
    assert dtypes.result_type("int8", float) == "float32"
    assert dtypes.result_type(bool, int) == "int32"
    assert dtypes.result_type(int, float) == "float32"
    assert dtypes.result_type("float16", complex) == "complex64"
    assert dtypes.result_type() == "float32"


def test_default_float():
    try:
        dtypes.set_floatx("float16")
        assert dtypes.standardize_dtype(None) == dtypes.floatx() == "float16"
        assert dtypes.float_of("int32") == "float16"
    finally:
        dtypes.set_floatx("float32")
    assert dtypes.float_of("int32") == "float32"
    assert dtypes.float_of("float64") == "float64"
    with pytest.raises(ValueError, match="set_floatx"):
        dtypes.set_floatx("int32")


def test_limits():
    assert dtypes.limits("int8") == (-128, 127)
    assert dtypes.limits("bool") == (False, True)
    assert dtypes.limits("float16")[1] == 65504.0
    assert dtypes.limits("bfloat16")[1] > 3e38
