"""Elements of a dataset: structures of tuples and dicts with arrays of NumPy for leaves. Lists are tensors, as in tf.data.

Strings are arrays of `bytes` objects. A leaf may also be None, or the node of a dataset within the element.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.tensor import Tensor
from mlkit.data.batch import to_numpy
from mlkit.primitives.convert import convert_to_tensor

STRING = "string"


class Strings(np.ndarray):
    """An array of strings (`bytes` objects), as datasets hand them to functions and loops. A single one can be used as a path.

    Args:
        shape: of the array.
        dtype, buffer, offset, strides, order: as in `numpy.ndarray`; `Strings.of` makes one of a list.

    >>> s = Strings.of([b"a", b"b"])
    >>> s[1].numpy(), str(s[1])
    (b'b', 'b')
    """

    @classmethod
    def of(cls, array: Any) -> "Strings":
        """The array, or what is made of a list, as one of this kind; not a copy."""
        return np.asarray(array, object).view(cls)

    def numpy(self) -> Any:
        """A plain array of `bytes` objects; of a single string the `bytes`, as in TensorFlow."""
        plain = self.view(np.ndarray)
        return plain if plain.ndim else plain.item()

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return found if isinstance(found, np.ndarray) else _single(found).view(Strings)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __str__(self) -> str:
        return str(self.view(np.ndarray)) if self.ndim else self.decode()

    def __repr__(self) -> str:
        return f"<Strings {self.shape} {self.numpy()!r}>"

    def decode(self, encoding: str = "utf-8") -> str:
        """A single string as `str`."""
        return self.item().decode(encoding)

    __fspath__ = decode


class TensorSpec:
    """What is known of a component of a dataset's elements: its shape, None where sizes differ, and its dtype.

    Args:
        shape: sizes, None where they differ, or None for an unknown rank.
        dtype: name of the dtype.
        name: a name, or None.

    >>> TensorSpec((None, 3), "float32")
    TensorSpec(shape=(None, 3), dtype='float32')
    """

    def __init__(self, shape: Iterable[int | None] | None, dtype: Any = "float32", name: str | None = None):
        self.shape = None if shape is None else tuple(None if s is None else int(s) for s in shape)
        self.dtype, self.name = dtype_name(dtype), name

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def fits(self, array: Any) -> bool:
        """Whether an array is of this kind."""
        known = self.shape is None or (
            len(self.shape) == array.ndim and all(n is None or n == m for n, m in zip(self.shape, array.shape))
        )
        return known and dtype_name(array.dtype) == self.dtype

    def batched(self, size: int | None) -> "TensorSpec":
        """The kind of a batch of these."""
        return TensorSpec(None if self.shape is None else (size, *self.shape), self.dtype)

    def unbatched(self) -> "TensorSpec":
        """The kind of a row of one of these."""
        return TensorSpec(self.shape and self.shape[1:], self.dtype)


class DatasetSpec:
    """Of a component that is a dataset: the kind of its elements."""

    def __init__(self, element_spec: Any):
        self.element_spec = element_spec

    def __repr__(self) -> str:
        return f"DatasetSpec({self.element_spec})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasetSpec) and self.element_spec == other.element_spec

    __hash__ = None  # type: ignore[assignment]


def dtype_name(dtype: Any) -> str:
    """The name of a dtype of NumPy, TensorFlow or ours; "string" for strings."""
    if isinstance(dtype, np.dtype):
        return STRING if dtype.kind in "OUS" else dtypes.name_of(dtype)
    if dtype is str or dtype is bytes or getattr(dtype, "name", dtype) == STRING:
        return STRING
    return dtypes.standardize_dtype(getattr(dtype, "name", dtype))


def is_node(x: Any) -> bool:
    """Whether a leaf is a dataset within an element."""
    return hasattr(x, "start")


def to_element(value: Any) -> Any:
    """What users give as an element, or as arrays to cut into elements: tuples and dicts are kept, the rest becomes arrays."""
    if type(value) is tuple:
        return tuple(map(to_element, value))
    if isinstance(value, (tuple, dict)):
        return tree.map_structure_up_to(shallow(value), to_element, value)
    if type(value) is Tensor:
        return value.numpy()
    node = getattr(value, "_node", value)  # of a Dataset
    if value is None or is_node(node):
        return node
    return to_array(value)


def shallow(value: Any) -> Any:
    """The same container with leaves that count as such, whatever they were."""
    if isinstance(value, dict):
        return dict.fromkeys(value)
    return type(value)(*(None for _ in value)) if hasattr(value, "_fields") else (None,) * len(value)


def to_array(value: Any) -> np.ndarray:
    """A leaf as an array: strings as `bytes` objects, Python numbers in the dtypes that tensors of them have."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OUS":
        return value
    if isinstance(value, (str, bytes)):
        return _single(value.encode() if isinstance(value, str) else value)
    if isinstance(value, (list, bool, int, float, complex)):
        return _of_python(value)
    array = to_numpy(value)
    return _texts(array, value) if array.dtype.kind in "OUST" else array


