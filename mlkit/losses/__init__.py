"""Losses: what training minimizes. Classes to configure, functions of one value a sample, and `get` by name."""

import inspect
from typing import Any

from mlkit.core.typing import Identifier
from mlkit.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from mlkit.losses.hinge import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from mlkit.losses.loss import Loss, LossFunctionWrapper
from mlkit.losses.regression import (
    CosineSimilarity,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    cosine_similarity,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from mlkit.losses.structured import CTC, Circle, Dice, Tversky, circle, ctc, dice, tversky
from mlkit.objects.lookup import Lookup

_CLASSES = [v for v in list(globals().values()) if inspect.isclass(v) and issubclass(v, Loss)]
_FUNCTIONS = [v for v in list(globals().values()) if inspect.isfunction(v)]
_NAMES = [o.__name__ for o in (*_CLASSES, *_FUNCTIONS)]
_ALIASES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}
_lookup = Lookup("loss", __name__, _NAMES, {**_ALIASES, **{short.upper(): name for short, name in _ALIASES.items()}})

__all__ = [*_NAMES, "deserialize", "get", "serialize"]


def serialize(loss: Any) -> Any:
    """A loss (object or function) as plain data: a dict, or a name."""
    return _lookup.serialize(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss that `serialize` wrote down. custom_objects: name -> class or function of one's own.

    Args:
        name: what `serialize` gave, or a loss's name.
    """
    return _lookup.deserialize(name, custom_objects)


def get(identifier: Identifier) -> Any:
    """A loss by name, config dict, class, or the object itself; None for None.

    >>> get("mse").__name__, type(get("MeanSquaredError")).__name__
    ('mean_squared_error', 'MeanSquaredError')
    """
    return _lookup.get(identifier)
