"""Whatever `fit` is given, as epochs of batches: `adapter.epoch(i)` yields `(x, y, sample_weight)` triples of NumPy arrays."""

import functools
import itertools
import math
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from mlkit.core import tree
from mlkit.core.typing import Data, Structure
from mlkit.data import arrays
from mlkit.data.batch import standardize_batch, with_class_weight
from mlkit.data.pipeline.node import INFINITE, UNKNOWN
from mlkit.data.py_dataset import PyDataset
from mlkit.data.tables import Rows, Stream, has_rows
from mlkit.data.workers import ordered_map

DEFAULT_BATCH_SIZE = 32


def get_adapter(
    x: Any,
    y: Data | None = None,
    sample_weight: Data | None = None,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    steps: int | None = None,
    class_weight: Any = None,
    seed: int | None = None,
) -> "Adapter":
    """The adapter for data of any supported kind.

    Args:
        x: an array, tensor, table (pandas, polars, pyarrow) or list of numbers, or a structure of them; a `PyDataset`; a generator;
            rows with named columns (Hugging Face `datasets`); or any iterable of batches (`Dataset`, image folders, torch
            `DataLoader`, grain loaders, `tf.data.Dataset` ...). An adapter is returned as it is.
        y, sample_weight: targets and weights, only beside arrays; a dataset yields them itself.
        batch_size: samples a batch, only for arrays; 32 unless given (or as many as make `steps` batches).
        shuffle: whether to visit samples (arrays) or batches (`PyDataset`) in a new random order each epoch; "batch" shuffles
            within batches only.
        steps: batches an epoch, only used to choose the batch size of arrays.
        class_weight: dict from class index to weight, or a function labels -> weights: turned into sample weights.
        seed: seed of the order. None: the global NumPy generator decides, as in Keras (`set_random_seed` sets it).

    Returns:
        An `Adapter`.

    >>> adapter = get_adapter(np.arange(5.0), np.arange(5), batch_size=2)
    >>> [y.tolist() for x, y, _ in adapter.epoch(0)]
    [[0, 1], [2, 3], [4]]
    """
    if isinstance(x, Adapter):
        return x
    if arrays.is_array_structure(x):
        return ArrayAdapter(x, y, sample_weight, batch_size, shuffle, steps, class_weight, seed)
    _refuse_beside_dataset(x, y=y, sample_weight=sample_weight)
    if has_rows(x):
        if hasattr(x, "__len__"):
            return TableAdapter(x, batch_size, shuffle, steps, class_weight, seed)
        return IterableAdapter(Stream(x, batch_size_of(batch_size)), class_weight)
    if batch_size is not None:
        warnings.warn(f"`batch_size={batch_size}` has no effect: {type(x).__name__} makes the batches itself.", stacklevel=3)
    if isinstance(x, PyDataset):
        return PyDatasetAdapter(x, shuffle, class_weight, seed)
    if isinstance(x, (str, bytes, dict)) or not hasattr(x, "__iter__"):
        raise ValueError(
            f"Data of type {type(x).__name__} is not understood. Expected arrays or tensors (or a list, tuple or dict of "
            "them), a PyDataset, a generator, or an iterable of batches."
        )
    return IterableAdapter(x, class_weight)


def _refuse_beside_dataset(x: Any, **parts: Any) -> None:
    for name, part in parts.items():
        if part is not None:
            raise ValueError(
                f"`{name}` was passed beside a {type(x).__name__}. A dataset must yield its targets and weights itself, "
                f"as `(x, y)` or `(x, y, sample_weight)`: leave `{name}` out."
            )


class Adapter:
    """Data as epochs of batches.

    `num_batches` is the number of batches of an epoch, or None where unknown; `batch_size` likewise. `epoch(i)` starts pass
    number i over the data and returns the iterator of its batches.
    """

    num_batches = None
    batch_size = None
    is_endless = False  # whether passes are known to have no end
    shuffle: bool | str = False  # whether the order of each pass is drawn, by `_orders`
    one_pass = False  # whether the data can be gone through only once, as a generator's
    overlaps = False  # whether it pays to make the next batch in a thread while a step runs: not where that is only a copy

    def epoch(self, index: int) -> Iterator[Any]:
        """The `(x, y, sample_weight)` batches of pass number `index`."""
        raise NotImplementedError(f"{type(self).__name__} must define `epoch(self, index)`.")

    def get_order(self, under_way):
        """What decides the order of the pass under way, or else of the next one, as plain values; None where nothing is drawn."""
        return self._orders.get(under_way) if self.shuffle else None

    def set_order(self, order):
        """Let the next pass that begins be the one whose order this is."""
        if order is not None:
            self._orders.set(order)

    def on_epoch_begin(self) -> None:
        """Called by the trainer before each epoch."""

    def on_epoch_end(self) -> None:
        """Called by the trainer after each epoch."""


