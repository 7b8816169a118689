"""The namespace `keras.utils.legacy`: objects as Keras 2 wrote them."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(__name__, {"mlkit.legacy.saving": "deserialize_keras_object serialize_keras_object"})
