"""The functions of `keras.ops.image`: one image (height, width, channels) or a batch of them, channels last or first."""

import importlib as _importlib

__all__ = []
for _name in ("color", "filters", "frame", "patches", "resizing", "warping"):
    _part = _importlib.import_module(f"mlkit.ops.image.{_name}")
    __all__ += _part.__all__
    globals().update({_function: getattr(_part, _function) for _function in _part.__all__})
