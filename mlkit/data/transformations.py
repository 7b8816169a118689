"""The methods of `Dataset` that make another dataset of one."""

from collections.abc import Callable
from typing import Any, Self

from mlkit.core.machine import usable_cores
from mlkit.core.spec import whole
from mlkit.data.pipeline import ahead, batches, functions, order
from mlkit.data.pipeline.calls import Call
from mlkit.data.pipeline.elements import TensorSpec, is_node, to_element
from mlkit.data.pipeline.node import Node
from mlkit.data.randomness import fresh_seed

AUTOTUNE = -1
_ALL = 1 << 62  # more elements than any pass has


class Transformations:
    """What can be made of a dataset. Nothing is computed before the result is gone through."""

    _node: Node

    def _then(self, node: Node, name: str | None) -> Self:
        """A dataset of another node, which remembers what this one tells of its data (`class_names`)."""
        raise NotImplementedError

    def _call(self, function: Callable[..., Any], what: str, name: str | None, seed: int | None = None) -> Call:
        what = f"{what} {name!r}" if name else what
        return Call(function, what, fresh_seed() if seed is None else seed, self._kind(), own_seeds=seed is None)

    # ---- functions of elements -----------------------------------------------------------------------------------------

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False,
        name: str | None = None,
        *,
        workers: str = "thread",
    ) -> Self:
        """The dataset of a function's results.

        The function runs op by op; what `mlkit.function` made of one runs compiled. Random numbers in it follow from the global
        seed, the pass and the number of the element: neither the number of workers nor what else draws numbers changes them.

        Args:
            map_func: gets tensors: `map_func(x, y)` where elements are pairs. It returns a tensor, an array, or a tuple or dict.
            num_parallel_calls: how many elements are worked on at a time; `AUTOTUNE` for as many as there are processors.
            deterministic: results always come in order, which False allows to be given up and True asks for.
            synchronous: True: in the thread of whoever asks for elements, as without `num_parallel_calls`.
            use_unbounded_threadpool: a hint for TensorFlow's threads, of which there are none.
            name: for messages.
            workers: "thread", for functions that spend their time in NumPy, Pillow or files, which let other threads run; or
                "process", for functions of pure Python, defined at the top of a module.

        >>> from mlkit.data import Dataset
        >>> [int(x) for x in Dataset.range(3).map(lambda i: i * i)]
        [0, 1, 4]
        """
        _check_flags("map", deterministic=deterministic, synchronous=synchronous)
        if workers not in ("thread", "process"):
            raise ValueError(f"map: `workers` must be 'thread' or 'process', but is {workers!r}.")
        count = _workers("map", num_parallel_calls)
        if synchronous and count:
            raise ValueError("map: synchronous=True and `num_parallel_calls` exclude one another.")
        if workers == "process" and not count:
            count = usable_cores()
        return self._then(functions.Map(self._node, self._call(map_func, "map", name), count, workers), name)

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Self:
        """The elements of which a function returns True.

        >>> from mlkit.data import Dataset
        >>> [int(x) for x in Dataset.range(6).filter(lambda i: i % 2 == 0)]
        [0, 2, 4]
        """
        return self._then(functions.Filter(self._node, self._call(predicate, "filter", name)), name)

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> Self:
        """The elements up to the first of which a function returns False."""
        return self._then(functions.TakeWhile(self._node, self._call(predicate, "take_while", name)), name)

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Self:
        """The elements of the datasets that a function returns, one dataset after the other.

        >>> from mlkit.data import Dataset
        >>> [int(x) for x in Dataset.range(4).flat_map(lambda i: Dataset.range(i))]
        [0, 0, 1, 0, 1, 2]
        """
        return self._then(functions.Interleave(self._node, self._call(map_func, "flat_map", name)), name)

    def interleave(
        self,
        map_func: Callable[..., Any],
        cycle_length: int | None = None,
        block_length: int | None = None,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Self:
        """The elements of the datasets that a function returns, several of them read in turn.

        Args:
            map_func: returns a Dataset.
            cycle_length: how many of these datasets are read at a time; 16 unless given, on any machine.
            block_length: how many elements of one are taken before the next one's turn; 1 unless given.
            num_parallel_calls: how many of them are read ahead, each by a thread; the order stays the same.
            deterministic: as in `map`.
            name: for messages.

        >>> from mlkit.data import Dataset
        >>> pairs = Dataset.range(1, 3).interleave(lambda i: Dataset.from_tensors(i).repeat(2), cycle_length=2)
        >>> [int(x) for x in pairs]
        [1, 2, 1, 2]
        """
        _check_flags("interleave", deterministic=deterministic)
        cycle = 16 if cycle_length in (None, AUTOTUNE) else whole("interleave", "`cycle_length`", cycle_length, 1)
        length = 1 if block_length is None else whole("interleave", "`block_length`", block_length, 1)
        call = self._call(map_func, "interleave", name)
        threads = _workers("interleave", num_parallel_calls)
        return self._then(functions.Interleave(self._node, call, cycle, length, threads), name)

    def scan(self, initial_state: Any, scan_func: Callable[..., Any], name: str | None = None) -> Self:
        """The results of a function that hands itself a state: `scan_func(state, element)` returns `(state, result)`.

        >>> import numpy as np
        >>> from mlkit.data import Dataset
        >>> [int(x) for x in Dataset.range(4).scan(np.int64(0), lambda total, i: (total + i, total + i))]
        [0, 1, 3, 6]
        """
        return self._then(functions.Scan(self._node, to_element(initial_state), self._call(scan_func, "scan", name)), name)

    def augment(self, layers: Any, seed: int = 0) -> Self:
        """Run layers such as `RandomFlip` on the images of every batch, as in training. Layers that mix images, such as `MixUp`,
        mix their labels, too.

        What they do to a batch depends only on `seed`, the pass and the number of the batch: not on how many batches were asked
        for before, nor on threads.

        Args:
            layers: a layer or a list of them.

        Example: `train.augment([layers.RandomFlip("horizontal"), layers.RandomRotation(0.05)], seed=1)`
        """
        many = list(layers) if isinstance(layers, (list, tuple)) else [layers]

        def changed(images: Any, *rest: Any) -> Any:
            for layer in many:
                if rest and hasattr(layer, "transform_labels"):
                    both = layer({"images": images, "labels": rest[0]}, training=True)
                    images, rest = both["images"], (both["labels"], *rest[1:])
                else:
                    images = layer(images, training=True)
            return (images, *rest) if rest else images

        return self._then(functions.Map(self._node, self._call(self._compiled(changed), "augment", None, seed)), None)

    def apply(self, transformation_func: Callable[[Self], Any]) -> Any:
        """`transformation_func(self)`, for chains of methods."""
        made = transformation_func(self)
        if not is_node(getattr(made, "_node", None)):
            raise TypeError(f"apply: the function must return a Dataset, but returned {made!r}.")
        return made

    # ---- batches -------------------------------------------------------------------------------------------------------

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Self:
        """Elements stacked, `batch_size` at a time.

        Args:
            batch_size: how many.
            drop_remainder: whether a last batch that is smaller is left out.
            num_parallel_calls: if given, a thread makes batches ahead.
            deterministic: as in `map`.
            name: for messages.

        >>> from mlkit.data import Dataset
        >>> [batch.tolist() for batch in Dataset.range(5).batch(2)]
        [[0, 1], [2, 3], [4]]
        """
        _check_flags("batch", deterministic=deterministic)
        node: Node = batches.Batch(self._node, whole("batch", "`batch_size`", batch_size, 1), bool(drop_remainder))
        if _workers("batch", num_parallel_calls):
            node = ahead.Prefetch(node, 2)
        return self._then(node, name)

    def padded_batch(
        self,
        batch_size: int,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Self:
        """Elements of different lengths filled up to the longest of a batch, and stacked.

        Args:
            batch_size: how many.
            padded_shapes: a shape for each component of an element; None or -1 in it: as long as the longest.
            padding_values: a number (or string) for all components, or a structure of them; 0 (or "") unless given.
            drop_remainder: whether a last batch that is smaller is left out.
            name: for messages.

        >>> from mlkit.data import Dataset
        >>> ragged = Dataset.from_generator(lambda: iter([[1], [1, 2, 3]]))
        >>> [batch.tolist() for batch in ragged.padded_batch(2, padding_values=-1)]
        [[[1, -1, -1], [1, 2, 3]]]
        """
        size = whole("padded_batch", "`batch_size`", batch_size, 1)
        shapes = None if padded_shapes is None else _shapes(padded_shapes, self._node.spec())
        return self._then(batches.PaddedBatch(self._node, size, bool(drop_remainder), shapes, padding_values), name)

    def unbatch(self, name: str | None = None) -> Self:
        """The rows of the elements' first axes.

        >>> from mlkit.data import Dataset
        >>> [int(x) for x in Dataset.range(3).batch(2).unbatch()]
        [0, 1, 2]
        """
        return self._then(batches.Unbatch(self._node), name)

    def rebatch(self, batch_size: Any, drop_remainder: bool = False, name: str | None = None) -> Self:
        """Batches of another size (or of several, in turn) with the same rows.

        >>> from mlkit.data import Dataset
        >>> [batch.tolist() for batch in Dataset.range(6).batch(2).rebatch(4)]
        [[0, 1, 2, 3], [4, 5]]
        """
        sizes = batch_size if isinstance(batch_size, (list, tuple)) else [batch_size]
        sizes = [whole("rebatch", "`batch_size`", size, 1) for size in sizes]
        return self._then(batches.Rebatch(self._node, sizes, bool(drop_remainder)), name)

    def window(
        self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False, name: str | None = None
    ) -> Self:
        """Windows over the elements, each of them a dataset (for elements with several components: a structure of datasets).

        Args:
            size: elements in a window.
            shift: by how many elements the next one begins later; `size` unless given.
            stride: of how many elements a window takes one.
            drop_remainder: whether windows at the end, for which there are too few elements, are left out.
            name: for messages.

        >>> from mlkit.data import Dataset
        >>> windows = Dataset.range(5).window(3, shift=1, drop_remainder=True)
        >>> [w.tolist() for w in windows.flat_map(lambda w: w.batch(3))]
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
        """
        size = whole("window", "`size`", size, 1)
        shift = size if shift is None else whole("window", "`shift`", shift, 1)
        return self._then(
            batches.Window(self._node, size, shift, whole("window", "`stride`", stride, 1), bool(drop_remainder)), name
        )

    # ---- which elements, in which order --------------------------------------------------------------------------------

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Self:
        """The elements in random order.

        Each is drawn from a buffer, where the next one takes its place; with a buffer of all elements any order is as likely as
        any other. Rows of arrays, numbers and file names are not held in the buffer, which has their numbers then.

        Args:
            buffer_size: elements in the buffer.
            seed: of the order; from the global seed (`mlkit.utils.set_random_seed`) unless given.
            reshuffle_each_iteration: whether each pass has an order of its own, which is so unless False is given.
            name: for messages.
        """
        seed = fresh_seed() if seed is None else whole("shuffle", "`seed`", seed) & 0xFFFFFFFFFFFFFFFF
        size = self._all_of("shuffle", buffer_size)
        return self._then(order.Shuffle(self._node, size, seed, reshuffle_each_iteration is not False), name)

    def _all_of(self, what: str, buffer_size: Any) -> int:
        return whole(what, "`buffer_size`", buffer_size, 1)

    def repeat(self, count: int | None = None, name: str | None = None) -> Self:
        """The dataset several times; without `count`, or with -1, for ever. Each repetition is a pass: shuffled anew, for instance."""
        count = None if count is None else whole("repeat", "`count`", count, -1)
        return self._then(order.Repeat(self._node, None if count == -1 else count), name)

    def take(self, count: int, name: str | None = None) -> Self:
        """The first elements; all with -1."""
        count = whole("take", "`count`", count, -1)
        return self._then(order.Take(self._node, _ALL if count == -1 else count), name)

    def skip(self, count: int, name: str | None = None) -> Self:
        """All but the first elements; none with -1."""
        count = whole("skip", "`count`", count, -1)
        return self._then(order.Skip(self._node, count) if count >= 0 else order.Take(self._node, 0), name)

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Self:
        """Every `num_shards`-th element, from number `index` on: a part for each of several jobs."""
        num_shards = whole("shard", "`num_shards`", num_shards, 1)
        index = whole("shard", "`index`", index, 0)
        if index >= num_shards:
            raise ValueError(f"shard: `index` must be below `num_shards`, but they are {index} and {num_shards}.")
        return self._then(order.Shard(self._node, num_shards, index), name)

    def concatenate(self, dataset: Any, name: str | None = None) -> Self:
        """The elements of this dataset, then those of another one of the same kind."""
        other = getattr(dataset, "_node", None)
        if not is_node(other):
            raise TypeError(f"concatenate: expected a Dataset, but got {type(dataset).__name__}.")
        return self._then(order.Concatenate(self._node, other), name)

    def enumerate(self, start: int = 0, name: str | None = None) -> Self:
        """Pairs (number, element).

        >>> from mlkit.data import Dataset
        >>> [(int(i), float(x)) for i, x in Dataset.from_tensor_slices([0.5, 1.5]).enumerate(start=7)]
        [(7, 0.5), (8, 1.5)]
        """
        return self._then(order.Enumerate(self._node, whole("enumerate", "`start`", start)), name)

    def unique(self, name: str | None = None) -> Self:
        """Each element once, at its first place."""
        return self._then(functions.Unique(self._node), name)

    # ---- ahead of time, and kept ---------------------------------------------------------------------------------------

    def cache(self, filename: str = "", name: str | None = None) -> Self:
        """Keep the elements of the first whole pass, in memory or in a file, and give these in every pass.

        Args:
            filename: "": in memory. A file that is there is read; it is made anew only if it is removed.
        """
        return self._then(ahead.Cache(self._node, str(filename)), name)

    def prefetch(self, buffer_size: int = 2, name: str | None = None) -> Self:
        """Make up to `buffer_size` elements ahead in a background thread; `AUTOTUNE` means 2, and 0 none."""
        size = whole("prefetch", "`buffer_size`", buffer_size, AUTOTUNE)
        if size == 0:
            return self
        return self._then(ahead.Prefetch(self._node, 2 if size == AUTOTUNE else size), name)


def _workers(what: str, count: Any) -> int:
    """How many workers `num_parallel_calls` asks for."""
    if count is None:
        return 0
    count = whole(what, "`num_parallel_calls`", count)
    if count == AUTOTUNE:
        return usable_cores()
    return whole(what, "`num_parallel_calls`", count, 1)


def _check_flags(what: str, **flags: Any) -> None:
    for name, value in flags.items():
        if value not in (None, True, False):
            raise ValueError(f"{what}: `{name}` must be True, False or None, but is {value!r}.")


def _shapes(shapes: Any, spec: Any) -> Any:
    """`padded_shapes` as a structure of the elements' form, a tuple for each component."""
    if isinstance(spec, TensorSpec):
        return tuple(None if s is None else int(s) for s in shapes)
    if isinstance(spec, dict):
        if not isinstance(shapes, dict) or set(shapes) != set(spec):
            raise ValueError(f"padded_batch: `padded_shapes` must have the form of the elements, {spec}, but is {shapes}.")
        return {k: _shapes(shapes[k], s) for k, s in spec.items()}
    if not isinstance(shapes, (tuple, list)) or len(shapes) != len(spec):
        raise ValueError(f"padded_batch: `padded_shapes` must have the form of the elements, {spec}, but is {shapes}.")
    return tuple(_shapes(part, s) for part, s in zip(shapes, spec))
