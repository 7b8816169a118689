"""Data: arrays, datasets and image folders become batches; standard data sets are downloaded or come with the package."""

from mlkit.data.adapters import Adapter, get_adapter
from mlkit.data.arrays import train_validation_split
from mlkit.data.batch import class_weight_to_sample_weight, pack_x_y_sample_weight, unpack_x_y_sample_weight
from mlkit.data.epochs import EpochIterator
from mlkit.data.prefetch import ordered_map, prefetch
from mlkit.data.py_dataset import PyDataset

__all__ = [
    "Adapter",
    "EpochIterator",
    "PyDataset",
    "class_weight_to_sample_weight",
    "get_adapter",
    "ordered_map",
    "pack_x_y_sample_weight",
    "prefetch",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
