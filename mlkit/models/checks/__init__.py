"""What is said before training: mistakes in data, model and `compile` that would train in silence on nonsense."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(__name__, {".run": "before_fit of_arrays"})
