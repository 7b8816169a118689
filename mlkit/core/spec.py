"""Specs: what is known of a tensor before it has a value, and the shape arithmetic every op's `spec` is written with."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from mlkit.core import dtypes
from mlkit.core.messages import explained


class Dim:
    """An unknown size, for example the batch size of a model under construction.

    A Dim equals only itself. Arithmetic with it gives a new Dim that remembers how it was made, so that a recorded
    call can be replayed once the sizes are known (`resolve`). Comparing its magnitude raises: the answer is not known.
    """

    __slots__ = ("name", "made_by")

    def __init__(self, name: str | None = None, made_by: tuple[Callable[..., Any], tuple[Any, ...]] | None = None):
        self.name = name
        self.made_by = made_by  # (function, operands) or None

    def __repr__(self) -> str:
        return self.name or "None"  # as users write it

    def _unknown(self, other: object) -> NoReturn:
        raise TypeError(
            "A size that is unknown (None) while the model is being built cannot be compared or used as a number. Give the axis a size "
            "in Input(shape=...), or compute with ops instead of Python numbers."
        )

    __lt__ = __le__ = __gt__ = __ge__ = _unknown

    def __index__(self) -> int:  # noqa: PLE0305  (it always raises)
        self._unknown(None)

    __int__ = __float__ = __index__

    def __bool__(self) -> bool:
        return True

    if TYPE_CHECKING:  # below, one by one

        def __add__(self, other: "Size") -> "Size": ...
        def __radd__(self, other: "Size") -> "Size": ...
        def __sub__(self, other: "Size") -> "Size": ...
        def __rsub__(self, other: "Size") -> "Size": ...
        def __mul__(self, other: "Size") -> "Size": ...
        def __rmul__(self, other: "Size") -> "Size": ...
        def __floordiv__(self, other: "Size") -> "Size": ...
        def __rfloordiv__(self, other: "Size") -> "Size": ...
        def __mod__(self, other: "Size") -> "Size": ...
        def __rmod__(self, other: "Size") -> "Size": ...
        def __neg__(self) -> "Size": ...


Size: TypeAlias = int | Dim
Padding: TypeAlias = str | Sequence[tuple[int, int]]  # "valid", "same", or (before, after) of each spatial axis


def _dim_operator(function: Callable[..., Any], swap: bool = False) -> Callable[..., Any]:
    def method(self, other):
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        a, b = (other, self) if swap else (self, other)
        known = _without_arithmetic(function, a, b)
        return Dim(made_by=(function, (a, b))) if known is None else known

    return method


def _without_arithmetic(function: Callable[..., Any], a: Size, b: Size) -> Size | None:
    """The result where it is one of the operands or the same for any size, else None."""
    if function is operator.add:
        return b if a == 0 else a if b == 0 else None
    if function is operator.mul:
        return 0 if 0 in (a, b) else b if a == 1 else a if b == 1 else None
    if a is b:
        return 1 if function is operator.floordiv else 0
    if b == (1 if function is operator.floordiv else 0):
        return a if function is not operator.mod else None
    return None


for _name, _f in dict(
    add=operator.add, sub=operator.sub, mul=operator.mul, floordiv=operator.floordiv, mod=operator.mod
).items():
    setattr(Dim, f"__{_name}__", _dim_operator(_f))
    setattr(Dim, f"__r{_name}__", _dim_operator(_f, swap=True))
Dim.__neg__ = lambda self: 0 - self  # type: ignore[method-assign]


def resolve(size: Size, known: Mapping[Dim, int]) -> int:
    """The value of a size once some Dims are known: `known` maps Dim -> int. Raises KeyError for one that is not."""
    if not isinstance(size, Dim):
        return size
    if size in known:
        return known[size]
    if size.made_by is None:
        raise KeyError("a size is not determined by the inputs")
    function, operands = size.made_by
    return function(*(resolve(o, known) for o in operands))


class Spec:
    """Shape and dtype of a tensor. Sizes are ints or `Dim`; dtype is a name.

    >>> Spec((2, 3), "float32")
    float32[2, 3]
    """

    __slots__ = ("shape", "dtype")

    def __init__(self, shape: Iterable[Size], dtype: str):
        self.shape = tuple(shape)
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    def __eq__(self, other: object) -> bool:
        return type(other) is Spec and self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    @property
    def ndim(self) -> int:
        return len(self.shape)


def is_known(*sizes: Any) -> bool:
    """Whether every size is a number."""
    return all(type(s) is not Dim for s in sizes)


def are_known(specs: Spec | tuple[Spec, ...]) -> bool:
    """Whether all sizes of one Spec, or of each in a tuple, are numbers."""
    return all(is_known(*s.shape) for s in (specs if isinstance(specs, tuple) else (specs,)))


def same_size(a: Any, b: Any) -> bool:
    """False only when both sizes are known and differ."""
    return a == b or not is_known(a, b)


def compatible(shape: Sequence[Size], other: Sequence[Size]) -> bool:
    """Whether two shapes can be the same once their unknown sizes are known."""
    return len(shape) == len(other) and all(map(same_size, shape, other))


def broadcasts_to(shape: Sequence[Size], other: Sequence[Size]) -> bool:
    """Whether a tensor of one shape can be broadcast to another, once unknown sizes are known."""
    return len(shape) <= len(other) and all(n == 1 or same_size(n, m) for n, m in zip(reversed(shape), reversed(other)))


def size_of(shape: Iterable[Size]) -> Any:
    """Number of elements; a Dim if unknown."""
    total: Size = 1
    for s in shape:
        total = total * s
    return total


def show(shape: Iterable[Size | None]) -> tuple[int | None, ...]:
    """A shape as users see it: unknown sizes are None."""
    return tuple(None if isinstance(s, Dim) else s for s in shape)


def broadcast(name: str, *shapes: Sequence[Size]) -> tuple[Size, ...]:
    """The common shape by NumPy's rule. An unknown size gives way to a known one above 1; two unknown ones must be checked by
    the kernel and the first stands for both."""
    first = shapes[0]
    if all(s == first for s in shapes[1:]):
        return tuple(first)
    rank = max(map(len, shapes))
    out = []
    for axis in range(-rank, 0):
        sizes = [s[axis] for s in shapes if len(s) >= -axis]
        wide = [s for s in sizes if type(s) is Dim or s != 1]
        known = [s for s in wide if type(s) is not Dim]
        if len(set(known)) > 1:
            listed = " and ".join(str(show(s)) for s in shapes)
            raise explained(
                ValueError(
                    f"{name}: shapes {listed} do not broadcast: axis {axis} has sizes {' and '.join(map(str, sizes))}. "
                    "Sizes must be equal or 1."
                ),
                "shapes-and-do-not-broadcast",
            )
        out.append(known[0] if known else wide[0] if wide else 1)
    return tuple(out)


def whole(name: str, what: str, number: Any, least: int | None = None) -> Any:
    """A count or a place as a Python int, from an int, an integer of NumPy or an integer tensor of one element; an unknown size stays
    one. Raise where what an op was given as `what` is no integer, or less than `least`."""
    if type(number) is Dim:
        return number
    try:
        number = operator.index(number)
    except TypeError:
        raise TypeError(f"{name}: {what} must be an integer, but is {number!r} of type {type(number).__name__}.") from None
    if least is not None and number < least:
        bound = {0: "not be negative", 1: "be positive"}.get(least, f"be at least {least}")
        raise ValueError(f"{name}: {what} must {bound}, but is {number}.")
    return number


def wholes(name: str, what: str, value: Any, n: int, least: int | None = None) -> tuple[Any, ...]:
    """One integer for each of n axes, from one for all of them or from a sequence."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,) * n
    if len(values) != n:
        raise ValueError(f"{name}: {what} must be an integer or {n} of them, but is {value!r}.")
    return tuple(whole(name, what, v, least) for v in values)


