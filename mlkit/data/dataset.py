"""Dataset: elements one after the other, as in tf.data: made of arrays, files or generators, and transformed by methods."""

import glob
import os
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from mlkit.core import tree
from mlkit.core.function import function as compiled
from mlkit.core.ownership import own_arrays
from mlkit.core.spec import whole
from mlkit.data.pipeline import functions, order, sources
from mlkit.data.pipeline.calls import present
from mlkit.data.pipeline.elements import TensorSpec, dtype_name, is_node, to_element
from mlkit.data.pipeline.node import INFINITE, UNKNOWN, Node
from mlkit.data.randomness import fresh_seed
from mlkit.data.samples import dataset_html
from mlkit.data.transformations import AUTOTUNE, Transformations
from mlkit.ops import convert_to_tensor

__all__ = ["AUTOTUNE", "Dataset", "DatasetIterator", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY"]

INFINITE_CARDINALITY, UNKNOWN_CARDINALITY = INFINITE, UNKNOWN


class Dataset(Transformations):
    """Elements that can be gone through again and again, and transformed by methods. The methods are those of `tf.data.Dataset`.

    An element is a tensor, or a tuple or dict of tensors (strings are `Strings`: arrays of bytes). Iterating begins a new pass;
    what is random follows from seeds and the number of the pass. `fit`, `evaluate` and `predict` take datasets of batches.

    Args:
        node: the step of the pipeline that gives its elements; the methods make it.

    >>> import numpy as np
    >>> x, y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 0])
    >>> pairs = Dataset.from_tensor_slices((x, y)).map(lambda x, y: (x / 2, y)).batch(2)
    >>> [(x.tolist(), y.tolist()) for x, y in pairs]
    [([[0.0, 0.5], [1.0, 1.5]], [0, 1]), ([[2.0, 2.5]], [0])]
    >>> pairs
    <Dataset slices -> map -> batch: (TensorSpec(shape=(None, 2), dtype='float64'), TensorSpec(shape=(None,), dtype='int64'))>
    """

    _origin = None

    def __init__(self, node: Node):
        if not is_node(node):
            raise TypeError("Dataset: make one by from_tensor_slices, from_generator, range, list_files or zip.")
        self._node = node
        self._passes = 0

    def _then(self, node: Node, name: str | None) -> "Dataset":
        node.name = name
        made = Dataset(node)
        made._origin = self
        return made

    @staticmethod
    def _kind() -> type:
        return Dataset

    @staticmethod
    def _compiled(function: Callable[..., Any]) -> Any:
        return compiled(function)

    def __getattr__(self, name: str) -> Any:
        """What the dataset that this one was made of tells of its data: `class_names`, `file_paths`."""
        origin = None if name.startswith("_") else self._origin
        if origin is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(origin, name)

    # ---- made of ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> "Dataset":
        """A dataset of one element."""
        return _made(sources.Tensors([to_element(tensors)]), name)

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> "Dataset":
        """The rows of arrays.

        Args:
            tensors: an array, tensor or list (of numbers or strings), or a tuple or dict of them with equal first axes. Arrays
                are not copied: those of a memory-mapped file (`np.load(..., mmap_mode="r")`) are read row by row.
            name: for messages.

        >>> [x.numpy() for x in Dataset.from_tensor_slices(["a", "b"])]
        [b'a', b'b']
        """
        return _made(sources.Slices(to_element(tensors)), name)

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Any = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> "Dataset":
        """The elements of a generator, which is begun anew for each pass.

        Args:
            generator: a function without arguments (or of `args`) that returns something to go through; not a generator itself.
            output_types, output_shapes: the older way to say what `output_signature` says.
            args: arguments, which the generator gets as arrays of NumPy.
            output_signature: a structure of `TensorSpec` (or anything with `shape` and `dtype`). Elements are brought to these
                dtypes and checked; without it they are taken as they come.
            name: for messages.

        >>> def squares(n):
        ...     for i in range(n):
        ...         yield i, float(i * i)
        >>> [(int(i), float(s)) for i, s in Dataset.from_generator(squares, args=(3,))]
        [(0, 0.0), (1, 1.0), (2, 4.0)]
        """
        if not callable(generator):
            raise TypeError(
                f"from_generator: `generator` must be a function that returns an iterator, but is {type(generator).__name__}, which "
                "can be gone through only once. Pass the generator function itself, or lambda: iter(...)."
            )
        if output_signature is not None and (output_types is not None or output_shapes is not None):
            raise ValueError("from_generator: `output_signature` says what `output_types` and `output_shapes` say: pass one.")
        if output_types is None and output_shapes is not None:
            raise ValueError("from_generator: `output_shapes` needs `output_types`. Better pass `output_signature`.")
        if output_types is not None:
            output_signature = _signature(output_types, output_shapes)
        signature = None if output_signature is None else tree.map_structure(_as_spec, output_signature)
        arguments = tuple(np.asarray(a) for a in args or ())
        return _made(sources.Generated(lambda: generator(*arguments), signature), name)

    @staticmethod
    def range(*args: Any, output_type: Any = "int64", name: str | None = None) -> "Dataset":
        """The numbers `range(*args)`: `range(stop)`, `range(start, stop)` or `range(start, stop, step)`.

        >>> [int(i) for i in Dataset.range(1, 10, 4)]
        [1, 5, 9]
        """
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Dataset.range takes 1 to 3 numbers, as Python's range does, but got {len(args)}.")
        numbers = range(*(whole("Dataset.range", "a limit or step", a) for a in args))
        return _made(sources.Range(numbers, dtype_name(output_type)), name)

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> "Dataset":
        """Elements of several datasets side by side: `zip(a, b)`, or `zip((a, {"b": b}))` of any structure. The shortest ends it."""
        if (datasets is None) == (not args):
            raise TypeError("Dataset.zip: pass datasets, or one structure of them.")
        structure = datasets if datasets is not None else args[0] if len(args) == 1 else args
        for leaf in tree.flatten(structure):
            if not is_node(getattr(leaf, "_node", None)):
                raise TypeError(f"Dataset.zip: expected Datasets, but got {type(leaf).__name__} in {structure!r}.")
        return _made(order.Zip(tree.map_structure(lambda d: d._node, structure)), name)

    @staticmethod
    def list_files(
        file_pattern: Any, shuffle: bool | None = None, seed: int | None = None, name: str | None = None
    ) -> "Dataset":
        """The names of files that fit a pattern, such as "photos/*/*.jpg", or one of several.

        Args:
            shuffle: whether they come in random order, a new one each pass, which is so unless False is given; else they are
                sorted.
        """
        patterns = file_pattern if isinstance(file_pattern, (list, tuple)) else [file_pattern]
        patterns = [os.fspath(p) for p in patterns]
        paths = sorted({path for p in patterns for path in glob.glob(os.fsdecode(p))})
        if not paths:
            raise FileNotFoundError(f"list_files: no file fits {file_pattern!r} (looked for in {os.getcwd()!r}).")
        made = _made(sources.Slices(to_element(paths)), name)
        return made if shuffle is False else made.shuffle(len(paths), seed=seed)

    @staticmethod
    def sample_from_datasets(
        datasets: Any,
        weights: Any = None,
        seed: int | None = None,
        stop_on_empty_dataset: bool = False,
        name: str | None = None,
    ) -> "Dataset":
        """Elements of several datasets, drawn at random with the probabilities `weights` (equal ones unless given)."""
        weights = np.full(len(datasets), 1.0) if weights is None else np.asarray(weights, "float64")
        if weights.shape != (len(datasets),) or (weights < 0).any() or not weights.sum() > 0:
            raise ValueError(f"sample_from_datasets: `weights` must be a number for each of {len(datasets)} datasets.")
        seed = fresh_seed() if seed is None else whole("sample_from_datasets", "`seed`", seed, 0)
        draws = sources_of([Dataset(order.Draws((weights / weights.sum()).tolist(), seed))])[0]
        return _made(order.Choose(draws, sources_of(datasets), bool(stop_on_empty_dataset)), name)

    @staticmethod
    def choose_from_datasets(
        datasets: Any, choice_dataset: Any, stop_on_empty_dataset: bool = True, name: str | None = None
    ) -> "Dataset":
        """Elements of several datasets, each from the one whose number `choice_dataset` names."""
        (choice,) = sources_of([choice_dataset])
        return _made(order.Choose(choice, sources_of(datasets), bool(stop_on_empty_dataset)), name)

    # ---- gone through ----------------------------------------------------------------------------------------------------

    def __iter__(self) -> "DatasetIterator":
        self._passes += 1
        return DatasetIterator(self, self._passes - 1)

    def epoch(self, index: int) -> Any:
        """Pass number `index`, whose elements are arrays of NumPy. It has `get_state()`, `set_state(state)` and `close()`."""
        return self._node.start(index)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements with arrays and numbers of NumPy, and `bytes`, for tensors.

        >>> list(Dataset.range(3).as_numpy_iterator())
        [np.int64(0), np.int64(1), np.int64(2)]
        """
        self._passes += 1
        return map(_plain, self.epoch(self._passes - 1))

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any], name: str | None = None) -> Any:
        """The last state of a function `(state, element) -> state` over all elements.

        >>> int(Dataset.range(5).reduce(np.int64(0), lambda total, i: total + i))
        10
        """
        state = functions.reduced(self._node, to_element(initial_state), self._call(reduce_func, "reduce", name))
        return present(state, Dataset)

    def get_single_element(self, name: str | None = None) -> Any:
        """The element of a dataset that has one only."""
        first, *more = self.take(2)
        if more:
            raise ValueError(f"get_single_element: the dataset {name or ''} has more than one element.")
        return first

    # ---- known of it -----------------------------------------------------------------------------------------------------

    @property
    def element_spec(self) -> Any:
        """The kind of the elements: a structure of `TensorSpec`. To know it, functions may have to run on the first element."""
        return self._node.spec()

    def cardinality(self) -> Any:
        """The number of elements, a tensor; `INFINITE_CARDINALITY` (-1), or `UNKNOWN_CARDINALITY` (-2)."""
        return convert_to_tensor(np.asarray(self._node.cardinality(), "int64"))

    def __len__(self) -> int:
        count = self._node.cardinality()
        if count < 0:
            kind = "endless" if count == INFINITE else "not known before the elements are counted"
            raise TypeError(f"The length of this dataset is {kind}: see `cardinality()`.")
        return count

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        try:
            kind = f": {self.element_spec}"
        except Exception:  # functions fail on the first element; that shows when it is gone through
            kind = ""
        return f"<{type(self).__name__} {self._node.chain()}{kind}>"

    def _repr_html_(self) -> str | None:
        return dataset_html(self)


class DatasetIterator:
    """One pass over a dataset, whose position can be saved: `get_state` at any place, `set_state` in the same or another process.

    Args:
        dataset: what is gone through.
        epoch: number of the pass from 0, on which what is random depends.
    """

    def __init__(self, dataset: Dataset, epoch: int):
        self._dataset, self._epoch = dataset, epoch
        self._pass = dataset.epoch(epoch)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return present(next(self._pass), Dataset)

    def get_next(self) -> Any:
        """The next element."""
        return next(self)

    def get_next_as_optional(self) -> Any:
        """The next element, or None at the end."""
        return next(self, None)

    @property
    def element_spec(self) -> Any:
        """The kind of the elements."""
        return self._dataset.element_spec

    def get_state(self) -> dict[str, Any]:
        """The position: what buffers hold, random states and counts. It can be pickled.

        >>> numbers = Dataset.range(100).shuffle(10, seed=1)
        >>> one = iter(numbers)
        >>> _ = [next(one) for _ in range(50)]
        >>> other = iter(numbers)
        >>> other.set_state(one.get_state())
        >>> [int(i) for i in one] == [int(i) for i in other]
        True
        """
        return {"epoch": self._epoch, "position": self._pass.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to a position that an iterator of the same dataset had, or of one that was built in the same way."""
        if not isinstance(state, dict) or set(state) != {"epoch", "position"}:
            raise ValueError("set_state: expected what `get_state` returned.")
        new = self._dataset.epoch(state["epoch"])
        new.set_state(state["position"])
        self._pass.close()
        self._pass, self._epoch = new, state["epoch"]

    def close(self) -> None:
        """End what runs in the background; this also happens when the iterator is dropped."""
        self._pass.close()


def _made(node: Node, name: str | None) -> Dataset:
    node.name = name
    return Dataset(node)


def sources_of(datasets: Any) -> list[Node]:
    """The nodes of datasets."""
    for dataset in datasets:
        if not isinstance(dataset, Dataset):
            raise TypeError(f"Expected Datasets, but got {type(dataset).__name__}.")
    return [dataset._node for dataset in datasets]


def _as_spec(spec: Any) -> TensorSpec:
    if not hasattr(spec, "dtype"):
        raise TypeError(f"from_generator: `output_signature` must hold TensorSpecs, but got {spec!r}.")
    shape = getattr(spec, "shape", None)
    return TensorSpec(None if shape is None or getattr(shape, "rank", 0) is None else shape, spec.dtype)


def _signature(types: Any, shapes: Any) -> Any:
    if not tree.is_nested(types):
        return TensorSpec(shapes, types)
    if shapes is None:
        return tree.map_structure(lambda dtype: TensorSpec(None, dtype), types)
    return tree.map_structure_up_to(types, lambda dtype, shape: TensorSpec(shape, dtype), types, shapes)


def _plain(element: Any) -> Any:
    return tree.map_structure(
        lambda x: x if x is None else Dataset(x) if is_node(x) else x.item() if x.dtype == object and x.ndim == 0 else x[()],
        own_arrays(element),
    )
