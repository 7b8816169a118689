"""Older names of data utilities, as in `keras.preprocessing`."""

from mlkit.data.image_folder import image_dataset_from_directory
from mlkit.data.timeseries import timeseries_dataset_from_array
from mlkit.preprocessing import image, sequence

__all__ = ["image", "image_dataset_from_directory", "sequence", "timeseries_dataset_from_array"]
