"""The NumPy family of operations, under Keras's names. Every function takes tensors, variables, arrays and Python numbers.

Operands of different dtypes are promoted (mlkit.core.dtypes). All are composed of the primitives in mlkit/ops and so
differentiable where mathematics allows. This module gathers the public names of its parts.
"""

import importlib

from mlkit.core.lazy_import import offer

_PARTS = (
    "arithmetic", "bits", "comparison", "complex_numbers", "contraction", "creation", "exponential", "functional", "indexing",
    "joining", "matrices", "nan", "padding", "picking", "products", "reductions", "rounding", "shaping", "sorting",
    "statistics", "trigonometric", "windows",
)  # fmt: skip

__all__ = []
for _part in _PARTS:
    _module = importlib.import_module(f"mlkit.ops.numpy.{_part}")
    __all__ += _module.__all__
    globals().update({_name: getattr(_module, _name) for _name in _module.__all__})

_, __getattr__, _ = offer(__name__, {"mlkit.ops.linalg": "slogdet"})  # shown in both; it stands above this package
