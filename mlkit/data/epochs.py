"""EpochIterator: how many batches of the data make one epoch, and where the next epoch goes on."""

import itertools
import warnings

from mlkit.data.workers import prefetch


class EpochIterator:
    """The batches of each epoch of a `fit`, `evaluate` or `predict`.

    Without `steps_per_epoch` an epoch is one pass over the data. With it an epoch is that many batches: the pass goes on in the
    next epoch, and an epoch ends early (with a warning) where the pass ends. Where the adapter says that it pays, a thread
    makes the next batch while the current one is used; it never takes more of the data than the epoch has.

    Args:
        adapter: from `get_adapter`.
        steps_per_epoch: batches an epoch, or None.
        steps_per_execution: batches that run as one; an epoch has whole numbers of them, so `steps_per_epoch` is rounded up.

    >>> from mlkit.data.adapters import get_adapter
    >>> batches = EpochIterator(get_adapter([1.0, 2.0, 3.0, 4.0], batch_size=1), steps_per_epoch=2)
    >>> [[float(x[0]) for x, _, _ in batches.epoch(i)] for i in range(2)]
    [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(self, adapter, steps_per_epoch: int | None = None, steps_per_execution: int | str = 1):
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"`steps_per_epoch` must be a positive integer or None, but is {steps_per_epoch!r}.")
        self.adapter = adapter
        self.steps_per_epoch = steps_per_epoch and -(-steps_per_epoch // steps_per_execution) * steps_per_execution
        self._pass = None  # iterator of the pass under way
        self._passes = 0  # passes begun
        self._left = None  # batches left in it, or None where unknown
        self._seen = None  # length of an epoch, learned from data that does not tell

    @property
    def num_batches(self):
        """Batches an epoch, or None while unknown."""
        return self.steps_per_epoch or self.adapter.num_batches or self._seen

    def epoch(self, index):
        """The batches of epoch number `index`. Close the iterator (or run it out) before the next epoch."""
        self.adapter.on_epoch_begin()
        try:
            yield from self._whole_pass(index) if self.steps_per_epoch is None else self._steps(index)
        finally:
            self.adapter.on_epoch_end()

    def _whole_pass(self, index):
        count = 0
        batches = self._ahead(self.adapter.epoch(index))
        try:
            for batch in batches:
                count += 1
                yield batch
        finally:
            batches.close()
        if count == 0:
            self._warn_out_of_data(index)
        self._seen = self._seen or count

    def _steps(self, index):
        if self._pass is None:
            self._begin_pass(max(index, self._passes))
        steps = self.steps_per_epoch if self._left is None else min(self._left, self.steps_per_epoch)
        count = 0
        batches = self._ahead(itertools.islice(self._pass, steps))
        try:
            for batch in batches:
                count += 1
                if self._left is not None:
                    self._left -= 1
                yield batch
        finally:
            batches.close()
        if count < self.steps_per_epoch:
            self._warn_out_of_data(index)
            self._left = 0
        if self._left == 0:
            self._pass = None

    def _ahead(self, batches):
        """The batches, the next one made while the current one is used where that pays; something that can be closed."""
        if self.adapter.overlaps:
            return prefetch(batches, size=1, own=True)
        return batches if hasattr(batches, "close") else (b for b in batches)

    def _begin_pass(self, number):
        self._pass = self.adapter.epoch(number)
        self._passes = number + 1
        self._left = self.adapter.num_batches

    def _warn_out_of_data(self, index):
        wanted = f" of {self.steps_per_epoch} steps" if self.steps_per_epoch else ""
        hint = (
            "A generator is used up after one pass: make it endless (`while True`), or pass a re-iterable dataset."
            if self.adapter.one_pass
            else "Lower `steps_per_epoch`, or let the dataset repeat."
        )
        warnings.warn(f"The data ran out in epoch {index + 1}{wanted}; the epoch ends early. {hint}", stacklevel=4)
