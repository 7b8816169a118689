"""Saving and loading models, and the registry of your own classes: the names of `keras.saving`."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        "mlkit.models.keras_loader": "load_model",
        "mlkit.models.saving": "load_caffe load_weights save_model save_weights",
        "mlkit.models.saving.file_editor": "KerasFileEditor",
        "mlkit.objects.errors": "ModelFileError",
        "mlkit.objects.registry": (
            "CustomObjectScope custom_object_scope get_custom_objects get_registered_name get_registered_object "
            "register_keras_serializable"
        ),
        "mlkit.objects.serialization": "deserialize_keras_object serialize_keras_object",
    },
)
