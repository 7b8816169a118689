"""Dtype policies: in which dtype a layer keeps its weights and in which it computes."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias

from mlkit import ops
from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType
from mlkit.objects.config_object import Configurable
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.objects.registry import CustomObjectScope
from mlkit.objects.serialization import deserialize_keras_object, serialize_keras_object

__all__ = [
    "AWQDTypePolicy",
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "GPTQDTypePolicy",
    "Int4DTypePolicy",
    "QuantizedDTypePolicy",
    "QuantizedFloat8DTypePolicy",
    "deserialize",
    "dtype_policy",
    "get",
    "serialize",
    "set_dtype_policy",
]

_QUANTIZED = ("int8", "float8", "int4", "gptq", "awq")  # modes, with which the names of such policies begin
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy(Configurable):
    """The dtypes of a layer.

    Args:
        name: a dtype, used for weights and computation alike; or ``"mixed_float16"``, ``"mixed_bfloat16"``: float32 weights,
            computation in the half format (Micikevicius et al., Mixed Precision Training, 2018). None: the name of the global
            policy.

    >>> DTypePolicy("mixed_bfloat16").compute_dtype
    'bfloat16'
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        self._name = name
        self._variable_dtype, self._compute_dtype = self._parse(name)

    def _parse(self, name: str) -> tuple[str, str]:
        """The dtypes of the weights and of the computation."""
        title = type(self).__name__
        if not isinstance(name, str):
            raise TypeError(f"{title}: `name` must be a string such as 'float32' or 'mixed_float16', but got {name!r}.")
        if name in _MIXED:
            return "float32", _MIXED[name]
        try:
            dtype = dtypes.standardize_dtype(name)
        except ValueError as error:
            raise ValueError(
                f"{title}: cannot interpret {name!r}. Expected a dtype name such as 'float32', or one of {list(_MIXED)}."
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
        """In which form of few bits weights are kept; None: in none."""
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
        return type(other) is type(self) and other.get_config() == self.get_config()

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self.name}">'

    _deferred = {"name": None}  # the arguments with which a policy becomes that of the run which reads it

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self).from_config, (self.get_config(),))


FloatDTypePolicy = DTypePolicy  # Keras's second name of the class


# ---- quantized weights ---------------------------------------------------------------------------------------------------


class QuantizedDTypePolicy(DTypePolicy):
    """The policy of a layer whose weights are kept in few bits, as files and maps of policies name it.

    No layer computes so: one with such a policy raises NotImplementedError when it is to make its weights.

    Args:
        mode: "int8", "float8", "int4", "gptq" or "awq".
        source_name: The policy that the layer had before; by default the global one.

    >>> policy = get("int8_from_mixed_bfloat16")
    >>> policy.quantization_mode, policy.compute_dtype
    ('int8', 'bfloat16')
    """

    def __init__(self, mode: str, source_name: str | None = None):
        if source_name is None:
            source_name = dtype_policy().name
        self._variable_dtype, self._compute_dtype = self._parse(source_name)
        self._mode = self._parse_mode(mode)
        if self._mode == "int8" and self.compute_dtype == "float16":
            raise ValueError(
                f"{type(self).__name__}: 'int8' doesn't work well with the compute dtype 'float16'; use 'bfloat16'."
            )
        self._name, self._source_name = f"{mode}_from_{source_name}", source_name

    def _parse_mode(self, mode: str) -> str:
        """The mode without what stands behind it."""
        if mode not in _QUANTIZED:
            raise ValueError(f"{type(self).__name__}: `mode` must be one of {_QUANTIZED}, but got {mode!r}.")
        return mode

    @property
    def quantization_mode(self) -> str:
        return self._mode

    def get_config(self) -> dict[str, Any]:
        return {"mode": self.name.split("_from_")[0], "source_name": self._source_name}

    _deferred = {"source_name": None}


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """Weights and activations of 8 bits that are floats.

    Args:
        mode: "float8".
        source_name: the policy that the layer had before; by default the global one.
        amax_history_length: of how many steps the greatest absolute values are kept, from which scales are made.
    """

    default_amax_history_length = 1024

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024):
        super().__init__(mode, source_name)
        if type(amax_history_length) is not int:
            raise TypeError(
                f"{type(self).__name__}: `amax_history_length` must be an integer, but got {amax_history_length!r}."
            )
        self.amax_history_length = amax_history_length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amax_history_length": self.amax_history_length}


