"""What the fine-tuning job starts from, the same for all libraries: a folder of JPEG photos and the weights of a network."""

import math
import pathlib

import numpy as np

SIZE = 160  # height and width that the network sees
PHOTO = (480, 640)  # height and width of the files
COUNTS = {"train": 400, "val": 100}
TILE = 96


def write_photos(folder):
    """Write `train` and `val` with a sub-folder a class: mosaics of the aerial photos that come with mlkit, as JPEG files."""
    from PIL import Image

    from mlkit.datasets import aerial_trees

    rng = np.random.default_rng(0)
    for (tiles, labels), (part, count) in zip(aerial_trees.load_data(), COUNTS.items()):
        for i in range(count):
            label = i % 2
            where = pathlib.Path(folder, part, aerial_trees.CLASS_NAMES[label])
            where.mkdir(parents=True, exist_ok=True)
            photo = mosaic(rng.permutation(tiles[labels == label]))
            Image.fromarray(photo).save(where / f"{i:04}.jpg", quality=90)


def mosaic(tiles):
    """The first tiles side by side, row after row, cut to the size of a photo."""
    rows, columns = (-(-length // TILE) for length in PHOTO)
    grid = tiles[: rows * columns].reshape(rows, columns, TILE, TILE, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(rows * TILE, columns * TILE, 3)[: PHOTO[0], : PHOTO[1]]


def write_weights(folder):
    """Write `base.weights.h5` for Keras and mlkit, and `base.npz` with the same arrays in the order of the layers.

    They are random, but keep the numbers' size down the network, as trained ones do: no time is lost or won by numbers so small
    that processors are slow with them.
    """
    import mlkit

    rng = np.random.default_rng(1)
    base = mlkit.applications.MobileNetV2((SIZE, SIZE, 3), include_top=False, weights=None)
    for v in base.weights:
        if len(v.shape) == 4:
            fan_in = math.prod(v.shape[:2]) * (1 if v.shape[-1] == 1 else v.shape[2])  # 1: depthwise
            v.assign(rng.normal(0, math.sqrt(2 / fan_in), v.shape).astype("float32"))
    base.save_weights(pathlib.Path(folder, "base.weights.h5"))
    np.savez(pathlib.Path(folder, "base.npz"), *base.get_weights())
