"""Checks and conversions of layer options that several layers share."""

import math
import numbers
from collections.abc import Collection, Sequence
from typing import Any

from mlkit.config import image_data_format


def refuse(layer: Any, **options: Any) -> None:
    """Raise NotImplementedError for options of Keras that are not supported yet and are not None (or False)."""
    for name, value in options.items():
        if value not in (None, False):
            raise NotImplementedError(f"{type(layer).__name__}: `{name}` is not supported; leave it at its default.")


def positive(layer: Any, zero: bool = False, **option: Any) -> None:
    """The value of the one option given, which must be a positive integer (zero allowed if `zero`)."""
    ((name, value),) = option.items()
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < (0 if zero else 1):
        kind = "non-negative" if zero else "positive"
        raise ValueError(f"{type(layer).__name__}: `{name}` must be a {kind} integer, but got {value!r}.")
    return int(value)


def within(layer: Any, low: float, high: float, **option: Any) -> None:
    """The value of the one option given, which must be a number from `low` to `high`."""
    ((name, value),) = option.items()
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not low <= value <= high:
        limits = f"between {low} and {high}" if high < math.inf else f"of at least {low}"
        raise ValueError(f"{type(layer).__name__}: `{name}` must be a number {limits}, but got {value!r}.")
    return value


def as_tuple(value: Any, n: int, name: str, zero: bool = False) -> tuple[int, ...]:
    """An int or a sequence of n ints -> a tuple of n positive ints (zero allowed if `zero`).

    >>> as_tuple(3, 2, "kernel_size")
    (3, 3)
    """
    values = (value,) * n if isinstance(value, int) else value
    try:
        values = tuple(int(v) for v in values)
    except (TypeError, ValueError):
        values = ()
    if len(values) != n or any(v < 0 or (v == 0 and not zero) for v in values):
        kind = "non-negative" if zero else "positive"
        raise ValueError(f"`{name}` must be a {kind} integer or {n} of them, but got {value!r}.")
    return values


def layout(data_format: str | None) -> str:
    """The given data format, or the default one; raises ValueError for an unknown one."""
    data_format = image_data_format() if data_format is None else data_format
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"`data_format` must be 'channels_last' or 'channels_first', but got {data_format!r}.")
    return data_format


def padding_name(padding: str, allowed: Collection[str] = ("valid", "same")) -> str:
    """The padding in lower case; raises ValueError for an unknown one."""
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in allowed:
        raise ValueError(f"`padding` must be one of {allowed}, but got {padding!r}.")
    return name


def axes_of(axis: Any, name: str | None = "axis") -> Any:
    """An axis or a sequence of axes -> tuple of axes.

    >>> axes_of(-1), axes_of([1, 2])
    ((-1,), (1, 2))
    """
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    if not all(isinstance(a, numbers.Integral) and not isinstance(a, bool) for a in axes):
        raise TypeError(f"`{name}` must be an integer or several, but got {axis!r}.")
    return axes


def require_axes(layer: Any, axis: Any, shape: Sequence[Any], name: str | None = "axis") -> None:
    """Raise unless a layer's axis, or each of its axes, is one of inputs of this shape."""
    if not all(-len(shape) <= a < len(shape) for a in axes_of(axis)):
        raise ValueError(
            f"{type(layer).__name__} {layer.path!r}: `{name}` {axis} is out of range for inputs of shape {shape}, which have "
            f"{len(shape)} axes."
        )
