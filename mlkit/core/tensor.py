"""Tensor: the handle users and ops pass around.

Its `data` is one of four things, and all know their shape and dtype: an array of the backend (a value; never a scalar of NumPy), a
`Value` of a graph under construction (staged), a `Spec` (known in kind only), or what an interpreter has `Wrapped`.
"""

from typing import Any, NoReturn

import numpy as np

from mlkit.core import dtypes
from mlkit.core.messages import explained
from mlkit.core.spec import Spec, size_of
from mlkit.core.state import state
from mlkit.core.typing import Methods


class Tensor(Methods["Tensor"]):
    """An n-dimensional array of one dtype. Immutable; made by `mlkit.ops.convert_to_tensor` and by every op.

    All Python operators and NumPy indexing work; they are attached by `mlkit.ops.operators`.

    Args:
        data: what the backend holds of it: a NumPy array of the shape, an array of a device, or a `Spec` where a graph is
            traced.
        node: its place in the records of a `GradientTape`; None outside of one.
        slot: which output of that record it is.
    """

    __slots__ = ("data", "node", "slot", "_keras_mask", "__weakref__")
    _keras_mask: Any
    __array_priority__ = 100  # NumPy arrays on the left leave the operator to us

    def __init__(self, data: Any, node: int | None = None, slot: int = 0):
        self.data = data
        self.node = node  # number of the record that made it, by which gradient tapes know it; None if none follows it
        self.slot = slot  # which of the record's outputs it is

    @property
    def shape(self) -> tuple[Any, ...]:
        """Tuple of sizes. While a layer is traced with unknown sizes some are `Dim` objects, which can be computed with."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        return len(self.data.shape)

    @property
    def dtype(self) -> str:
        """Name of the dtype, for example ``"float32"``."""
        d = self.data.dtype
        return d if type(d) is str else dtypes.name_of(d)

    @property
    def spec(self) -> Spec:
        d = self.data
        return d if type(d) is Spec else d.spec if isinstance(d, (Value, Wrapped)) else Spec(d.shape, self.dtype)

    @property
    def size(self) -> Any:
        """Number of elements."""
        return size_of(self.data.shape)

    @property
    def is_concrete(self) -> bool:
        """Whether it holds numbers (not a symbol of a graph or of a model under construction)."""
        return not isinstance(self.data, (Spec, Value, Wrapped))

    @property
    def device(self) -> str | None:
        """Name of the device that holds it, for example ``"cpu:0"``."""
        return state.backend.device_of(self._array()) if self.is_concrete else state.device

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array, which must not be written: a read-only view where the backend allows."""
        return state.backend.to_numpy(self._array())

    def _array(self) -> Any:
        if not self.is_concrete:
            raise explained(
                TypeError(
                    f"{self!r} has no value: it stands for a tensor of a graph or of a model under construction, so it cannot be "
                    "turned into a NumPy array, a Python number or a condition. Use ops (ops.cond, ops.where), or run eagerly "
                    "(run_eagerly=True)."
                ),
                "has-no-value-it-stands-for-a-tensor-of-a-graph",
            )
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """NumPy's protocol. copy: True for memory of the caller's own, False to raise where a copy is needed, None for a view where
        one will do."""
        a = self.numpy()
        if dtype is None or a.dtype == dtype:
            return np.array(a) if copy else a
        if copy is False:
            raise ValueError(f"A tensor of {self.dtype} cannot be an array of {np.dtype(dtype)} without a copy (copy=False).")
        return a.astype(dtype)

    def __dlpack__(self, **kwargs: Any) -> Any:
        """The value without a copy for another library; to be read only, for tensors do not change."""
        return self._exportable().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._exportable().__dlpack_device__()

    def _exportable(self) -> Any:
        return state.backend.export(self._array())

    def item(self) -> Any:
        """The single element as a Python number."""
        array = self.numpy()
        if array.size != 1:
            raise ValueError(
                f"expected a tensor of one element, as a number or a condition, but this has shape {self.shape}. Reduce it, for "
                "example with ops.all, ops.any, ops.sum or ops.mean."
            )
        return array.item()

    def tolist(self) -> Any:
        return self.numpy().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return self.numpy().__index__()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.is_concrete and self.ndim == 0 else str(self), spec)

    def __len__(self) -> int:
        if not self.data.shape:
            raise TypeError("len() of a tensor without dimensions.")
        return self.data.shape[0]

    def __repr__(self) -> str:
        if not self.is_concrete:
            return f"<Tensor {self.spec}>"
        text = np.array2string(self.numpy(), threshold=40)
        return f"<Tensor {self.spec}\n{text}>" if self.ndim else f"<Tensor {self.spec} {text}>"

    def __copy__(self) -> "Tensor":
        return self

    def __deepcopy__(self, memo: dict[str, Any]) -> "Tensor":
        return Tensor(self.data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (from_numpy, (self.numpy(),)) if self.is_concrete else (Tensor, (self.spec,))

    __hash__ = object.__hash__


def as_arrays(result: Any) -> Any:
    """What a kernel returned (an array or a tuple of them) as arrays: NumPy gives scalars where there are no dimensions."""
    if type(result) is tuple:
        return tuple(map(as_arrays, result))
    return np.asarray(result) if isinstance(result, np.generic) else result


def from_numpy(array: np.ndarray) -> Tensor:
    """A copy of an array of NumPy, or of a scalar of it, as a Tensor of the same dtype."""
    return Tensor(state.backend.asarray(array, dtypes.name_of(array.dtype)))


class Value:
    """A tensor of a graph: what a node returns, or an input. Identity is its name."""

    __slots__ = ("spec", "shape", "dtype")

    def __init__(self, spec: Spec):
        self.spec, self.shape, self.dtype = spec, spec.shape, spec.dtype

    def __repr__(self) -> str:
        return f"<Value {self.spec}>"


class Wrapped:
    """What the data of a tensor is where an interpreter keeps more about it: it has the spec that the program sees."""

    __slots__ = ("spec",)
    spec: Spec

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.spec.shape

    @property
    def dtype(self) -> str:
        return self.spec.dtype


class Symbol:
    """What stands for a tensor of a model under construction: it has a `spec` and never a value."""

    def no_value(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: here a value was asked for."""
        raise explained(
            TypeError(
                "A KerasTensor is symbolic: it stands for an input or result of a model under construction and has no value, so "
                "NumPy functions, Python conversions and conditions cannot use it. Use functions of mlkit.ops, or put the "
                "computation into a layer's call()."
            ),
            "a-kerastensor-is-symbolic",
        )

    __array__ = __float__ = __int__ = __index__ = __bool__ = __iter__ = __len__ = no_value
    __hash__ = object.__hash__
