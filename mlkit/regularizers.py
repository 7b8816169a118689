"""Weight regularizers: penalties on weights or activations that are added to the training loss."""

import math
from typing import Any

from mlkit import ops
from mlkit.core.dtypes import is_float, single_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import FloatOrSequence, TensorLike
from mlkit.objects.config_object import Configurable
from mlkit.objects.lookup import Lookup

__all__ = (
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
)  # fmt: skip


class Regularizer(Configurable):
    """Base class: a callable that maps a tensor to a scalar penalty.

    >>> class Peak(Regularizer):
    ...     def __call__(self, x):
    ...         return 0.1 * ops.max(ops.abs(x))
    >>> round(float(Peak()(ops.convert_to_tensor([1.0, -3.0]))), 4)
    0.3
    """

    def __call__(self, x: TensorLike) -> Tensor:
        """The penalty of tensor `x`."""
        return 0.0


class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x ** 2)``.

    Zou and Hastie, "Regularization and Variable Selection via the Elastic Net", JRSS B 67 (2005).

    Args:
        l1, l2: non-negative factors; None counts as 0.

    >>> float(L1L2(l1=0.5, l2=0.25)(ops.convert_to_tensor([2.0, -2.0])))
    4.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x: TensorLike) -> Tensor:
        own, x = _own_and_single(x)
        penalty = ops.zeros((), dtype=x.dtype)
        if self.l1:
            penalty = penalty + self.l1 * ops.sum(ops.absolute(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(ops.square(x))
        return ops.cast(penalty, own)


class L1(Regularizer):
    """``l1 * sum(|x|)``.

    Tibshirani, "Regression Shrinkage and Selection via the Lasso", JRSS B 58 (1996).

    Args:
        l1: factor of the sum of absolute values.

    >>> float(L1(0.5)(ops.convert_to_tensor([2.0, -2.0])))
    2.0
    """

    def __init__(self, l1: float = 0.01):
        self.l1 = _factor("l1", 0.01 if l1 is None else l1)

    def __call__(self, x: TensorLike) -> Tensor:
        own, x = _own_and_single(x)
        return ops.cast(self.l1 * ops.sum(ops.absolute(x)), own)


class L2(Regularizer):
    """``l2 * sum(x ** 2)``.

    Hoerl and Kennard, "Ridge Regression", Technometrics 12 (1970).

    Args:
        l2: factor of the sum of squares.

    >>> float(L2(0.5)(ops.convert_to_tensor([2.0, -2.0])))
    4.0
    """

    def __init__(self, l2: float = 0.01):
        self.l2 = _factor("l2", 0.01 if l2 is None else l2)

    def __call__(self, x: TensorLike) -> Tensor:
        own, x = _own_and_single(x)
        return ops.cast(self.l2 * ops.sum(ops.square(x)), own)


class OrthogonalRegularizer(Regularizer):
    """Drives the rows (or columns) of a matrix to be orthogonal to one another.

    The penalty is `factor` times the mean absolute cosine between two different rows.

    Args:
        factor: non-negative weight of the penalty.
        mode: "rows" or "columns".

    >>> float(OrthogonalRegularizer(factor=1.0)(ops.eye(3)))
    0.0
    """

    def __init__(self, factor: FloatOrSequence = 0.01, mode: str = "rows"):
        self.factor = _factor("factor", factor)
        if mode not in ("rows", "columns"):
            raise ValueError(f'OrthogonalRegularizer: `mode` must be "rows" or "columns", but got {mode!r}.')
        self.mode = mode

    def __call__(self, x: TensorLike) -> Tensor:
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer works on matrices, but got a tensor of shape {tuple(x.shape)}.")
        own, x = _own_and_single(x)
        vectors = ops.normalize(x if self.mode == "rows" else ops.transpose(x), axis=1)
        n = vectors.shape[0]
        cosines = ops.matmul(vectors, ops.transpose(vectors)) * (1.0 - ops.eye(n, dtype=vectors.dtype))
        pairs = n * (n - 1) / 2
        return ops.cast(self.factor * 0.5 * ops.sum(ops.absolute(cosines)) / pairs, own)


def _own_and_single(x: TensorLike) -> tuple[str, Tensor]:
    """The dtype of the weights, which the penalty has too, and the weights in float32 or wider: sums of half floats overflow on the way.
    Whole numbers, as layers may answer, have a penalty in floats."""
    x = ops.convert_to_tensor(x)
    single = ops.cast(x, single_of(x.dtype))
    return x.dtype if is_float(x.dtype) else single.dtype, single


def _factor(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError(f"Regularizer: `{name}` must be a finite non-negative number, but got {value!r}.")
    return float(value)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_lookup = Lookup("regularizer", __name__, ["Regularizer", "L1", "L2", "L1L2", "OrthogonalRegularizer"])


def get(identifier: Any) -> Any:
    """A regularizer from a name ("l2"), a class, a config, or any callable; None gives None.

    >>> get("l2").l2
    0.01
    """
    return _lookup.get(identifier)


def serialize(regularizer: Any) -> Any:
    """The regularizer as a dict that `deserialize` reads."""
    return _lookup.serialize(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer that `serialize` wrote. custom_objects: name -> class, for classes that are not built in."""
    return _lookup.deserialize(config, custom_objects)
