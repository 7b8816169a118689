"""What one batch is: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`, each a structure of NumPy arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.typing import Structure


def unpack_x_y_sample_weight(data: Structure) -> tuple[Any, Any, Any]:
    """Split what a dataset yields into inputs, targets and sample weights.

    Args:
        data: `x`, or a tuple or list `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Returns:
        `(x, y, sample_weight)`, with None for what is absent.

    >>> unpack_x_y_sample_weight(([1.0], [2.0]))
    ([1.0], [2.0], None)
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"A batch has {len(data)} parts. Expected `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`; "
            "a model with several inputs takes them as one structure: `((x1, x2), y)`."
        )
    return (*data, None, None)[:3]


def pack_x_y_sample_weight(x: Structure, y: Structure = None, sample_weight: Structure = None) -> Structure:
    """Put inputs, targets and sample weights into the shortest tuple that `unpack_x_y_sample_weight` reads back.

    Args:
        x: arrays (samples, ...), or a structure of them.
        y: targets (samples, ...), a structure of them, or None.
        sample_weight: (samples,) or one weight a target, or None.

    Returns:
        `x` (or `(x,)` where x is itself a list or tuple), `(x, y)`, or `(x, y, sample_weight)`.

    >>> pack_x_y_sample_weight(1.0, 2.0)
    (1.0, 2.0)
    """
    if sample_weight is not None and y is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (tuple, list)) else x


def to_numpy(leaf: Any) -> Any:
    """A batch's leaf as a NumPy array: arrays, mlkit, torch and TensorFlow tensors, pandas, numbers; None stays None."""
    if leaf is None or isinstance(leaf, np.ndarray):
        return leaf
    if hasattr(leaf, "detach"):  # a torch tensor may be on another device and may ask for gradients
        leaf = leaf.detach().cpu()
    if hasattr(leaf, "toarray"):  # scipy.sparse
        return leaf.toarray()
    if hasattr(leaf, "numpy") and callable(leaf.numpy):
        return np.asarray(leaf.numpy())
    return np.asarray(leaf)


def standardize_batch(data: Structure, position: int | None = None) -> tuple[Any, Any, Any]:
    """The `(x, y, sample_weight)` triple of NumPy structures of what a dataset yielded.

    Targets and sample weights must have one length. Inputs may have others: the nodes and edges of graphs, a bag with one label.
    """
    x, y, sample_weight = (
        None if part is None else tree.map_structure(to_numpy, part) for part in unpack_x_y_sample_weight(data)
    )
    for leaf in tree.flatten((x, y, sample_weight)):
        if leaf is not None and leaf.ndim == 0:
            raise ValueError(
                f"Batch {position} holds the scalar {leaf!r}. Expected arrays whose first axis counts the batch's samples: "
                "datasets must yield batches (`dataset.batch(32)`), not samples."
            )
    if len({leaf.shape[0] for leaf in tree.flatten((y, sample_weight)) if leaf is not None}) > 1:
        raise ValueError(
            f"The arrays of batch {position} have unequal lengths: {describe_sizes(x, y, sample_weight)}. "
            "Targets and sample weights must be given for the same number of samples."
        )
    return x, y, sample_weight


def describe_sizes(x: Structure, y: Structure, sample_weight: Structure) -> str:
    """For messages: "x: 32, y: 31"."""
    parts = (("x", x), ("y", y), ("sample_weight", sample_weight))
    sizes = {name: [str(len(leaf)) for leaf in tree.flatten(part) if leaf is not None] for name, part in parts}
    return ", ".join(f"{name}: {'/'.join(values)}" for name, values in sizes.items() if values)


def class_weight_to_sample_weight(y: Any, class_weight: Mapping[Any, float], class_numbers: bool = False) -> np.ndarray:
    """The weight of each sample by its class.

    Args:
        y: integer labels (n,) or (n, 1), or one-hot rows (n, classes).
        class_weight: dict from class index to weight; a class it does not name weighs 1.
        class_numbers: whether y are class numbers whatever their shape, (n, steps) or (n, steps, 1) for example, as losses
            such as sparse categorical crossentropy take them.

    Returns:
        Array (n,), or (n, steps) for class numbers of that shape, of the default float type.
    """
    if tree.is_nested(y):
        raise ValueError("`class_weight` works for models with one output. For several, pass `sample_weight` instead.")
    labels = to_numpy(y)
    if labels.ndim > 1:
        if labels.shape[-1] == 1:
            labels = labels.squeeze(-1)
        elif not class_numbers:
            labels = labels.argmax(-1)
    classes, which = np.unique(np.round(labels).astype("int64"), return_inverse=True)
    weights = np.array([class_weight.get(int(c), 1.0) for c in classes], dtypes.as_numpy(dtypes.floatx()))
    return weights[which.reshape(labels.shape)]


def with_class_weight(batch: tuple[Any, Any, Any], class_weight: Any) -> tuple[Any, Any, Any]:
    """A batch triple whose sample weights follow from its labels. class_weight: dict, or a function labels -> weights."""
    x, y, sample_weight = batch
    if sample_weight is not None:
        raise ValueError(
            "`class_weight` was passed, but the data brings sample weights of its own. "
            "Pass one of them only; multiply them yourself where both are meant."
        )
    if y is None:
        raise ValueError("`class_weight` needs labels to choose the weights by, but the data has no targets `y`.")
    return x, y, class_weight(y) if callable(class_weight) else class_weight_to_sample_weight(y, class_weight)
