"""Data in memory: arrays, tensors, pandas tables and lists of numbers, checked, split and cut into batches."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.messages import explained
from mlkit.core.typing import Structure
from mlkit.data.batch import describe_sizes, to_numpy

_NUMBERS = (bool, int, float, complex, str, bytes, np.number, np.bool_)


def is_array(x: object) -> bool:
    """Whether x can be cut along its first axis: an array, tensor, table, scipy matrix, (nested) list of numbers, or column of one."""
    if type(x) is np.ndarray:
        return True
    if isinstance(x, (list, tuple)):
        return _is_list_of_numbers(x)
    if isinstance(x, Sequence) and not isinstance(x, (str, bytes)):  # a range, a column of a Hugging Face data set
        return len(x) > 0 and (isinstance(x[0], _NUMBERS) or is_array(x[0]))
    return hasattr(x, "__array__") or hasattr(x, "toarray") or (hasattr(x, "shape") and callable(getattr(x, "numpy", None)))


def _is_list_of_numbers(x: Any) -> bool:
    """[1, 2] and [[1, 2], [3, 4]] are data; [array, array] is a structure of two inputs."""
    while isinstance(x, (list, tuple)) and len(x):
        x = x[0]
    return isinstance(x, _NUMBERS)


def is_array_structure(x: Any) -> bool:
    """Whether x is an array or a non-empty list, tuple or dict of arrays (None allowed among them)."""
    if x is None or is_array(x):
        return True
    children = x.values() if isinstance(x, dict) else x if isinstance(x, (list, tuple)) else ()
    return len(children) > 0 and all(is_array_structure(c) for c in children)


def to_arrays(structure: Structure) -> Structure:
    """The structure with NumPy arrays for leaves; tensors and tables are converted without copying where possible."""
    if structure is None:
        return None
    if not is_array(structure):
        if isinstance(structure, dict):
            return {k: to_arrays(v) for k, v in structure.items()}
        return type(structure)(to_arrays(v) for v in structure)
    array = to_numpy(structure)
    if type(structure).__name__ == "Series" and array.ndim == 1:
        return array[:, None]  # one column of a table is a feature of each sample, as in Keras
    return array


def check_arrays(x: Structure, y: Structure = None, sample_weight: Structure = None) -> int:
    """The number of samples that all arrays share.

    Raises:
        ValueError: x is empty, or the lengths differ.
    """
    named = [("x", x), ("y", y), ("sample_weight", sample_weight)]
    leaves = [(name, leaf) for name, part in named for leaf in tree.flatten(part) if leaf is not None]
    for name, leaf in leaves:
        if leaf.ndim == 0:
            raise ValueError(f"`{name}` is the scalar {leaf!r}. Expected an array whose first axis counts the samples.")
    sizes = {leaf.shape[0] for _, leaf in leaves}
    if not sizes:
        raise ValueError("No data: `x` holds no array. Pass arrays, a dataset or a generator of batches.")
    if len(sizes) > 1:
        message = f"The arrays have unequal numbers of samples: {describe_sizes(x, y, sample_weight)}. All must have as many."
        if isinstance(x, list) and len(x) > 1:
            message += " A list of arrays means several model inputs; use np.stack(x) if it is a list of samples."
        raise explained(ValueError(message), "the-arrays-have-unequal-numbers-of-samples")
    if sizes == {0}:
        raise explained(
            ValueError(
                f"The data is empty: {leaves[0][0]} has shape {leaves[0][1].shape}, that is 0 samples. At least 1 is needed."
            ),
            "the-data-is-empty-has-shape",
        )
    return sizes.pop()


def match_sample_weight(y: Structure, sample_weight: Structure) -> Structure:
    """Sample weights in the form of the targets: one array of per-sample weights serves every output."""
    if sample_weight is None or not tree.is_nested(y):
        return sample_weight
    if tree.is_nested(sample_weight):
        try:
            tree.assert_same_structure(y, sample_weight)
        except ValueError as error:
            raise ValueError(
                f"`sample_weight` must have the structure of `y`, with one array for each output. {error}"
            ) from error
        return sample_weight
    if sample_weight.ndim > 2 or (sample_weight.ndim == 2 and sample_weight.shape[1] != 1):
        raise ValueError(
            f"A single `sample_weight` for several outputs must hold one number a sample, shape (n,), but has shape "
            f"{sample_weight.shape}. Pass one array for each output to weight parts of samples."
        )
    return tree.map_structure(lambda _: sample_weight, y)


def take(array: Any, index: Any) -> np.ndarray:
    """The rows of a batch; floats come out in the default float type, so a batch has the dtype the model computes with."""
    rows = array[index]  # `np.take` copies a whole array first that does not lie row by row, as columns cut from another one do
    if rows.dtype.kind == "f":
        return rows.astype(dtypes.as_numpy(dtypes.floatx()), copy=False)
    return rows


def train_validation_split(arrays: tuple[Any, ...], validation_split: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Cut the last part of the arrays off for validation, in the order given.

    Args:
        arrays: array, or structure of arrays with as many samples each (None allowed).
        validation_split: fraction in (0, 1) of the samples that becomes validation data.

    Returns:
        `(train_arrays, validation_arrays)`.

    >>> train_validation_split((np.arange(10), None), 0.2)[1]
    (array([8, 9]), None)
    """
    if not is_array_structure(arrays):
        kinds = sorted({type(leaf).__name__ for leaf in tree.flatten(arrays) if leaf is not None and not is_array(leaf)})
        raise ValueError(
            f"`validation_split` needs arrays or tensors, but the data holds {', '.join(kinds) or type(arrays).__name__}. "
            "Pass `validation_data` instead."
        )
    arrays = tuple(map(to_arrays, arrays)) if isinstance(arrays, tuple) else to_arrays(arrays)  # x may be a list of numbers
    leaves = [leaf for leaf in tree.flatten(arrays) if leaf is not None]
    if not leaves:
        return arrays, arrays
    count = len(leaves[0])
    cut = math.floor(count * (1.0 - validation_split))
    if not 0 < cut < count:
        raise explained(
            ValueError(
                f"{count} samples cannot be split by validation_split={validation_split}: one part would be empty. "
                "Provide more data or another fraction."
            ),
            "samples-cannot-be-split-by-validation-split",
        )
    return (
        tree.map_structure(lambda a: a if a is None else a[:cut], arrays),
        tree.map_structure(lambda a: a if a is None else a[cut:], arrays),
    )