class _Orders:
    """Random orders of the passes: pass i gets the i-th draw, also when training resumes there.

    It does not hold the adapter that draws: the two would keep the data alive until the next garbage collection.

    get_state, set_state: of the generator that is drawn from. is_shared: whether others draw from it too, who say themselves
    where it stands between passes.
    """

    def __init__(self, get_state, set_state, is_shared):
        self._drawn, self._before = 0, None  # before: the generator's state as it was before the last draw
        self._again = None  # such a state, from which an order that was drawn in another process is to be drawn again
        self._get_state, self._set_state, self._is_shared = get_state, set_state, is_shared

    def of_pass(self, index: int, draw: Callable[[], np.ndarray]) -> np.ndarray:
        order = self._draw(draw)
        while self._drawn <= index:
            order = self._draw(draw)
        return order

    def _draw(self, draw):
        self._drawn += 1
        now, again, self._again = self._get_state(), self._again, None
        self._before = now if again is None else again
        if again is None:
            return draw()
        self._set_state(again)
        order = draw()
        self._set_state(now)
        return order

    def get(self, under_way):
        """How many orders were drawn before that of a pass, and the generator's state then."""
        if under_way and self._drawn:
            return {"drawn": self._drawn - 1, "generator": self._before}
        return {"drawn": self._drawn, "generator": None if self._is_shared else self._get_state()}

    def set(self, order):
        self._drawn = order["drawn"]
        if self._is_shared:
            self._again = order["generator"]
        else:
            self._set_state(order["generator"])


class _RowAdapter(Adapter):
    """Rows that can be asked for by number, cut into batches; the last one may be smaller. A subclass defines `_rows(index)`."""

    def _cut(self, num_samples, batch_size, shuffle: bool | str, steps: int | None, seed: int | None):
        if shuffle not in (True, False, "batch"):
            raise ValueError(f"`shuffle` must be True, False or 'batch', but is {shuffle!r}.")
        self.num_samples = num_samples
        self.batch_size = batch_size_of(batch_size, num_samples, steps)
        self.num_batches = math.ceil(num_samples / self.batch_size)
        self.shuffle = shuffle
        self._rng = np.random if seed is None else np.random.RandomState(seed)
        self._orders = _Orders(self._rng.get_state, self._rng.set_state, seed is None)

    def epoch(self, index: int):
        # drawn here and not in the generator, so that the order does not depend on when its first batch is asked for
        return self._batches(self._orders.of_pass(index, self._permutation) if self.shuffle else None)

    def _permutation(self):
        if self.shuffle == "batch":
            starts = range(0, self.num_samples, self.batch_size)
            sizes = [min(self.batch_size, self.num_samples - s) for s in starts]
            return np.concatenate([self._rng.permutation(n) + s for s, n in zip(starts, sizes)])
        return self._rng.permutation(self.num_samples)

    def _batches(self, order):
        for start in range(0, self.num_samples, self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self._rows(rows if order is None else order[rows])


class ArrayAdapter(_RowAdapter):
    """Arrays in memory, or mapped from files, of which a batch reads its rows only."""

    def __init__(
        self,
        x: Data,
        y: Data | None = None,
        sample_weight: Data | None = None,
        batch_size: int | None = None,
        shuffle: bool | str = False,
        steps: int | None = None,
        class_weight: Any = None,
        seed: int | None = None,
    ):
        if class_weight is not None and sample_weight is not None:
            raise ValueError("Pass `class_weight` or `sample_weight`, not both: multiply them yourself where both are meant.")
        for name, part in (("y", y), ("sample_weight", sample_weight)):
            if not arrays.is_array_structure(part):
                raise ValueError(f"`{name}` must be arrays when `x` is, but is of type {type(part).__name__}.")
        x, y, sample_weight = (arrays.to_arrays(part) for part in (x, y, sample_weight))
        if class_weight is not None:
            x, y, sample_weight = with_class_weight((x, y, None), class_weight)
        count = arrays.check_arrays(x, y, sample_weight)
        self.data = (x, y, arrays.match_sample_weight(y, sample_weight))
        self._cut(count, batch_size, shuffle, steps, seed)

    def _rows(self, index: int):
        return tuple(_take(part, index) for part in self.data)


class TableAdapter(_RowAdapter):
    """Rows with named columns, of which one may hold the labels; a batch reads its rows only."""

    overlaps = True

    def __init__(
        self,
        table,
        batch_size=None,
        shuffle: bool | str = False,
        steps: int | None = None,
        class_weight: Any = None,
        seed: int | None = None,
    ):
        self.data, self.class_weight = Rows(table), class_weight
        self._cut(len(self.data), batch_size, shuffle, steps, seed)

    def _rows(self, index: int):
        batch = standardize_batch(self.data.take(index))
        return batch if self.class_weight is None else with_class_weight(batch, self.class_weight)


def _take(structure: Structure, index: Any) -> Structure:
    if structure is None or type(structure) is np.ndarray:  # as almost always
        return structure if structure is None else arrays.take(structure, index)
    return tree.map_structure(lambda a: None if a is None else arrays.take(a, index), structure)


def batch_size_of(batch_size, num_samples=None, steps: int | None = None):
    """The batch size that is asked for, checked, or that makes so many batches, or the default one."""
    if batch_size is None:
        return math.ceil(num_samples / steps) if steps else DEFAULT_BATCH_SIZE
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"`batch_size` must be a positive integer, but is {batch_size!r}.")
    return int(batch_size)


