"""Variable: the state of layers, optimizers, metrics and random generators."""

from typing import Any

import numpy as np

from mlkit.core import dtypes, names
from mlkit.core.interpreter import outside_trace
from mlkit.core.mesh import TensorLayout
from mlkit.core.spec import compatible, show
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.core.typing import DType, Operators, Shape, TensorLike
from mlkit.core.variable import BaseVariable, alone, value_of
from mlkit.objects import registry
from mlkit.primitives.convert import cast, convert_to_tensor

_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")


class Variable(BaseVariable, Operators[Tensor]):
    """A tensor that can be assigned.

    Args:
        initializer: the first value (array, tensor, number), or a callable ``(shape, dtype=...) -> tensor`` or the name of an
            initializer, which need `shape`.
        trainable: whether training changes it; may be changed at any time.
        autocast: whether a float value is read in a layer's compute dtype (mixed precision).
        aggregation, synchronization: kept for distributed training.
        layout: how the values lie on several devices, a `mlkit.distribution.TensorLayout`; that which the distribution in force
            has for it by default.
        shape: of the value, where `initializer` makes it.
        dtype: name of the dtype; by default that of the value, or floatx.
        name: of the variable, the last part of its path.

    >>> import mlkit
    >>> v = mlkit.Variable([1.0, 2.0], name="v")
    >>> v.assign_add([1.0, 1.0]).numpy()
    array([2., 3.], dtype=float32)
    """

    __array_priority__ = 100

    def __init__(
        self,
        initializer: Any,
        shape: Shape | None = None,
        dtype: DType | None = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str = "auto",
        name: str | None = None,
        layout: Any = None,
        **kwargs: Any,
    ):
        if kwargs:
            raise ValueError(f"Variable: unknown arguments {sorted(kwargs)}.")
        self.name = name or names.auto_name(type(self).__name__)
        if not isinstance(self.name, str) or "/" in self.name:
            raise ValueError(f"Variable: `name` must be a string without '/', but got {self.name!r}.")
        if aggregation not in _AGGREGATIONS:
            raise ValueError(f"Variable: `aggregation` must be one of {_AGGREGATIONS}, but got {aggregation!r}.")
        scope = names.current_path()
        self.path = f"{scope}/{self.name}" if scope else self.name
        self.autocast = bool(autocast)
        self.aggregation, self.synchronization = aggregation or "none", synchronization
        self._regularizer = self._constraint = None
        self._overwrite_with_gradient = False
        with outside_trace():
            super().__init__(_initial_value(initializer, shape, dtype, self.path), trainable)
        self._lay_out(layout)

    def _lay_out(self, layout: Any) -> None:
        """Have the values lie so from now on; None: as the distribution in force has it."""
        if layout is None and state.distribution is not None:
            layout = state.distribution.get_variable_layout(self)
        if layout is not None:
            if not isinstance(layout, TensorLayout):
                raise TypeError(
                    f"Variable {self.path!r}: `layout` must be a mlkit.distribution.TensorLayout or None, but got {layout!r}."
                )
            layout.check(self.shape, f"Variable {self.path!r}")
            with outside_trace():
                self._value = Tensor(state.backend.place(self._value.data, layout), self._value.node)
        elif self._layout is not None:  # back to one device
            self._value = Tensor(state.backend.adopt(self._value.data), self._value.node)
        self._layout = layout

    def __setstate__(self, own: dict[str, Any]) -> None:
        super().__setstate__(own)
        self._lay_out(None)

    @property
    def regularizer(self) -> Any:
        """Callable value -> scalar penalty added to the training loss, or None."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Any) -> None:
        if value is not None and not callable(value):
            raise ValueError(f"Variable {self.path!r}: `regularizer` must be a Regularizer or None, but got {value!r}.")
        self._regularizer = value

    @property
    def constraint(self) -> Any:
        """Callable value -> value applied after each optimizer update, or None."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Any) -> None:
        if value is not None and not callable(value):
            raise ValueError(f"Variable {self.path!r}: `constraint` must be a Constraint or None, but got {value!r}.")
        self._constraint = value

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether an optimizer step replaces the value with the gradient."""
        return self._overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"Variable {self.path!r}: `overwrite_with_gradient` must be True or False, but got {value!r}.")
        self._overwrite_with_gradient = value

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def dtype(self) -> str:
        """Name of the dtype it is read in: inside a layer under mixed precision the compute dtype."""
        own = self._value.dtype
        return state.call.autocast if self.autocast and state.call.autocast and dtypes.is_float(own) else own

    @property
    def ndim(self) -> int:
        return len(self._value.shape)

    @property
    def value(self) -> Tensor:
        """The current value, a Tensor."""
        t = self.tracked_value()
        wanted = state.call.autocast
        return (
            t if wanted is None or not self.autocast or t.dtype == wanted or not dtypes.is_float(t.dtype) else cast(t, wanted)
        )

    def numpy(self) -> np.ndarray:
        """A copy of the value as a NumPy array."""
        return self._value.numpy().copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._value.__array__(dtype, copy)

    def assign(self, value: TensorLike) -> "Variable":
        """Set the value; shape must fit, the dtype is converted. Returns the variable."""
        t = convert_to_tensor(value, dtype=self._value.dtype)
        if not compatible(t.shape, self.shape):
            raise ValueError(
                f"Variable {self.path!r} has shape {self.shape} and cannot be assigned a value of shape {show(t.shape)}."
            )
        self.write(t)
        return self

    def assign_add(self, value: TensorLike) -> "Variable":
        """Add to the value. Returns the variable."""
        value = value_of(value)
        with alone([self]):
            return self.assign(self.tracked_value() + value)

    def assign_sub(self, value: TensorLike) -> "Variable":
        """Subtract from the value. Returns the variable."""
        value = value_of(value)
        with alone([self]):
            return self.assign(self.tracked_value() - value)

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self._value.dtype}>\n{self._value.numpy()}"

    def __len__(self) -> int:
        return len(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        raise TypeError(
            f"Variable {self.path!r} cannot be used as a condition. Compare with None to ask whether there is one, "
            "or take `bool(variable.value)` of a scalar."
        )


def _initial_value(initializer: Any, shape: Shape | None, dtype: DType | None, path: str) -> Tensor:
    if isinstance(initializer, str):
        initializer = registry.get("initializers", initializer)
    if callable(initializer):
        if shape is None:
            raise ValueError(f"Variable {path!r}: a callable `initializer` needs `shape`.")
        if any(not isinstance(s, (int, np.integer)) or s < 0 for s in shape):
            raise ValueError(
                f"Variable {path!r}: every size of `shape` must be a known non-negative integer, but got {show(shape)}."
            )
        dtype = dtypes.standardize_dtype(dtype)
        if state.variable_hook is not None:
            initializer = state.variable_hook(initializer, tuple(shape), dtype, path)
        value = initializer(tuple(shape), dtype=dtype)
        made = type(value) is Tensor  # nobody can write to a tensor's memory: no copy is needed, as for users' arrays
        value = convert_to_tensor(value)
    else:
        made = False
        value = convert_to_tensor(value_of(initializer), dtype=dtype)
        if shape is not None and tuple(shape) != value.shape:
            raise ValueError(f"Variable {path!r}: the value has shape {value.shape}, but `shape` is {tuple(shape)}.")
    if not value.is_concrete:
        raise ValueError(
            f"Variable {path!r}: its first value is computed in the function that is being compiled (or in a model under "
            "construction), so there is none yet. Make the variable before, outside of the function, and assign it there."
        )
    if dtype is not None and value.dtype != dtypes.standardize_dtype(dtype):
        value = cast(value, dtype)
    return value if made else Tensor(state.backend.own(value.data))


class AutocastScope:
    """A block in which float variables are read in `dtype` (None: in their own)."""

    def __init__(self, dtype: str | None) -> None:
        self.dtype = dtype

    def __enter__(self) -> "AutocastScope":
        self._outer = state.call
        state.call = self._outer.plain()
        state.call.autocast = self.dtype
        return self

    def __exit__(self, *_: Any) -> None:
        state.call = self._outer
