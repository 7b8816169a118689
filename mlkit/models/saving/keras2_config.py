"""Configs as Keras 1.2 to 2.15 spelled them, and `.h5` files of Keras 3 still do in part, rewritten as Keras 3 spells them.

Only the spelling changes here: whatever results goes through the same checks as the config of a `.keras` file.
"""

import warnings
from collections.abc import Callable
from typing import Any

from mlkit.models.saving import op_names
from mlkit.objects import registry

_MODELS = {"Model": "Functional", "Functional": "Functional", "Sequential": "Sequential"}
_NAMESPACE_OF = {  # what stands under a key, by the key's end
    "initializer": "keras.initializers", "regularizer": "keras.regularizers", "constraint": "keras.constraints",
    "layer": "keras.layers", "cell": "keras.layers", "cells": "keras.layers", "layers": "keras.layers",
    "learning_rate": "keras.optimizers.schedules",
}  # fmt: skip
_NO_LONGER = (  # arguments of layers that mean nothing any more
    "batch_input_shape input_dtype input_length implementation time_major virtual_batch_size fused query_shape key_shape "
    "value_shape function_type module output_shape_type output_shape_module"
).split()
_GROUPED = ("Conv1D", "Conv2D", "Conv3D")
_OPTIMIZER_NAMES = {"lr": "learning_rate"}
_OPTIMIZER_NO_LONGER = "decay schedule_decay jit_compile is_legacy_optimizer sample_weight_mode".split()


def modernized(config: Any) -> Any:
    """The config of a model, ``{"class_name": ..., "config": ...}``, in Keras 3's spelling. What is new already stays as it is.

    >>> old = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"units": 2, "batch_input_shape": [None, 3]}}]}
    >>> [(one["module"], one["class_name"]) for one in modernized(old)["config"]["layers"]]
    [('keras.layers', 'InputLayer'), ('keras.layers', 'Dense')]
    """
    return _model(_plain(config))


def modern_training(training: dict[str, Any]) -> dict[str, Any]:
    """The "training_config" of an `.h5` file as the arguments of `compile`, in Keras 3's spelling."""
    training = _plain(training)
    metrics = [_compiled(training.get(key), "keras.metrics") for key in ("metrics", "weighted_metrics")]
    return {
        "optimizer": _optimizer(training.get("optimizer_config")),
        "loss": _compiled(training.get("loss"), "keras.losses"),
        "loss_weights": training.get("loss_weights"),
        "metrics": metrics[0],
        "weighted_metrics": metrics[1],
    }


def _plain(value):
    """Tuples and numbers that the old JSON marked as such."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__tuple__":
        return [_plain(v) for v in value.get("items", [])]
    if value.get("type") == "ndarray" and "value" in value:
        return _plain(value["value"])
    return {k: _plain(v) for k, v in value.items()}


def _is_object(value):
    return isinstance(value, dict) and isinstance(value.get("class_name"), str) and "config" in value


# ---- models --------------------------------------------------------------------------------------------------------------


def _model(entry):
    name = entry.get("class_name") if isinstance(entry, dict) else None
    if name not in _MODELS or "config" not in entry:
        return _layer(entry)
    config = entry["config"]
    if isinstance(config, list):  # of Sequential, up to Keras 2.2
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return entry  # of a user's class, or damaged
    layers = [_layer(one) for one in config["layers"]]
    if name == "Sequential":
        layers = _with_input(config["layers"], layers)
    else:
        _count_calls_from_zero(config["layers"], layers)
        ends = {key: config[key] for key in ("input_layers", "output_layers") if key in config}
        config = {**config, **{key: v[0] if isinstance(v, list) and len(v) == 1 else v for key, v in ends.items()}}
    form = {**entry, "class_name": _MODELS[name], "config": {**config, "layers": layers}}
    if "module" not in entry:
        form["module"] = "keras" if name == "Sequential" else "keras.src.models.functional"
    return form


def _with_input(old, layers):
    """The layers of a Sequential with its input first: it was an argument of the first layer."""
    first = old[0].get("config") if old and isinstance(old[0], dict) else None
    shape = first.get("batch_input_shape") if isinstance(first, dict) else None
    if shape is None or old[0].get("class_name") == "InputLayer":
        return layers
    dtype = first.get("input_dtype") or ("int32" if old[0].get("class_name") == "Embedding" else None)
    given = {"batch_shape": shape} if dtype is None else {"batch_shape": shape, "dtype": dtype}
    return [{"module": "keras.layers", "class_name": "InputLayer", "config": given}, *layers]


def _count_calls_from_zero(old, layers):
    """Old files count the calls of a nested model from 1: the first was the one that defined it."""
    inner = {
        one["config"].get("name"): len(one.get("inbound_nodes", ()))
        for one in old
        if isinstance(one, dict) and one.get("class_name") in _MODELS and isinstance(one.get("config"), dict)
    }
    references = [r for one in layers for node in one.get("inbound_nodes", ()) if isinstance(node, list) for r in node]
    references = [r for r in references if isinstance(r, list) and len(r) > 2 and r[0] in inner]
    shifted = {r[0] for r in references if r[1] == inner[r[0]]}
    for r in references:
        if r[0] in shifted and isinstance(r[1], int):
            r[1] -= 1


# ---- layers --------------------------------------------------------------------------------------------------------------


def _layer(entry):
    """A layer's entry; what has a module is in the new form already."""
    if not _is_object(entry) or "module" in entry:
        return entry
    name, config = registry.public_name(entry["class_name"]), entry["config"]
    if name in _MODELS:
        return _model(entry)
    if not isinstance(config, dict):
        return entry
    if operation := _operation_of(name, config):
        return {**entry, **operation}
    form = {**entry, "class_name": name, "config": _layer_config(name, config)}
    if registry.builtin("keras.layers", name) is not None:
        form["module"] = "keras.layers"
    if isinstance(entry.get("inbound_nodes"), list):
        form["inbound_nodes"] = [_call(node) for node in entry["inbound_nodes"]]
    return form


