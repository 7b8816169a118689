"""Older names of data utilities, as in `keras.preprocessing`."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".": "image sequence",
        "mlkit.data.image_folder": "image_dataset_from_directory",
        "mlkit.data.text_folder": "text_dataset_from_directory",
        "mlkit.data.timeseries": "timeseries_dataset_from_array",
    },
)
