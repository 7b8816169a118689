"""The functions of `keras.ops.nn`."""

import importlib as _importlib

__all__ = []
for _name in ("activations", "attention", "blocks", "conv", "ctc", "encoding", "losses", "normalization", "pool"):
    _part = _importlib.import_module(f"mlkit.ops.nn.{_name}")
    for _function in _part.__all__:
        globals()[_function] = getattr(_part, _function)
    __all__ += _part.__all__