class _GroupedDTypePolicy(QuantizedDTypePolicy):
    """Base of policies whose mode says more: ``"gptq/4/128"``. `forms`: the mode, then for each number its name and what it may be,
    None for -1 or any positive integer."""

    forms: tuple[str, dict[str, tuple[int, ...] | None]]

    def _parse_mode(self, mode: str) -> str:
        title, (self.mode, parts) = type(self).__name__, self.forms
        expected = "/".join([self.mode, *(f"<{name}>" for name in parts)])
        first, *numbers = mode.split("/") if isinstance(mode, str) else (None,)
        if first != self.mode or len(numbers) != len(parts) or not all(re.fullmatch(r"-?\d+", n) for n in numbers):
            raise ValueError(f"{title}: invalid `mode` {mode!r}. Expected {expected!r}, of integers.")
        for (name, allowed), number in zip(parts.items(), map(int, numbers)):
            if number not in allowed if allowed else number < -1 or number == 0:
                raise ValueError(f"{title}: `{name}` must be {allowed or '-1 or positive'}, but is {number} in {mode!r}.")
            setattr(self, name, number)
        return self.mode


class Int4DTypePolicy(_GroupedDTypePolicy):
    """Weights of 4 bits with a scale for each block of so many: mode "int4/128", or -1 for one scale for each channel."""

    forms = "int4", {"block_size": None}


class GPTQDTypePolicy(_GroupedDTypePolicy):
    """Weights rounded by GPTQ (Frantar et al., 2022): mode "gptq/4/128", bits and size of a group."""

    forms = "gptq", {"weight_bits": (2, 3, 4, 8), "group_size": None}


class AWQDTypePolicy(_GroupedDTypePolicy):
    """Weights rounded by AWQ (Lin et al., 2023): mode "awq/4/128", bits and size of a group."""

    forms = "awq", {"weight_bits": (4,), "group_size": None}


def _quantized(name: str) -> QuantizedDTypePolicy:
    """The policy of a name such as "int8_from_float32"."""
    mode, _, source_name = name.partition("_from_")
    grouped = {"gptq": GPTQDTypePolicy, "awq": AWQDTypePolicy, "int4": Int4DTypePolicy, "float8": QuantizedFloat8DTypePolicy}
    cls = QuantizedDTypePolicy if mode == "int4" else grouped.get(mode.split("/")[0], QuantizedDTypePolicy)
    return cls(mode, source_name)


class DTypePolicyMap(Configurable, MutableMapping):
    """Policies by layer path, with a default for paths not named; use as the `dtype` of a composite layer.

    Args:
        default_policy: policy for all other paths. By default it is the global one, and the policies of a map that is read from
            a config are too.
        policy_map: dict path -> policy or name; keys are matched with whole paths as regular expressions when no path is equal.
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
        return self.default_policy.quantization_mode

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        return self.default_policy.convert_input(x, autocast, dtype)

    def __getitem__(self, path: str) -> DTypePolicy:
        if path in self._policy_map:
            return self._policy_map[path]
        found = [key for key in self._policy_map if re.fullmatch(key, path)]
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

    def get_config(self) -> dict[str, Any]:
        default = self._default_policy_arg
        policies = {path: serialize(policy) for path, policy in self._policy_map.items()}
        if default is None:
            for path, policy in self.items():
                policies[path]["config"].update(policy._deferred)
        return {"default_policy": None if default is None else serialize(default), "policy_map": policies}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "DTypePolicyMap":
        default = config.get("default_policy")
        with CustomObjectScope(custom_objects):
            policies = {path: get(policy) for path, policy in (config.get("policy_map") or {}).items()}
            return cls(None if default is None else get(default), policies)

    def __eq__(self, other: object):
        if not isinstance(other, DTypePolicyMap):
            return False
        return (self._default_policy_arg, self._policy_map) == (other._default_policy_arg, other._policy_map)

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

    Args:
        policy: a name, a DTypePolicy or a DTypePolicyMap.

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
        quantized = "_from_" in identifier and identifier.startswith(_QUANTIZED)
        return _quantized(identifier) if quantized else DTypePolicy(identifier)
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
