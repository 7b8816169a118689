"""Utilities under the names of `keras.utils`. Each comes from the module where it belongs, loaded when it is asked for."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        "mlkit.core.dtypes": "standardize_dtype",
        "mlkit.data.audio_folder": "audio_dataset_from_directory",
        "mlkit.data.batch": "pack_x_y_sample_weight unpack_x_y_sample_weight",
        "mlkit.data.download": "get_file",
        "mlkit.data.image_folder": "image_dataset_from_directory",
        "mlkit.data.py_dataset": "PyDataset Sequence",
        "mlkit.data.split": "split_dataset",
        "mlkit.data.text_folder": "text_dataset_from_directory",
        "mlkit.data.timeseries": "timeseries_dataset_from_array",
        "mlkit.saving": (
            "CustomObjectScope custom_object_scope deserialize_keras_object get_custom_objects get_registered_name "
            "get_registered_object register_keras_serializable serialize_keras_object"
        ),
        "mlkit.config": "disable_interactive_logging enable_interactive_logging is_interactive_logging_enabled",
        "mlkit.preprocessing.image": "array_to_img img_to_array load_img save_img",
        "mlkit.models.feature_space": "FeatureSpace",
        "mlkit.models.diagram": "model_to_dot plot_model",
        "mlkit.objects.keras_tensor": "get_source_inputs",
        ".named_values": "Config",
        ".numerical": "normalize to_categorical",
        ".progbar": "Progbar",
        ".seed": "set_random_seed",
        ".sequence": "pad_sequences",
        ".session": "clear_session is_keras_tensor",
        ".": "bounding_boxes legacy",
    },
)
