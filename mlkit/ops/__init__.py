"""The public operations: the namespace `keras.ops`.

Each module lists what it offers in `__all__`. Here every such function becomes recordable: called on KerasTensors it notes
itself as an operation of a functional model. Inside the library the modules' own functions are as good.
"""

import importlib

from mlkit.objects.keras_tensor import recordable as _recordable
from mlkit.ops import operators as _operators
from mlkit.primitives import random as _random

_MODULES = ("core", "numpy", "nn", "math", "signal", "einops", "linalg", "image", "control")
_NAMESPACES = {"numpy", "nn", "linalg", "image"}  # `ops.nn.relu` is `ops.relu`; functions of `ops.image` are found there only
_NOT_RECORDED = {"shape", "is_tensor", "convert_to_numpy", "dtype", "custom_gradient"}
_functions = {}  # public name -> the plain function

for _module in _MODULES:
    _part = importlib.import_module(f"mlkit.ops.{_module}")
    for _name in _part.__all__:
        _function = getattr(_part, _name)
        _public = _function if _name in _NOT_RECORDED else _recordable(_function)
        if _module in _NAMESPACES:
            setattr(_part, _name, _public)
        if _module != "image":
            _functions[_name] = _function
            globals()[_name] = _public

_operators.install(_functions, globals())

__all__ = sorted(_functions)
