"""Folders of images, one sub-folder a class, as batches."""

import copy
import itertools
import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mlkit.core.machine import usable_cores
from mlkit.core.settings import image_data_format
from mlkit.core.typing import FilePath
from mlkit.data.dataset import Dataset
from mlkit.data.decode import CHANNELS, check_color_mode, check_interpolation, decode_image, unreadable
from mlkit.data.folder_index import check_label_mode, index_folder, split_files, targets
from mlkit.data.grain_format import check_format, in_format
from mlkit.data.photo_kinds import advice, readable_formats
from mlkit.data.pipeline.elements import TensorSpec, map_spec
from mlkit.data.pipeline.node import Node, Pass
from mlkit.data.workers import ordered_map, prefetch

# images that a thread decodes before it hands them over: a lone thread that wakes another for each costs up to a third of the time
_TOGETHER = 8


def image_dataset_from_directory(
    directory: FilePath,
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str | None = "rgb",
    batch_size: int | None = 32,
    image_size: Sequence[int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
    on_corrupt: str = "warn",
    antialias: bool = False,
) -> Any:
    """Batches of the images in a folder, labelled by its sub-folders.

    All kinds that Pillow reads here are taken: JPEG, PNG, GIF, BMP, TIFF, and WebP, AVIF and JPEG 2000 where it was built with them;
    HEIC where pillow-heif is installed. A warning says which images were passed over, which sub-folders cannot be read and which
    classes have no file.

    Pixels are those of Keras, but that photos are turned as their EXIF data say. (TensorFlow decodes JPEG files less exactly, and differs
    by up to 6 of 255.) Where photos are much larger than `image_size`, `antialias=True` is better and faster.
    `pip install simplejpeg` makes reading JPEG files twice as fast, with the same pixels.

    Images are decoded by several threads while the model trains. Order and content depend only on the seed, the epoch and the
    position, whatever the number of threads (see `ImageDataset.augment` for random changes of images).

    Args:
        directory: folder; with `labels="inferred"` each of its sub-folders is a class.
        labels: "inferred"; None for images alone; or a list of integer labels, one a file in the order of sorted paths.
        label_mode: "int": int32 (batch,); "categorical": one-hot float32 (batch, classes); "binary": float32 (batch, 1) of two
            classes; None: no labels.
        class_names: sub-folders to use, in the order of their labels; all of them, sorted, unless given.
        color_mode: "grayscale", "rgb" or "rgba".
        batch_size: images a batch; None yields single images.
        image_size: (height, width) in pixels.
        shuffle: whether each epoch has a new random order; else files are sorted.
        seed: seed of the order and of the split; drawn from NumPy's global generator unless given.
        validation_split: fraction of the files set aside, in (0, 1).
        subset: "training", "validation" or "both" (a pair of datasets); only with `validation_split`.
        interpolation: "nearest", "bilinear", "bicubic", "area", "lanczos3" or "lanczos5".
        follow_links: whether to enter folders that are symbolic links.
        crop_to_aspect_ratio: cut the largest middle part of the right aspect ratio out, and do not distort.
        pad_to_aspect_ratio: add black borders, and do not distort.
        data_format: "channels_last" or "channels_first"; `mlkit.config.image_data_format()` unless given.
        format: "tf" for a `Dataset`, "grain" for a `grain.IterDataset`.
        verbose: whether to print how many files there are.
        on_corrupt: what to do about files that cannot be read: "warn": leave them out, and name and count them in one warning
            an epoch; "skip": leave them out in silence (`corrupt_files` of the dataset names them); "nan": put an image of NaN in
            the place of each, so that its predictions are NaN; "raise": ValueError.
        antialias: whether a new pixel is the mean, weighted by the filter, of all that it covers, rounded to a whole number. JPEG
            photos are then decoded at a half, quarter or eighth of their size where that still is twice the size wanted. Else it
            is sampled from the few pixels around its place, as in Keras: fine patterns alias.

    Returns:
        An `ImageDataset` of float32 images in [0, 255]; a pair of them for `subset="both"`.

    Example: `train, val = image_dataset_from_directory("photos", validation_split=0.2, subset="both", seed=1)`
    """
    check_format("image_dataset_from_directory", format)
    check_label_mode(label_mode)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("Only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True.")
    if on_corrupt not in ("warn", "skip", "nan", "raise"):
        raise ValueError(f"`on_corrupt` must be 'warn', 'skip', 'nan' or 'raise', but is {on_corrupt!r}.")
    check_color_mode(color_mode)
    check_interpolation(interpolation, antialias)
    seed = int(np.random.randint(10**6)) if seed is None and not validation_split else seed
    labels = None if label_mode is None else labels
    formats = readable_formats()
    files = index_folder(directory, labels, formats, class_names, shuffle, seed, follow_links, verbose, advice())
    check_label_mode(label_mode, files)
    options = {
        "label_mode": None if labels is None else label_mode,
        "color_mode": color_mode,
        "batch_size": batch_size,
        "image_size": pair_of_pixels(image_size),
        "interpolation": interpolation,
        "fit": "crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else "stretch",
        "data_format": _data_format(data_format),
        "seed": seed,
        "on_corrupt": on_corrupt,
        "antialias": antialias,
    }
    parts = split_files(files, validation_split, subset, shuffle, seed, verbose)
    # in "both" the validation part keeps its order, as it does in Keras
    shuffles = [shuffle and not (subset == "both" and i == 1) for i in range(len(parts))]
    datasets = [ImageDataset(Images(part, shuffle=s, **options)) for part, s in zip(parts, shuffles)]
    return in_format(datasets if subset == "both" else datasets[0], format)


def pair_of_pixels(image_size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width), also where one number stands for both. Raises ValueError unless these are whole numbers above 0."""
    pair = tuple(image_size) if isinstance(image_size, Iterable) else (image_size, image_size)
    if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in pair):
        raise ValueError(f"`image_size` must be (height, width) in pixels, but is {image_size!r}.")
    return pair


def _data_format(data_format):
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"`data_format` must be 'channels_last' or 'channels_first', but is {data_format!r}.")
    return data_format


class ImageDataset(Dataset):
    """Batches of labelled images, made by `image_dataset_from_directory`.

    `class_names`, `file_paths` and `labels` tell what it holds; `corrupt_files` maps unreadable files to the reason;
    `workers` threads decode (as many as there are processors unless set).

    Without `shuffle`, `file_paths` and `labels` go with what a pass yields, one by one: after a pass the files that it could not
    read are in neither of them (unless `on_corrupt="nan"` keeps their place), so that `zip(data.file_paths, model.predict(data))`
    pairs files and predictions. `files` has all, as they were found.
    """

    def __init__(self, node):
        super().__init__(node)
        self.files, self.class_names = node.files, node.files.class_names
        self.image_size, self.channels, self.corrupt_files = node.image_size, node.channels, node.corrupt_files
        self.label_mode = node.label_mode

    @property
    def file_paths(self) -> list[str]:
        """The files in the order of a pass that is not shuffled, without those known to be unreadable."""
        return [self.files.paths[i] for i in self._node.rows()] if self.corrupt_files else self.files.paths

    @property
    def labels(self) -> np.ndarray | None:
        """The labels of `file_paths`, or None."""
        labels = self.files.labels
        return labels if labels is None or not self.corrupt_files else labels[self._node.rows()]

    @property
    def workers(self) -> int:
        return self._node.workers

    @workers.setter
    def workers(self, count: int) -> None:
        self._node.workers = count

    @property
    def decoding(self) -> dict[str, Any]:
        """How files become images: "size", "color_mode", "interpolation", "fit" and "antialias"."""
        return dict(self._node._decoding)

    def with_paths(self, epoch: int = 0) -> Any:
        """The batches of a pass as `(images, labels or None, paths)`, whatever its order; files that cannot be read are in none."""
        return self._node.with_paths(epoch)

    def cache(self, filename: str = "", name: str | None = None) -> Dataset:
        """The same dataset, which keeps decoded images in memory: passes after the first read no files. Each still has an order
        of its own. An image takes height x width x channels bytes, four times that where it is sampled. filename: keep the batches of
        one pass in this file instead."""
        if filename:
            return super().cache(filename, name)
        node = copy.copy(self._node)
        node.decoded, node.name = {}, name
        return ImageDataset(node)


class Images(Node):
    """Batches of images, decoded by threads. Their order follows from the seed and the number of the pass.

    fit, antialias: see `decode_image`. label_mode: None for images alone, "rows" for the files' labels as they are. on_corrupt:
    "warn", "skip", "nan" or "raise".
    """

    works_ahead = True

    def __init__(
        self,
        files,
        label_mode,
        color_mode,
        batch_size,
        image_size,
        interpolation,
        fit,
        data_format,
        shuffle,
        seed,
        on_corrupt,
        antialias=True,
    ):
        super().__init__()
        self.files, self.label_mode, self.batch_size, self.image_size = files, label_mode, batch_size, image_size
        self.channels, self.data_format = CHANNELS[color_mode], data_format
        self.shuffle, self.seed, self.on_corrupt = shuffle, seed, on_corrupt
        self.corrupt_files = {}
        self.workers = min(usable_cores(), 16)
        self.decoded = None  # number of the file -> its image, once `cache` is called
        self._decoding = {
            "size": image_size,
            "color_mode": color_mode,
            "interpolation": interpolation,
            "fit": fit,
            "antialias": antialias,
        }

    def cardinality(self):
        return math.ceil(len(self.files.paths) / (self.batch_size or 1))

    def spec(self):
        first = self.data_format == "channels_first"
        shape = (self.channels, *self.image_size) if first else (*self.image_size, self.channels)
        images, labels = TensorSpec(shape), {
            "int": TensorSpec((), "int32"),
            "binary": TensorSpec((1,)),
            "categorical": TensorSpec((len(self.files.class_names or ()),)),
            "rows": TensorSpec(np.shape(self.files.labels)[1:]),
        }.get(self.label_mode)  # fmt: skip
        kind = images if labels is None else (images, labels)
        return kind if self.batch_size is None else map_spec(lambda s: s.batched(None), kind)

    class Pass(Pass):
        saved = ("position",)  # in the order of the files

        def begin(self):
            self.position, self.batches = 0, None

        def __next__(self):
            if self.batches is None:
                self.batches = prefetch(self.node.batches(self.epoch, self.position), size=1)
            self.position, batch = next(self.batches)
            return batch

        def close(self):
            if self.batches is not None:
                self.batches.close()

    def batches(self, epoch, position):
        """(position behind it, batch) of what follows a position in the order of the pass."""
        for behind, rows, images in self._read(epoch, position):
            yield behind, self._assemble(rows, images)

    def with_paths(self, epoch):
        """(images, labels or None, paths of the files) batch by batch."""
        for _, rows, images in self._read(epoch, 0):
            batch = self._assemble(rows, images)
            x, y = (batch, None) if self.label_mode is None else batch
            yield x, y, [self.files.paths[i] for i in rows]

    def _read(self, epoch, position):
        """(position behind them, numbers of the files, their images) for each batch that follows a position."""
        order = np.arange(len(self.files.paths))
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        known = len(self.corrupt_files)
        size = self.batch_size or 1
        together = max(1, min(_TOGETHER, size // self.workers))
        parts = (
            order[i : min(i + together, start + size)]
            for start in range(position, len(order), size)
            for i in range(start, min(start + size, len(order)), together)
        )
        decoded = ordered_map(self._load_all, parts, self.workers, ahead=-(-2 * size // together))
        images = itertools.chain.from_iterable(decoded)
        try:
            for start in range(position, len(order), size):
                rows = order[start : start + size]
                pairs = [(i, image) for i, image in zip(rows, images) if image is not None or self.on_corrupt == "nan"]
                if pairs:
                    yield start + size, *zip(*pairs)
        finally:
            decoded.close()
        self._report(known)

    def rows(self):
        """The numbers of the files that have a place in a pass, as far as it is known which can be read."""
        left_out = () if self.on_corrupt == "nan" else self.corrupt_files
        return [i for i, path in enumerate(self.files.paths) if path not in left_out]

    def _load_all(self, numbers):
        return [self._load(i) for i in numbers]

    def _load(self, index):
        if self.decoded is None:
            return self._decode(index)
        if index not in self.decoded:
            self.decoded[index] = self._decode(index)
        return self.decoded[index]

    def _decode(self, index):
        path = self.files.paths[index]
        try:
            return decode_image(path, **self._decoding)
        except unreadable() as error:
            reason = f"{type(error).__name__}: {error}"
            if self.on_corrupt == "raise":
                raise ValueError(f"The image file {path} could not be read ({reason}).") from error
            self.corrupt_files[path] = reason
            return None

    def _assemble(self, rows, images):
        x = np.empty((len(images), *self.image_size, self.channels), "float32")
        for slot, image in zip(x, images):
            slot[...] = np.nan if image is None else image
        if self.data_format == "channels_first":
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        if self.label_mode is None:
            return x if self.batch_size else x[0]
        y = targets(self.files, np.asarray(rows), self.label_mode)
        return (x, y) if self.batch_size else (x[0], np.asarray(y[0]))

    def _report(self, known):
        """Warn of the files found broken since the pass began."""
        broken = list(self.corrupt_files.items())
        broken[known:] = sorted(broken[known:])  # the threads found them in any order
        if len(broken) == len(self.files.paths):
            raise ValueError(
                f"None of the {len(broken)} image files could be read. The first: {broken[0][0]} ({broken[0][1]})."
            )
        if len(broken) > known and self.on_corrupt == "warn":
            shown = "".join(f"\n  {path} ({reason})" for path, reason in broken[known : known + 10])
            more = f"\n  and {len(broken) - known - 10} more (see `corrupt_files`)" if len(broken) > known + 10 else ""
            warnings.warn(
                f"{len(broken)} of {len(self.files.paths)} image files could not be read and were left out:{shown}{more}",
                stacklevel=2,
            )
