"""What only old code needs: the namespace `keras.legacy`."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(__name__, {".": "saving"})