def _operation_of(name, config):
    """{"module", "registered_name"} of a function of `ops`, which Keras 3 writes into `.h5` files under its class's bare name; its
    config, unlike a layer's, says nothing of training."""
    if "trainable" in config or "batch_shape" in config or "batch_input_shape" in config:
        return None
    module = op_names.module_of(name)
    return {"module": module, "registered_name": name} if module else None


def _layer_config(name, config):
    config = {key: _value(key, value) for key, value in config.items()}
    if name == "InputLayer" and "batch_input_shape" in config:
        config["batch_shape"] = config["batch_input_shape"]
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        config["axis"] = config["axis"][0]
    if name == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if config.get("groups") == 1 and name not in _GROUPED:
        del config["groups"]
    if name == "Lambda":
        config["function"] = _lambda_function(config.get("function"))
    if name in ("Bidirectional", "TimeDistributed") and _is_object(config.get("layer")):
        config["layer"]["config"].pop("batch_input_shape", None)
    return {k: v for k, v in config.items() if k not in _NO_LONGER or (k == "module" and name != "Lambda")}


def _value(key, value):
    """An object within a layer's config, by what its key says it is."""
    if isinstance(value, list) and any(map(_is_object, value)):
        return [_value(key, v) for v in value]
    if not _is_object(value) or "module" in value:
        return value
    if key == "dtype":  # a policy; mixed_float16, say
        return value["config"].get("name") if isinstance(value["config"], dict) else value
    module = _NAMESPACE_OF.get(key.rpartition("_")[2]) or _NAMESPACE_OF.get(key)
    if module == "keras.layers":
        return _layer(value)
    known = module is not None and registry.builtin(module, value["class_name"]) is not None
    return {**value, "module": module} if known else value


def _lambda_function(function: Callable[..., Any]):
    if isinstance(function, list):  # byte code, defaults and closure
        return {"class_name": "__lambda__", "config": {"code": function[0] if function else ""}}
    return function


def _call(node):
    """A call `[[layer, call, output, keyword arguments], ...]`; in Keras 2.4 to 2.15 a single one need not be in a list."""
    return [node] if isinstance(node, list) and node and isinstance(node[0], str) else node


# ---- what compile was given ----------------------------------------------------------------------------------------------


def _optimizer(entry):
    if not _is_object(entry) or not isinstance(entry["config"], dict):
        return entry
    config = {_OPTIMIZER_NAMES.get(k, k): _value(k, v) for k, v in entry["config"].items()}
    if config.get("decay"):
        warnings.warn(
            f"The optimizer was saved with decay={config['decay']}, which is dropped. Compile anew with a schedule, "
            "InverseTimeDecay, as `learning_rate` to keep it.",
            stacklevel=6,
        )
    if config.get("epsilon", 0) is None:
        config["epsilon"] = 1e-7
    config = {k: v for k, v in config.items() if k not in _OPTIMIZER_NO_LONGER}
    known = registry.builtin("keras.optimizers", entry["class_name"]) is not None
    return {**entry, "config": config, **({"module": "keras.optimizers"} if known else {})}


def _compiled(value, module):
    """Losses or metrics, which may be nested: names, functions by their names, objects."""
    if isinstance(value, list):
        return [_compiled(v, module) for v in value]
    if not _is_object(value):
        return {k: _compiled(v, module) for k, v in value.items()} if isinstance(value, dict) else value
    if "module" in value:
        return value
    name, config = value["class_name"], value["config"]
    if name == "function":
        return config
    if isinstance(config, dict):
        if name == "MeanMetricWrapper" and isinstance(config.get("fn"), str):
            return config["name"] if config.get("name") in ("accuracy", "acc", "crossentropy", "ce") else config["fn"]
        config = {**config, "reduction": "sum_over_batch_size"} if config.get("reduction") == "auto" else config
        config = {k: v for k, v in config.items() if k != "fn" or not isinstance(v, str) or "LossFunctionWrapper" in name}
    known = registry.builtin(module, name) is not None
    return {**value, "config": config, **({"module": module} if known else {})}
