"""Layers: the namespace `keras.layers`."""

import importlib

_MODULES = (
    "layer",
    "input_layer",
    "input_spec",
    "dense",
    "activation",
    "conv",
    "conv_variants",
    "pool",
    "pool_adaptive",
    "norm",
    "norm_variants",
    "dropout",
    "reshape",
    "margins",
    "merge",
    "wrappers",
    "norm_weights",
    "embedding",
    "einsum_dense",
    "recurrent_cells",
    "recurrent",
    "conv_recurrent",
    "sequence",
    "attention",
    "attention_pair",
    "preprocess",
    "categories",
    "lookup",
    "text",
    "augment",
    "color",
    "tone",
    "regions",
    "policies",
    "audio",
)

__all__ = []
for _module in _MODULES:
    _part = importlib.import_module(f"mlkit.layers.{_module}")
    for _name in _part.__all__:
        globals()[_name] = getattr(_part, _name)
        __all__.append(_name)
