# Written by .ci/stubs.py: run it after a change of what this module offers.

from mlkit.data.adapters import Adapter as Adapter
from mlkit.data.adapters import get_adapter as get_adapter
from mlkit.data.arrays import train_validation_split as train_validation_split
from mlkit.data.batch import class_weight_to_sample_weight as class_weight_to_sample_weight
from mlkit.data.batch import pack_x_y_sample_weight as pack_x_y_sample_weight
from mlkit.data.batch import unpack_x_y_sample_weight as unpack_x_y_sample_weight
from mlkit.data.dataset import Dataset as Dataset
from mlkit.data.dataset import DatasetIterator as DatasetIterator
from mlkit.data.epochs import EpochIterator as EpochIterator
from mlkit.data.photo_folder import PhotoFolder as PhotoFolder
from mlkit.data.photo_folder import verify_images as verify_images
from mlkit.data.pipeline.elements import Strings as Strings
from mlkit.data.pipeline.elements import TensorSpec as TensorSpec
from mlkit.data.py_dataset import PyDataset as PyDataset
from mlkit.data.samples import show_batch as show_batch
from mlkit.data.workers import ordered_map as ordered_map
from mlkit.data.workers import prefetch as prefetch

AUTOTUNE: int
INFINITE_CARDINALITY: int
UNKNOWN_CARDINALITY: int
