"""BatchDataset: an iterable of batches that can be gone through again, in an order that follows from the epoch's number."""

import itertools

import numpy as np

from mlkit import ops
from mlkit.core import tree
from mlkit.core.function import function
from mlkit.core.ownership import own_arrays
from mlkit.data.prefetch import prefetch


class BatchDataset:
    """Base of datasets that know their batches by epoch: a subclass defines `epoch(i)` and, if it can, `__len__`.

    Iterating yields tensors, one epoch after the other; `fit` asks for `epoch(i)`, whose batches are NumPy arrays.
    """

    _next_epoch = 0

    def epoch(self, index):
        """The batches of epoch number `index`, as NumPy arrays."""
        raise NotImplementedError(f"{type(self).__name__} must define `epoch(self, index)`.")

    def __iter__(self):
        index, self._next_epoch = self._next_epoch, self._next_epoch + 1
        for batch in self.epoch(index):
            yield tree.map_structure(ops.convert_to_tensor, batch)

    def map(self, function):
        """The dataset of `function(*batch)`: of `function(x, y)` where a batch is `(x, y)`."""
        return _Derived(self, lambda batches: (function(*b) if isinstance(b, tuple) else function(b) for b in batches))

    def augment(self, layers, seed: int = 0):
        """Run layers such as `RandomFlip` on the images of every batch, as in training.

        What they do to a batch depends only on `seed`, the epoch and the number of the batch: not on how many batches were
        asked for before, nor on threads. layers: a layer or a list of them.

        Example: `train.augment([layers.RandomFlip("horizontal"), layers.RandomRotation(0.05)], seed=1)`
        """
        return _Augmented(self, layers, seed)

    def take(self, count):
        """The first `count` batches of every epoch."""
        return _Derived(self, lambda batches: itertools.islice(batches, count), length=lambda n: min(n, count))

    def skip(self, count):
        """All but the first `count` batches of every epoch."""
        return _Derived(self, lambda batches: itertools.islice(batches, count, None), length=lambda n: max(n - count, 0))

    def prefetch(self, buffer_size: int = 2):
        """Make up to `buffer_size` batches ahead in a background thread; a negative number (tf.data's AUTOTUNE) means 2."""
        size = buffer_size if buffer_size > 0 else 2
        return _Derived(self, lambda batches: prefetch(batches, size, own=True))

    def cache(self):
        """Keep the batches of the first epoch in memory and repeat them in every epoch."""
        return _Cached(self)


class _Derived(BatchDataset):
    """A dataset whose epochs are another's, changed; it keeps that one's attributes (`class_names`, `file_paths`)."""

    def __init__(self, source, change, length=lambda n: n):
        self._source, self._change, self._length = source, change, length

    def epoch(self, index):
        return self._change(self._source.epoch(index))

    def __len__(self) -> int:
        return self._length(len(self._source))

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._source, name)


class _Cached(_Derived):
    def __init__(self, source):
        super().__init__(source, None)
        self._kept = None

    def epoch(self, index):
        if self._kept is None:
            self._kept = list(self._source.epoch(0))
        return map(own_arrays, self._kept)  # what maps them may work in place


class _Augmented(_Derived):
    def __init__(self, source, layers, seed):
        super().__init__(source, None)
        self._layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
        self._seed = seed
        self._run = function(self._changed)

    def epoch(self, index):
        for number, batch in enumerate(self._source.epoch(index)):
            images, *rest = batch if isinstance(batch, tuple) else (batch,)
            self._set_seeds(index, number)
            images = self._run(images).numpy()
            yield (images, *rest) if rest else images

    def _changed(self, images):
        for layer in self._layers:
            images = layer(images, training=True)
        return images

    def _set_seeds(self, epoch, batch):
        generators = [g for layer in self._layers for part in layer._flatten_layers() for g in part._seed_generators]
        seeds = np.random.SeedSequence([self._seed, epoch, batch]).generate_state(len(generators))
        for generator, seed in zip(generators, seeds):
            generator.state.assign(np.array([seed, 0], "uint32"))