class ShapesDiffer(ValueError):
    """Arguments of an op have other shapes than its kernels take. They may broadcast all the same, where the op is made of ops that
    broadcast."""


def require(name: str, what: str, spec: Spec | None, shape: Sequence[Any], dtype: str | None = None) -> None:
    """Raise unless the tensor that an op was given as `what` has this shape, and this dtype if one is named. None is no tensor:
    what may be left out passes."""
    if spec is None:
        return
    if not compatible(spec.shape, shape):
        raise ShapesDiffer(f"{name}: {what} must have shape {show(shape)}, but has {show(spec.shape)}.")
    if dtype is not None and spec.dtype != dtype:
        raise TypeError(f"{name}: {what} must be {dtype}, but is {spec.dtype}. Convert it with ops.cast first.")


def require_float(name: str, what: str, spec: Spec) -> None:
    """Raise unless what an op was given as `what` is a tensor of real floats."""
    if spec.dtype not in dtypes.FLOATS:
        raise TypeError(f"{name}: {what} must be a float tensor, but is {spec.dtype}. Convert it with ops.cast first.")


def require_elements(name: str, shape: Sequence[Size], axes: Iterable[int]) -> None:
    """Raise where there is nothing along some of the (normalized) axes."""
    if 0 in (shape[a] for a in axes):
        raise ValueError(f"{name}: shape {show(shape)} has no elements along axes {tuple(axes)} to choose from.")