def _of_python(value: Any) -> np.ndarray:
    try:
        array = np.asarray([np.asarray(to_numpy(v)) for v in value] if isinstance(value, list) and value else value)
    except ValueError as error:
        raise ValueError(
            "A list is one tensor in a dataset, as in tf.data, so its parts must have one shape. Use a tuple for several "
            f"components, or from_generator for elements of different lengths. ({error})"
        ) from None
    return _texts(array, value) if array.dtype.kind in "OUST" else convert_to_tensor(value).numpy()


def _single(value: Any) -> np.ndarray:
    array = np.empty((), object)
    array[()] = value
    return array


def _texts(array: np.ndarray, value: Any) -> np.ndarray:
    """Strings, or objects that NumPy knows no dtype for, as `bytes`."""
    out = np.empty(array.shape, object)
    for i, item in enumerate(array.reshape(-1).tolist()):
        if not isinstance(item, (str, bytes)):
            raise ValueError(
                f"A dataset holds numbers and strings, but got {item!r} of type {type(item).__name__} in an array of "
                f"{type(value).__name__}. Convert the data first: rows of different lengths by pad_sequences, missing strings "
                "by fillna('')."
            )
        out.reshape(-1)[i] = item.encode() if isinstance(item, str) else item
    return out


def spec_of(element: Any) -> Any:
    """The kind of an element."""
    return tree.map_structure(lambda x: None if x is None else x.spec() if is_node(x) else _spec(x), element)


def _spec(array: np.ndarray) -> TensorSpec:
    return TensorSpec(array.shape, array.dtype)


def map_spec(function: Any, spec: Any) -> Any:
    """A function of the TensorSpecs of a kind."""
    return tree.map_structure(lambda s: function(s) if isinstance(s, TensorSpec) else s, spec)


def stack(elements: list[Any]) -> Any:
    """A batch of elements of one form."""
    first = elements[0]
    for other in elements[1:]:
        try:
            tree.assert_same_structure(first, other)
        except ValueError as error:
            raise ValueError(f"batch: the elements have different forms. {error}") from None
    return tree.map_structure(_stacked, *elements)


def _stacked(*leaves: Any) -> Any:
    first = leaves[0]
    if first is None:
        return None
    if is_node(first):
        raise ValueError("batch: the elements hold datasets, which cannot be stacked. Use flat_map first.")
    shapes = {leaf.shape for leaf in leaves}
    if len(shapes) > 1:
        raise ValueError(
            f"batch: the elements to be stacked have different shapes: {', '.join(map(str, sorted(shapes)))}. Use padded_batch, "
            "or bring them to one shape in map (images: ops.image.resize)."
        )
    return np.stack(leaves)


def size_of_batch(element: Any, what: str) -> int:
    """How many rows the leaves of a batch have."""
    sizes = {x.shape[0] if x.ndim else None for x in tree.flatten(element) if x is not None}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(f"{what}: all components must have one first axis, but have shapes {shapes_of(element)}.")
    return sizes.pop()


def row(element: Any, i: int) -> Any:
    """One row of a batch: arrays, also where they have no dimensions."""
    return tree.map_structure(lambda x: None if x is None else np.asarray(x[i, ...]), element)


def rows(element: Any, index: Any) -> Any:
    """Some rows of a batch, given by a slice or an array of their numbers."""
    return tree.map_structure(lambda x: None if x is None else np.asarray(x[index]), element)


def shapes_of(element: Any) -> str:
    """For messages."""
    return ", ".join(str(getattr(x, "shape", x)) for x in tree.flatten(element))
