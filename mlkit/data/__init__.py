"""Data: arrays, datasets and image folders become batches; standard data sets are downloaded or come with the package."""

from mlkit.core.lazy_import import offer

__all__, __getattr__, __dir__ = offer(
    __name__,
    {
        ".adapters": "Adapter get_adapter",
        ".arrays": "train_validation_split",
        ".batch": "class_weight_to_sample_weight pack_x_y_sample_weight unpack_x_y_sample_weight",
        ".dataset": "AUTOTUNE Dataset DatasetIterator INFINITE_CARDINALITY UNKNOWN_CARDINALITY",
        ".epochs": "EpochIterator",
        ".pipeline.elements": "Strings TensorSpec",
        ".workers": "ordered_map prefetch",
        ".py_dataset": "PyDataset",
        ".samples": "show_batch",
        ".photo_folder": "PhotoFolder verify_images",
    },
)
