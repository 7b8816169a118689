"""Dtype policies: in which dtype a layer keeps its weights and in which it computes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from mlkit import ops
from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType
from mlkit.objects.config_object import Configurable
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.objects.refused import refused
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object

__all__ = [
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "deserialize",
    "dtype_policy",
    "get",
    "serialize",
    "set_dtype_policy",
]

_QUANTIZED = ("int8", "int4", "float8", "gptq", "awq")  # beginnings of Keras's names of policies of quantized layers
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy(Configurable):
    """The dtypes of a layer.

    name: a dtype, used for weights and computation alike; or ``"mixed_float16"``, ``"mixed_bfloat16"``: float32 weights,
    computation in the half format (Micikevicius et al., Mixed Precision Training, 2018). None: the name of the global policy.

    >>> DTypePolicy("mixed_bfloat16").compute_dtype
    'bfloat16'
    """

    def __init__(self, name: str | None = None, source_name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: `name` must be a string such as 'float32' or 'mixed_float16', but got {name!r}.")
        self._name = name
        self._source_name = source_name
        self._variable_dtype, self._compute_dtype = self._parse(name)

    def _parse(self, name: str) -> tuple[str, str]:
        if name in _MIXED:
            return "float32", _MIXED[name]
        if "_from_" in name and name.startswith(_QUANTIZED):
            raise NotImplementedError(
                f"DTypePolicy: quantized layers are not supported, so there is no policy {name!r}. Use "
                f"{name.split('_from_')[1]!r}."
            )
        try:
            dtype = dtypes.standardize_dtype(name)
        except ValueError as error:
            raise ValueError(
                f"DTypePolicy: cannot interpret {name!r}. Expected a dtype name such as 'float32', or one of {list(_MIXED)}."
            ) from error
        return dtype, dtype

    @property
    def name(self) -> str:
        return self._name

    @property
    def variable_dtype(self) -> str:
        """Dtype of the weights."""
        return self._variable_dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype inputs are cast to and results have."""
        return self._compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """None: quantization is not supported."""
        return None

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        """One argument of a layer call as a tensor; float tensors in the compute dtype where `autocast` says so."""
        if isinstance(x, (Tensor, KerasTensor)):
            return ops.cast(x, dtype) if autocast and dtypes.is_float(x.dtype) and x.dtype != dtype else x
        if hasattr(x, "__array__"):
            t = ops.convert_to_tensor(x)
            return ops.cast(t, dtype) if autocast and dtypes.is_float(t.dtype) and t.dtype != dtype else t
        return x

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DTypePolicy":
        return cls(**config)

    def __eq__(self, other: object):
        return type(other) is type(self) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_config, (self.get_config(),))


FloatDTypePolicy = DTypePolicy  # Keras's second name of the class