class PyDatasetAdapter(Adapter):
    """A `PyDataset`, its batches prepared by `dataset.workers` threads, in an order that depends only on seed and epoch."""

    @property
    def overlaps(self) -> bool:
        return self.dataset.workers == 1  # more of them work ahead already; with none the caller's thread is asked for

    def __init__(self, dataset: PyDataset, shuffle: bool | str = False, class_weight: Any = None, seed: int | None = None):
        self.dataset = dataset
        self.shuffle = shuffle
        self.class_weight = class_weight
        self._rng = random if seed is None else random.Random(seed)
        self._orders = _Orders(self._rng.getstate, functools.partial(set_state_of, self._rng), seed is None)
        if dataset.use_multiprocessing:
            warnings.warn(
                f"{type(dataset).__name__}: use_multiprocessing=True runs its {dataset.workers} workers as threads, since a "
                "process that has computed with several threads cannot be forked safely.",
                stacklevel=4,
            )

    @property
    def num_batches(self) -> int | None:
        """Asked anew each time: a dataset may change its length between epochs."""
        return self.dataset.num_batches

    def epoch(self, index: int) -> Iterator[Any]:
        count = self.num_batches
        if count is None:
            return self._batches(itertools.count())
        return self._batches(self._orders.of_pass(index, self._permutation) if self.shuffle else range(count))

    def _permutation(self) -> np.ndarray:
        order = list(range(self.num_batches))
        self._rng.shuffle(order)
        return order

    def _batches(self, order: Iterable[int]) -> Iterator[Any]:
        for position, batch in enumerate(self._raw_batches(order)):
            batch = standardize_batch(batch, position)
            yield batch if self.class_weight is None else with_class_weight(batch, self.class_weight)

    def _raw_batches(self, order: Iterable[int]) -> Iterator[Any]:
        workers = self.dataset.workers
        if workers > 1 or (workers > 0 and self.dataset.use_multiprocessing):
            return ordered_map(self.dataset.__getitem__, order, workers, self.dataset.max_queue_size)
        return map(self.dataset.__getitem__, order)

    def on_epoch_begin(self) -> None:
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.dataset.on_epoch_end()


class IterableAdapter(Adapter):
    """Any iterable of batches. One that offers `epoch(i)` is asked for it; an iterator (a generator) is gone through once."""

    def __init__(self, iterable: Iterable[Any], class_weight: Any = None):
        self.iterable = iterable
        self.class_weight = class_weight
        self.one_pass = hasattr(iterable, "__next__")
        count = _length_of(iterable)
        self.is_endless = count == INFINITE
        self.num_batches = count if count >= 0 else None
        # image folders and the like have threads of their own
        self.overlaps = not getattr(getattr(iterable, "_node", None), "works_ahead", hasattr(iterable, "epoch"))

    def epoch(self, index: int) -> Iterator[Any]:
        source = self.iterable.epoch(index) if hasattr(self.iterable, "epoch") else iter(self.iterable)
        return self._batches(source)

    def _batches(self, source: Iterable[Any]) -> Iterator[Any]:
        try:
            for position, batch in enumerate(source):
                batch = standardize_batch(batch, position)
                yield batch if self.class_weight is None else with_class_weight(batch, self.class_weight)
        finally:
            if not self.one_pass and hasattr(source, "close"):
                source.close()


def set_state_of(rng, state):
    """Of a generator of Python's, whose state may have been a list on its way."""
    version, numbers, gauss = state
    rng.setstate((version, tuple(numbers), gauss))


def _length_of(iterable: Iterable[Any]) -> int | None:
    """Number of batches, INFINITE, or UNKNOWN where the iterable does not know (a torch loader over a stream)."""
    if hasattr(iterable, "cardinality"):  # tf.data's and ours
        return int(iterable.cardinality())
    try:
        count = len(iterable)
    except TypeError:
        return UNKNOWN
    return INFINITE if count >= sys.maxsize else count  # grain's endless ones
