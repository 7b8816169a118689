"""Facts about the engine in force: the namespace `keras.backend`."""

from mlkit.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from mlkit.core.dtypes import is_float as is_float_dtype
from mlkit.core.dtypes import is_int as is_int_dtype
from mlkit.core.dtypes import result_type, standardize_dtype
from mlkit.core.names import reset_names
from mlkit.objects.keras_tensor import KerasTensor

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def is_keras_tensor(x):
    """Whether x is a KerasTensor."""
    return isinstance(x, KerasTensor)


def clear_session(free_memory=True):
    """Start automatic names anew. free_memory: also collect garbage."""
    reset_names()
    if free_memory:
        import gc

        gc.collect()