def normalize_axis(name: str, axis: Any, ndim: int) -> int:
    """A possibly negative axis -> 0 <= axis < ndim."""
    if type(axis) is not int:
        axis = whole(name, "an axis", axis)
    if not -ndim <= axis < ndim:
        raise ValueError(
            f"{name}: axis {axis} is out of range for a tensor of {ndim} dimensions (expected {-ndim} to {ndim - 1})."
        )
    return axis % ndim


def normalize_axes(name: str, axes: Any, ndim: int) -> tuple[int, ...]:
    """None (all), an int or a sequence -> a sorted tuple of distinct non-negative axes."""
    if axes is None:
        return tuple(range(ndim))
    axes = tuple(axes) if hasattr(axes, "__iter__") and getattr(axes, "ndim", True) else (axes,)
    out = tuple(sorted(normalize_axis(name, a, ndim) for a in axes))
    if len(set(out)) != len(out):
        raise ValueError(f"{name}: axis {axes} names the same axis twice.")
    return out


def reduced(shape: Sequence[Size], axes: Sequence[int], keepdims: bool) -> tuple[Size, ...]:
    """The shape after reducing over (normalized) axes."""
    if keepdims:
        return tuple(1 if i in axes else s for i, s in enumerate(shape))
    return tuple(s for i, s in enumerate(shape) if i not in axes)


# ---- windows: convolution and pooling ----------------------------------------------------------------------------


def window_padding(padding: Padding, axis: int, size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) zeros along one spatial axis of known size. `padding` is "valid", "same" or one pair per axis."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
        return total // 2, total - total // 2
    return padding[axis]  # type: ignore[return-value]  # there are no other names


def window_output(padding: Padding, axis: int, size: Any, window: int, stride: int, dilation: int = 1) -> Any:
    """Number of window positions along one spatial axis; `size` may be unknown."""
    if padding == "same":
        return ceil_div(size, stride)
    before, after = window_padding(padding, axis, size, window, stride, dilation)
    return (size + (before + after - (window - 1) * dilation - 1)) // stride + 1


def ceil_div(a: Any, b: Any) -> Any:
    """Ceiling of a / b for sizes known or not."""
    return -(-a // b) if type(a) is not Dim else Dim(made_by=(ceil_div, (a, b)))
