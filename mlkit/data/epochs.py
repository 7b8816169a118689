"""EpochIterator: how many batches of the data make one epoch, and where the next epoch goes on."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from mlkit.data.adapters import Adapter
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
        change: what is made of each batch, in the thread that makes the next one, or None.

    >>> from mlkit.data.adapters import get_adapter
    >>> batches = EpochIterator(get_adapter([1.0, 2.0, 3.0, 4.0], batch_size=1), steps_per_epoch=2)
    >>> [[float(x[0]) for x, _, _ in batches.epoch(i)] for i in range(2)]
    [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(
        self,
        adapter: Adapter,
        steps_per_epoch: int | None = None,
        steps_per_execution: int | str = 1,
        change: Callable[[Any], Any] | None = None,
    ):
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"`steps_per_epoch` must be a positive integer or None, but is {steps_per_epoch!r}.")
        if steps_per_epoch is None and adapter.is_endless:
            raise ValueError(
                "The dataset is endless (`repeat()` without a number), so an epoch would be too. Pass the number of batches: "
                "`steps_per_epoch` for training, `validation_steps` or `steps` else; or leave `repeat` out."
            )
        self.adapter, self.change = adapter, change
        self.steps_per_epoch = steps_per_epoch and -(-steps_per_epoch // steps_per_execution) * steps_per_execution
        self._pass = None  # iterator of the pass under way
        self._passes = 0  # passes begun
        self._left = None  # batches left in it, or None where unknown
        self._seen = None  # length of an epoch, learned from data that does not tell
        self._number, self._taken = 0, 0  # the pass of the next batch, and how many of it have been given out
        self._given = 0  # how many batches of the epoch under way have been given out
        self._wanted = None  # the state to go on with

    @property
    def num_batches(self) -> int | None:
        """Batches an epoch, or None while unknown."""
        return self.steps_per_epoch or self.adapter.num_batches or self._seen

    def sizes(self) -> dict[str, int | None]:
        """What is known of the size of the data, by names for messages."""
        adapter = self.adapter
        return {
            "the number of samples": getattr(adapter, "num_samples", None),
            "the batch size": adapter.batch_size,
            "the number of batches": self.steps_per_epoch or adapter.num_batches,
        }

    def get_state(self):
        """Where the next batch lies: the number of the pass, how many batches of it and of the epoch have been given out, and its
        order."""
        order = self.adapter.get_order(self._taken > 0)
        return {"pass": self._number, "taken": self._taken, "given": self._given, "order": order}

    def set_state(self, state):
        """Go on there with the next epoch. What the data themselves draw follows from their seeds: batches are counted. How many
        batches of the epoch have been given out."""
        self._wanted, self._passes, self._given = state, state["pass"], state["given"]
        return self._given

    def epoch(self, index: int) -> Iterator[Any]:
        """The batches of epoch number `index`. Close the iterator (or run it out) before the next epoch."""
        if self._wanted is None:
            self._given = 0
        self.adapter.on_epoch_begin()
        try:
            yield from self._whole_pass(index) if self.steps_per_epoch is None else self._steps(index)
            self._given = 0
        finally:
            self.adapter.on_epoch_end()

    def _whole_pass(self, index: int) -> Iterator[Any]:
        batches = self._ahead(self._started(index))
        try:
            for batch in batches:
                self._taken, self._given = self._taken + 1, self._given + 1
                yield batch
        finally:
            batches.close()
        if self._taken == 0:
            self._warn_out_of_data(index)
        self._seen = self._seen or self._taken
        self._number, self._taken = index + 1, 0

    def _started(self, number):
        """The batches of a pass, from where they are to go on."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            number = wanted["pass"] if wanted["taken"] else number
            self.adapter.set_order(wanted["order"])
        batches = self.adapter.epoch(number)
        self._number, self._taken = number, wanted["taken"] if wanted is not None else 0
        for _ in range(self._taken):
            next(batches, None)
        return batches if self.change is None else _changed(self.change, batches)

    def _steps(self, index: int) -> Iterator[Any]:
        if self._pass is None:
            self._begin_pass(max(index, self._passes))
        wanted = self.steps_per_epoch - self._given
        steps = wanted if self._left is None else min(self._left, wanted)
        count = 0
        batches = self._ahead(itertools.islice(self._pass, steps))
        try:
            for batch in batches:
                count, self._taken, self._given = count + 1, self._taken + 1, self._given + 1
                if self._left is not None:
                    self._left -= 1
                yield batch
        finally:
            batches.close()
        if count < wanted:
            self._warn_out_of_data(index)
            self._left = 0
        if self._left == 0:
            self._pass = None
            self._number, self._taken = self._number + 1, 0

    def _ahead(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches, the next one made while the current one is used where that pays; something that can be closed."""
        if self.adapter.overlaps or self.change is not None:
            return prefetch(batches, size=1, own=True)
        return batches if hasattr(batches, "close") else (b for b in batches)

    def _begin_pass(self, number: int) -> Any:
        self._pass = self._started(number)
        self._passes = self._number + 1
        self._left = self.adapter.num_batches and self.adapter.num_batches - self._taken

    def _warn_out_of_data(self, index: int) -> None:
        wanted = f" of {self.steps_per_epoch} steps" if self.steps_per_epoch else ""
        hint = (
            "A generator is used up after one pass: make it endless (`while True`), or pass a re-iterable dataset."
            if self.adapter.one_pass
            else "Lower `steps_per_epoch`, or let the dataset repeat."
        )
        warnings.warn(f"The data ran out in epoch {index + 1}{wanted}; the epoch ends early. {hint}", stacklevel=4)


def _changed(change, batches):
    """What `change` makes of each batch; closed with them."""
    try:
        yield from map(change, batches)
    finally:
        if hasattr(batches, "close"):
            batches.close()
