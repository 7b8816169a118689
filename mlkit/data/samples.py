"""What a data set of images looks like: a few of them with their labels, as the network gets them."""

import itertools

import numpy as np

from mlkit.core import tree
from mlkit.data.adapters import get_adapter
from mlkit.pictures.gallery import Gallery
from mlkit.pictures.picture import Page
from mlkit.pictures.table import Table

_SHOWN = 8  # images with which a data set shows itself


def show_batch(data, y=None, count: int = 12, augment=None, class_names=None, epoch: int = 0) -> Gallery:
    """The first images of a data set with the names of their classes: what the network will see.

    Args:
        data: a data set of batches, a pair (images, labels) or images.
        y: labels of images.
        count: how many to show.
        augment: a layer, a model or a function of images, or a list of such, called with `training=True` where it takes that: to see
            what augmentation makes of them.
        class_names: names of the classes; those of the data set unless given.
        epoch: number of the pass, for data whose order or changes differ from pass to pass.

    >>> gallery = show_batch(np.zeros((3, 8, 8, 3)), np.array([0, 1, 1]), class_names=["cat", "dog"])
    >>> gallery.captions
    ['cat', 'dog', 'dog']
    """
    names = class_names or getattr(data, "class_names", None)
    if isinstance(data, (tuple, list)):
        data, y = data[0], data[1] if y is None and len(data) > 1 else y
    images, labels = _first(get_adapter(data, y).epoch(epoch), count)
    for change in augment if isinstance(augment, (tuple, list)) else [augment] if augment is not None else []:
        images = np.asarray(change(images, training=True) if hasattr(change, "get_config") else change(images))
    captions = [""] * len(images) if labels is None else [label_name(label, names) for label in labels]
    return Gallery(images, captions, "What the network sees")


def label_name(label, names=None) -> str:
    """A label in words: a number of a class, a one-hot row or one of several classes, or values.

    >>> label_name(1, ["cat", "dog"]), label_name([1, 0, 1], ["a", "b", "c"]), label_name(0.25)
    ('dog', 'a + c', '0.25')
    """
    label = np.asarray(label)
    if label.ndim == 1 and label.size > 1 and np.isin(label, (0, 1)).all():
        return " + ".join(_name(i, names) for i in np.flatnonzero(label)) or "none"
    if label.size == 1 and (label.dtype.kind in "iub" or (names and label.item() in (0, 1))):
        return _name(int(label.item()), names)
    return ", ".join(f"{value:.3g}" for value in label.ravel()[:6])


def _name(number, names):
    return str(names[number]) if names and 0 <= number < len(names) else str(number)


def _first(batches, count):
    """(images, labels or None) of the first batches, no more than `count`."""
    rows, labels, seen = [], [], 0
    try:
        for x, y, _ in batches:
            x = np.asarray(x)
            if x.ndim != 4:
                raise ValueError(f"show_batch: expected batches of images (batch, height, width, channels), but got {x.shape}.")
            rows.extend(x[: count - seen])
            labels.extend([] if y is None else np.asarray(y)[: count - seen])
            seen = len(rows)
            if seen >= count:
                break
    finally:
        batches.close()
    return np.stack(rows) if len({r.shape for r in rows}) == 1 else rows, labels or None


def dataset_html(dataset) -> str | None:
    """A data set of images as a notebook shows it, or None for other data."""
    if not _holds_images(dataset):
        return None
    names, labels = getattr(dataset, "class_names", None), getattr(dataset, "labels", None)
    parts = [repr(dataset)]
    if names and labels is not None and len(labels):
        counts = np.bincount(np.asarray(labels, "int64"), minlength=len(names))
        parts = [f"{len(labels)} files of {len(names)} classes. {parts[0]}"]
        parts.append(Table(["class", "files"], [[name, int(n)] for name, n in zip(names, counts)]))
    elements = dataset.epoch(0)
    try:
        batched = len(_images_spec(dataset).shape) == 4
        first = next(elements, None)
        if first is not None:
            x, y = (first[0], first[1]) if isinstance(first, tuple) and len(first) > 1 else (tree.flatten(first)[0], None)
            x, y = (x, y) if batched else (np.asarray(x)[None], None if y is None else np.asarray(y)[None])
            x = np.asarray(x)[:_SHOWN]
            captions = [""] * len(x) if y is None else [label_name(label, names) for label in itertools.islice(y, len(x))]
            parts.append(Gallery(x, captions, "First images"))
    finally:
        elements.close()
    return Page(type(dataset).__name__, *parts).html()


def _images_spec(dataset):
    return tree.flatten(dataset.element_spec)[0]


def _holds_images(dataset):
    """Whether it is known without running it that its first component is images that may be read again. A generator's might not."""
    if "generator" in dataset._node.chain():
        return False
    try:
        shape = _images_spec(dataset).shape
    except Exception:  # functions fail on the first element; that shows when it is gone through
        return False
    return shape is not None and len(shape) in (3, 4) and shape[-1] in (1, 3, 4) and (shape[-2] or 8) >= 8
