"""PyDataset: the base class of a dataset that is written in Python and knows its batches by number."""

import itertools
from collections.abc import Iterator
from typing import Any


class PyDataset:
    """A dataset whose `self[i]` is batch number i.

    A subclass defines `__getitem__(index)`, which returns a whole batch: `x`, `(x, y)` or `(x, y, sample_weight)`, and
    `__len__()`, the number of batches (or the property `num_batches`, None for endless data). `on_epoch_begin()` and
    `on_epoch_end()` may be overridden, to shuffle for instance.

    Args:
        workers: threads that prepare batches while the model trains; with 0 batches are made when they are asked for. NumPy,
            Pillow and h5py release Python's lock, so threads serve for decoding and arithmetic alike.
        use_multiprocessing: accepted for Keras scripts; the workers are threads (a warning says so), for a process that has
            computed with several threads cannot be forked safely.
        max_queue_size: batches prepared ahead, at most.

    Example:

    >>> import numpy as np
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.arange(3.0) + 3 * index
    ...         return x, x**2
    >>> [y.tolist() for x, y in Squares(workers=2)]
    [[0.0, 1.0, 4.0], [9.0, 16.0, 25.0]]
    """

    # defaults of the class, so that a subclass whose __init__ does not call super().__init__() works
    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} must define `__getitem__(self, index)`, which returns batch number `index`."
        )

    @property
    def num_batches(self) -> int | None:
        """Number of batches of an epoch; None: endless."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} must define `__len__(self)`, its number of batches, "
            "or the property `num_batches` (None for endless data)."
        )

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        return (self[i] for i in (itertools.count() if count is None else range(count)))

    def on_epoch_begin(self) -> None:
        """Called before the first batch of each epoch."""

    def on_epoch_end(self) -> None:
        """Called after the last batch of each epoch."""


Sequence = PyDataset  # the older name
