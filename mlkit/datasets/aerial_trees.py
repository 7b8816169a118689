"""800 aerial photos that come with the package, of tree crowns and of what lies between: no network needed."""

import importlib.resources
import os
from typing import Any

import numpy as np

from mlkit.data.archive import unpack
from mlkit.data.decode import decode_image
from mlkit.data.download import cache_folder

CLASS_NAMES = ("background", "tree")


def folder() -> str:
    """The photos as a folder for `image_dataset_from_directory` and `mlkit.finetune`.

    It holds `train` (250 photos a class, from one landscape) and `test` (150 a class, from another), each with the sub-folders
    `background` and `tree`: JPEG files, 96x96 pixels. They are unpacked at the first call to `datasets/aerial_trees` in
    `~/.mlkit` or in the folder that MLKIT_HOME names.

    Returns:
        Its path.
    """
    path = os.path.join(cache_folder(), "datasets", "aerial_trees")
    if not os.path.isdir(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        packed = importlib.resources.files("mlkit.data.resources").joinpath("aerial_trees.zip")
        with importlib.resources.as_file(packed) as archive:
            unpack(archive, path, "zip")
    return path


def load_data() -> tuple[Any, ...]:
    """The photos as arrays.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: x uint8 (n, 96, 96, 3), y uint8 (n,) with 1 for trees; 500 and 300 photos,
        sorted by class.
    """
    parts = []
    for part in ("train", "test"):
        images, labels = [], []
        for label, name in enumerate(CLASS_NAMES):
            where = os.path.join(folder(), part, name)
            images += [decode_image(os.path.join(where, file), (96, 96)) for file in sorted(os.listdir(where))]
            labels += [label] * (len(images) - len(labels))
        parts.append((np.stack(images), np.array(labels, "uint8")))
    return tuple(parts)
