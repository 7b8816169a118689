"""The names of `keras.optimizers.legacy`, Keras 2's optimizers: each says what to use in its place."""

from mlkit.objects.refused import refused

_REASON = "optimizers.legacy holds Keras 2's optimizers, which Keras 3 does not have either. Use mlkit.optimizers.{}."

Adagrad, Adam, Ftrl, Optimizer, RMSprop, SGD = (
    refused(name, _REASON.format(name), ImportError) for name in ("Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD")
)

__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]
