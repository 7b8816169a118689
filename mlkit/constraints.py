"""Weight constraints: projections applied to a weight after each optimizer update."""

from collections.abc import Callable
from typing import Any

from mlkit import ops
from mlkit.config import epsilon
from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axes, Axis, TensorLike
from mlkit.objects.config_object import Configurable
from mlkit.objects.lookup import Lookup

__all__ = (
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm", "non_neg",
    "serialize", "unit_norm",
)  # fmt: skip


class Constraint(Configurable):
    """Base class: a callable from a weight to the weight that takes its place.

    >>> class AtMostOne(Constraint):
    ...     def __call__(self, w):
    ...         return ops.minimum(w, 1.0)
    >>> AtMostOne()(ops.convert_to_tensor([0.5, 3.0])).numpy()
    array([0.5, 1. ], dtype=float32)
    """

    def __call__(self, w: TensorLike) -> Tensor:
        """The admissible weight for `w`, of the same shape."""
        return w


class MaxNorm(Constraint):
    """Scales down weights whose norm exceeds `max_value`.

    Args:
        axis: int or tuple, the axes a norm is taken over: 0 for a Dense kernel (inputs, units), (0, 1, 2) for a Conv2D kernel.
        max_value: the largest norm.

    Srivastava et al. 2014, Dropout (https://jmlr.org/papers/v15/srivastava14a.html), section 5.1.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: TensorLike) -> Tensor:
        return _with_norm(w, self.axis, lambda norm: ops.clip(norm, 0, self.max_value))


class NonNeg(Constraint):
    """Sets negative weights to zero.

    >>> NonNeg()(ops.convert_to_tensor([-1.0, 2.0])).numpy()
    array([0., 2.], dtype=float32)
    """

    def __call__(self, w: TensorLike) -> Tensor:
        return ops.maximum(w, 0)


class UnitNorm(Constraint):
    """Scales weights to norm 1.

    Args:
        axis: int or tuple, the axes a norm is taken over.
    """

    def __init__(self, axis: Axis = 0):
        self.axis = axis

    def __call__(self, w: TensorLike) -> Tensor:
        return _with_norm(w, self.axis, lambda norm: 1.0)


class MinMaxNorm(Constraint):
    """Moves the norm of weights into ``[min_value, max_value]``.

    Args:
        rate: 1 enforces the interval at once; below 1 each update goes that part of the way.
        axis: the axes a norm is taken over.
        min_value, max_value: bounds of the norm.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: TensorLike) -> Tensor:
        def wanted(norm: Tensor) -> Tensor:
            return self.rate * ops.clip(norm, self.min_value, self.max_value) + (1 - self.rate) * norm

        return _with_norm(w, self.axis, wanted)


def _with_norm(w: TensorLike, axis: Axes, wanted: Callable[[Tensor], Any]) -> Tensor:
    """`w` scaled so that its norm along `axis` is ``wanted(norm)``; zero weights stay zero."""
    wide = ops.cast(w, dtypes.single_of(w.dtype))  # squares of half floats overflow
    norm = ops.sqrt(ops.sum(ops.square(wide), axis=axis, keepdims=True))
    return ops.cast(wide * (wanted(norm) / (epsilon() + norm)), w.dtype)


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_lookup = Lookup("constraint", __name__, ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"])


def get(identifier: Any) -> Any:
    """A constraint from a name ("non_neg"), a class, a config, or any callable; None gives None.

    >>> get("max_norm").max_value
    2
    """
    return _lookup.get(identifier)


def serialize(constraint: Any) -> Any:
    """The constraint as a dict that `deserialize` reads."""
    return _lookup.serialize(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that `serialize` wrote. custom_objects: name -> class, for classes that are not built in."""
    return _lookup.deserialize(config, custom_objects)
