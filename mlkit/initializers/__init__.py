"""Weight initializers: callables ``(shape, dtype) -> tensor`` that give weights their first values."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit import ops
from mlkit.core.dtypes import standardize_dtype
from mlkit.core.names import to_snake_case
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Shape, TensorLike
from mlkit.initializers.constant import STFT, Constant, Identity, Ones, Zeros
from mlkit.initializers.initializer import Initializer, compute_fans
from mlkit.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from mlkit.objects.lookup import Lookup

_CLASSES = [v for v in list(globals().values()) if inspect.isclass(v) and issubclass(v, Initializer)]

# every class by its snake-case name too (`initializers.glorot_uniform`), and under some older names
globals().update({to_snake_case(cls.__name__): cls for cls in _CLASSES if cls is not Initializer})
IdentityInitializer, OrthogonalInitializer, STFTInitializer = Identity, Orthogonal, STFT

_lookup = Lookup(
    "initializer",
    __name__,
    [cls.__name__ for cls in _CLASSES],
    {
        "normal": "RandomNormal",
        "uniform": "RandomUniform",
        "one": "Ones",
        "zero": "Zeros",
        "IdentityInitializer": "Identity",
        "OrthogonalInitializer": "Orthogonal",
        "STFTInitializer": "STFT",
    },
)

__all__ = [n for n, v in globals().items() if v in _CLASSES] + ["deserialize", "get", "serialize"]


def get(identifier: Any) -> Any:
    """An initializer from a name ("he_normal"), a class, a config, a callable, or the very values; None gives None.

    >>> type(get("glorot_uniform")).__name__
    'GlorotUniform'
    >>> get(np.eye(2))((2, 2), "float32").numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    if not isinstance(identifier, str) and (ops.is_tensor(identifier) or isinstance(identifier, (np.ndarray, np.generic))):
        return _of_values(identifier)
    return _lookup.get(identifier)


def _of_values(values: TensorLike) -> Callable[..., Any]:
    def initialize(shape: Shape, dtype: DType | None = None) -> Tensor:
        if tuple(shape) != tuple(values.shape):
            raise ValueError(
                f"The values given as initializer have shape {tuple(values.shape)}, but the weight has {tuple(shape)}."
            )
        return ops.cast(values, standardize_dtype(dtype))

    return initialize


def serialize(initializer: Any) -> Any:
    """The initializer as a dict that `deserialize` reads."""
    return _lookup.serialize(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer that `serialize` wrote. custom_objects: name -> class, for classes that are not built in."""
    return _lookup.deserialize(config, custom_objects)
