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
from mlkit.core.names import get_uid
from mlkit.utils.session import clear_session, is_keras_tensor

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
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
