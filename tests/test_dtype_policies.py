"""Dtype policies: what a policy without a name takes from the global one, and those of quantized layers, which are only named."""

import copy
import pickle

import keras
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


QUANTIZED = {  # the name of a class -> its arguments
    "QuantizedDTypePolicy": ("int8", "mixed_bfloat16"),
    "QuantizedFloat8DTypePolicy": ("float8", "float16", 5),
    "Int4DTypePolicy": ("int4/128", "float32"),
    "GPTQDTypePolicy": ("gptq/4/-1", "float32"),
    "AWQDTypePolicy": ("awq/4/128", "bfloat16"),
}
PROPERTIES = (
    "name quantization_mode compute_dtype variable_dtype mode block_size weight_bits group_size amax_history_length".split()
)


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_policies_are_forms(name):
    ours, theirs = (getattr(k.dtype_policies, name)(*QUANTIZED[name]) for k in (mlkit, keras))
    assert repr(ours) == repr(theirs)
    for attribute in PROPERTIES:
        assert getattr(ours, attribute, None) == getattr(theirs, attribute, None)
    config = keras.dtype_policies.serialize(theirs)
    assert mlkit.dtype_policies.serialize(ours) == config
    for again in (mlkit.dtype_policies.get(config), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert again == ours
        assert hash(again) == hash(ours)
    if name != "QuantizedFloat8DTypePolicy":  # its name does not say how much it keeps
        assert mlkit.dtype_policies.get(ours.name) == ours
    assert ours != mlkit.DTypePolicy(QUANTIZED[name][1])


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("QuantizedDTypePolicy", ("int7",)),
        ("QuantizedDTypePolicy", ("int8", "mixed_float16")),
        ("QuantizedDTypePolicy", ("int8", "int8_from_float32")),
        ("QuantizedDTypePolicy", ("int8", 5)),
        ("QuantizedFloat8DTypePolicy", ("float8", "float32", 1.5)),
        ("Int4DTypePolicy", ("int4", "float32")),
        ("Int4DTypePolicy", ("int4/0", "float32")),
        ("GPTQDTypePolicy", ("gptq/5/128", "float32")),
        ("GPTQDTypePolicy", ("gptq/4/x", "float32")),
        ("AWQDTypePolicy", ("awq/8/128", "float32")),
    ],
)
def test_what_no_quantized_policy_is(name, arguments):
    raised = []
    for k in (mlkit, keras):
        with pytest.raises((ValueError, TypeError)) as error:
            getattr(k.dtype_policies, name)(*arguments)
        raised.append(error.type)
    assert raised[0] is raised[1]


def test_no_layer_has_weights_by_a_quantized_policy():
    for name in ("int8_from_mixed_bfloat16", "float8_from_float32", "gptq/4/128_from_float32"):
        layer = mlkit.layers.Dense(2, dtype=name)
        assert mlkit.layers.Dense.from_config(layer.get_config()).dtype_policy == layer.dtype_policy
        with pytest.raises(NotImplementedError, match=f"quantized layers are not supported.*{name}.*bfloat16"):
            layer.build((None, 3))
        assert not layer.built
        assert layer.weights == []


def test_keys_of_a_map_are_whole_paths():
    policies = mlkit.dtype_policies.DTypePolicyMap("float32", {"encoder/.*": "float16", "decoder": "bfloat16"})
    found = [policies[path].name for path in ("encoder/a", "decoder", "decoder/b", "my_encoder/a")]
    assert found == ["float16", "bfloat16", "float32", "float32"]


def test_maps_without_default_follow_the_run_that_reads_them(mixed):
    given = {"a": "float32", "b": "int8_from_float32"}
    policies = mlkit.dtype_policies.DTypePolicyMap(policy_map=given)
    again = mlkit.dtype_policies.get(mlkit.dtype_policies.serialize(policies))
    assert [again[path].name for path in "abc"] == ["mixed_bfloat16", "int8_from_mixed_bfloat16", "mixed_bfloat16"]
    assert [policies[path].name for path in "ab"] == ["float32", "int8_from_float32"]


def test_maps_are_mappings():
    for k in (mlkit, keras):
        policies = k.dtype_policies.DTypePolicyMap("float32", {"a": k.DTypePolicy("bfloat16"), "b": k.DTypePolicy("float16")})
        assert policies.pop("a").name == "bfloat16"
        assert [(path, policy.name) for path, policy in policies.items()] == [("b", "float16")]
        policies.clear()
        assert len(policies) == 0


def test_constructors_of_users_get_dtypes_by_name():
    for k in (mlkit, keras):

        class Scaled(k.layers.Dense):
            def __init__(self, units, dtype=None, **kwargs):
                self.given = dtype
                super().__init__(units, dtype=dtype, **kwargs)

        for policy, wanted in (("bfloat16", "bfloat16"), ("mixed_float16", "mixed_float16"), ("int8_from_float32", None)):
            config = k.layers.Dense(2, dtype=policy).get_config()
            given = Scaled.from_config({name: config[name] for name in ("units", "dtype", "name")}).given
            assert given == (wanted or k.dtype_policies.get(policy))