class DTypePolicyMap(Configurable):
    """Policies by layer path, with a default for paths not named; use as the `dtype` of a composite layer.

    default_policy: policy for all other paths, by default the global one. policy_map: dict path -> policy or name; keys are
    matched as regular expressions when no path is equal.
    """

    def __init__(self, default_policy: Any = None, policy_map: Mapping[str, Any] | None = None):
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("DTypePolicyMap: `default_policy` cannot be a DTypePolicyMap.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"DTypePolicyMap: `policy_map` must be a dict, but got {policy_map!r}.")
        self._default_policy_arg = None if default_policy is None else get(default_policy)
        self._policy_map = {}
        for path, policy in (policy_map or {}).items():
            self[path] = policy

    @property
    def default_policy(self) -> DTypePolicy:
        return self._default_policy_arg or dtype_policy()

    @property
    def name(self) -> str:
        return "map_" + self.default_policy.name

    @property
    def variable_dtype(self) -> str:
        return self.default_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        return self.default_policy.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        return None

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        return self.default_policy.convert_input(x, autocast, dtype)

    def __getitem__(self, path: str) -> DTypePolicy:
        if path in self._policy_map:
            return self._policy_map[path]
        found = [key for key in self._policy_map if re.search(key, path)]
        if len(found) > 1:
            raise ValueError(f"DTypePolicyMap: the path {path!r} matches several keys: {found}.")
        return self._policy_map[found[0]] if found else self.default_policy

    def __setitem__(self, path: str, policy: Any) -> None:
        if path in self._policy_map:
            raise ValueError(f"DTypePolicyMap: {path!r} already has the policy {self._policy_map[path]}. Delete it first.")
        if isinstance(policy, DTypePolicyMap):
            raise ValueError("DTypePolicyMap: a policy of the map cannot be a DTypePolicyMap itself.")
        self._policy_map[path] = get(policy)

    def __delitem__(self, path: str) -> None:
        del self._policy_map[path]

    def __contains__(self, path: str) -> bool:
        return path in self._policy_map

    def __len__(self) -> int:
        return len(self._policy_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy_map)

    def keys(self) -> Any:
        return self._policy_map.keys()

    def values(self) -> Any:
        return self._policy_map.values()

    def items(self) -> Any:
        return self._policy_map.items()

    def get_config(self) -> dict[str, Any]:
        default = self._default_policy_arg
        return {
            "default_policy": None if default is None else serialize(default),
            "policy_map": {path: serialize(policy) for path, policy in self._policy_map.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DTypePolicyMap":
        default = config.get("default_policy")
        return cls(None if default is None else get(default), {p: get(c) for p, c in (config.get("policy_map") or {}).items()})

    def __eq__(self, other: object):
        return isinstance(other, DTypePolicyMap) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((self.name, tuple(self._policy_map)))

    def __repr__(self) -> str:
        return f"<DTypePolicyMap default={self.default_policy}, {len(self)} paths>"


DTypeOrPolicy: TypeAlias = (
    DType | DTypePolicy | DTypePolicyMap | Mapping[str, Any] | None
)  # what `get` finds: a dtype, a policy, its name or config; None is the global one
_global_policy = None


def dtype_policy() -> "DTypePolicy | DTypePolicyMap":
    """The policy of layers that are given no `dtype`."""
    global _global_policy
    if _global_policy is None:
        _global_policy = DTypePolicy(dtypes.floatx())
    return _global_policy


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers made from now on: a name or a DTypePolicy. Raises ValueError for None.

    >>> import mlkit
    >>> mlkit.config.set_dtype_policy("mixed_bfloat16")
    >>> mlkit.layers.Dense(2).compute_dtype
    'bfloat16'
    >>> mlkit.config.set_dtype_policy("float32")
    """
    global _global_policy
    if policy is None:
        raise ValueError(
            "set_dtype_policy: invalid `policy` argument: None. Expected a name such as 'float32', or a DTypePolicy."
        )
    _global_policy = get(policy)


def get(identifier: Any) -> Any:
    """A policy from a policy, a dtype name, a serialized policy, or None (the global one)."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, (DTypePolicy, DTypePolicyMap)):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(dtypes.standardize_dtype(identifier))
    except ValueError as error:
        raise ValueError(
            f"Cannot interpret {identifier!r} as a dtype policy: expected a name, a DTypePolicy or a config."
        ) from error


def serialize(dtype_policy: Any) -> Any:
    """The policy as a config dict."""
    return serialize_keras_object(dtype_policy)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The policy from a config dict."""
    return deserialize_keras_object(config, custom_objects=custom_objects)


# ---- quantized weights ---------------------------------------------------------------------------------------------------

_NOT_QUANTIZED = "weights of 8 bits and fewer are not supported. Use 'float16', 'bfloat16' or a 'mixed_' policy."
AWQDTypePolicy, GPTQDTypePolicy, Int4DTypePolicy, QuantizedDTypePolicy, QuantizedFloat8DTypePolicy = (
    refused(name, _NOT_QUANTIZED)
    for name in "AWQDTypePolicy GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy".split()
)
