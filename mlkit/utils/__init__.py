"""Utilities under the names of `keras.utils`. Each comes from the module where it belongs, loaded when it is asked for."""

import importlib

_HOMES = {
    "mlkit.core.dtypes": ("standardize_dtype",),
    "mlkit.data.batch": ("pack_x_y_sample_weight", "unpack_x_y_sample_weight"),
    "mlkit.data.download": ("get_file",),
    "mlkit.data.image_folder": ("image_dataset_from_directory",),
    "mlkit.data.py_dataset": ("PyDataset", "Sequence"),
    "mlkit.data.timeseries": ("timeseries_dataset_from_array",),
    "mlkit.saving": (
        "CustomObjectScope",
        "custom_object_scope",
        "deserialize_keras_object",
        "get_custom_objects",
        "get_registered_name",
        "get_registered_object",
        "register_keras_serializable",
        "serialize_keras_object",
    ),
    "mlkit.config": (
        "disable_interactive_logging",
        "enable_interactive_logging",
        "is_interactive_logging_enabled",
    ),
    "mlkit.utils.image": ("array_to_img", "img_to_array", "load_img", "save_img"),
    "mlkit.utils.numerical": ("normalize", "to_categorical"),
    "mlkit.utils.progbar": ("Progbar",),
    "mlkit.utils.seed": ("set_random_seed",),
    "mlkit.utils.sequence": ("pad_sequences",),
    "mlkit.utils.session": ("clear_session", "is_keras_tensor"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "bounding_boxes"])


def __getattr__(name):
    if name == "bounding_boxes":  # a namespace of its own
        return importlib.import_module("mlkit.utils.bounding_boxes")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mlkit.utils' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
