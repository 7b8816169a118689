"""Dtype policies: what a policy without a name takes from the global one."""

import pytest

import mlkit


@pytest.fixture
def mixed():
    mlkit.config.set_dtype_policy("mixed_bfloat16")
    yield
    mlkit.config.set_dtype_policy("float32")


def test_a_policy_without_name_is_the_global_one(mixed):
    policy = mlkit.dtype_policies.DTypePolicy()
    assert policy == mlkit.config.dtype_policy()
    assert (policy.variable_dtype, policy.compute_dtype) == ("float32", "bfloat16")
    assert mlkit.layers.Dense(2).compute_dtype == "bfloat16"


def test_no_policy_is_no_global_policy():
    with pytest.raises(ValueError, match="invalid `policy` argument"):
        mlkit.config.set_dtype_policy(None)


def test_quantized_policies_are_named_as_missing():
    for name in ("int8_from_mixed_bfloat16", "float8_from_float32", "gptq/4/128_from_float32"):
        with pytest.raises(NotImplementedError, match="quantized layers are not supported.*" + name.split("_from_")[1]):
            mlkit.layers.Dense(2, dtype=name)
