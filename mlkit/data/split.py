"""A dataset in two parts."""

import random
from typing import Any

import numpy as np

from mlkit.data.dataset import Dataset
from mlkit.data.pipeline import elements
from mlkit.data.pipeline.ahead import Prefetch
from mlkit.data.pipeline.batches import Batch
from mlkit.data.pipeline.elements import is_node, to_element
from mlkit.data.pipeline.node import Node
from mlkit.data.pipeline.sources import Counted, Slices, Tensors


def split_dataset(dataset, left_size=None, right_size=None, shuffle: bool = False, seed=None, preferred_backend=None):
    """The first and the last samples of a dataset, as two datasets; for training and tests, for instance.

    Args:
        dataset: an array, a list or tuple of arrays, a `Dataset`, or anything with elements (torch's, TensorFlow's). Rows of arrays
            stay where they are; the elements of others are kept in memory. Of a dataset of batches the samples are split, and
            batched again.
        left_size, right_size: a number of samples, or a fraction of them (a float). One may be left out.
        shuffle: whether samples are drawn at random, in the order that Keras gives for the seed; one without a seed.
        seed: int.
        preferred_backend: refused: parts are always `Dataset`s.

    Returns:
        The pair of `Dataset`s.

    Raises:
        NotImplementedError: with `preferred_backend`, which asks for datasets of another library.

    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), [int(x) for x in right]
    (8, [8, 9])
    """
    if preferred_backend is not None:
        raise NotImplementedError(
            f"split_dataset: preferred_backend={preferred_backend!r} is not supported: the parts are datasets of mlkit, which "
            "`fit` takes. Leave `preferred_backend` out."
        )
    node, batch_size = _samples(dataset)
    total = node.cardinality()
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        random.Random(random.randint(0, int(1e6)) if seed is None else seed).shuffle(order)
    parts = [Dataset(Part(node, np.array(numbers, int))) for numbers in (order[:left], order[total - right :])]
    left_part, right_part = parts if batch_size is None else [part.batch(batch_size) for part in parts]
    return left_part, right_part


class Part(Node):
    """Some elements of a node that is indexed, in a given order."""

    Pass = Counted

    def __init__(self, whole: Node, numbers: Any):
        super().__init__()
        self.whole, self.numbers = whole, numbers

    def cardinality(self):
        return len(self.numbers)

    def spec(self):
        return self.whole.spec()

    def at(self, i):
        return self.whole.at(int(self.numbers[i]))

    def block(self, numbers):
        return self.whole.block(self.numbers[numbers])


def _samples(dataset: Any) -> tuple[Any, int | None]:
    """The samples as a node that is indexed, and the size of the batches that they came in."""
    node = getattr(dataset, "_node", None)
    if is_node(node):
        while isinstance(node, Prefetch):
            node = node.source
        size = node.size if type(node) is Batch else None
        node = node if size is None else node.source
        if not node.is_indexed:
            if node.cardinality() == -1:
                raise ValueError("split_dataset: the dataset is endless. Take a number of its elements first.")
            node = Tensors(list(node.start(0)))
        return node, size
    if isinstance(dataset, (list, tuple)) and dataset and all(hasattr(part, "shape") for part in dataset):
        return Slices(to_element(tuple(dataset))), None
    if isinstance(dataset, (list, dict)) or hasattr(dataset, "__array__"):
        return Slices(to_element(dataset)), None
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):  # torch's, whose iteration may have no end
        return Tensors([to_element(dataset[i]) for i in range(len(dataset))]), None
    if not hasattr(dataset, "__iter__"):
        raise TypeError(
            f"split_dataset: expected an array, a list or tuple of arrays, or a dataset, but got {type(dataset).__name__}."
        )
    found = list(map(to_element, dataset))
    if "Batch" in type(dataset).__name__:  # of tf.data
        size = elements.size_of_batch(found[0], "split_dataset")
        return Tensors([elements.row(b, i) for b in found for i in range(elements.size_of_batch(b, "split_dataset"))]), size
    return Tensors(found), None


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("split_dataset: pass `left_size` or `right_size`, or both.")
    left, right = _size("left_size", left, total), _size("right_size", right, total)
    left, right = total - right if left is None else left, total - left if right is None else right
    if left + right > total or not left or not right:
        raise ValueError(
            f"split_dataset: {total} samples cannot be split into {left} and {right}: both parts must have some, and not more "
            "than there are."
        )
    return left, right


def _size(name: str, size: Any, total: int) -> int | None:
    if size is None:
        return None
    if isinstance(size, (float, np.floating)) and 0 < size < 1:
        return round(size * total)
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool) and 0 < size < total:
        return int(size)
    raise ValueError(
        f"split_dataset: `{name}` must be a fraction between 0 and 1, or a whole number between 0 and {total}, but is {size!r}."
    )
