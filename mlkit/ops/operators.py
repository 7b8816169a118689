"""Python's operators for Tensor, Variable and KerasTensor: each is a function of `mlkit.ops`.

`mlkit` offers these classes from here, so that nobody meets one without its operators.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlkit.core.dtypes import NumberError
from mlkit.core.tensor import Tensor
from mlkit.objects.keras_tensor import KerasTensor
from mlkit.objects.variable import Variable

_BINARY = dict(
    add="add", sub="subtract", mul="multiply", truediv="true_divide", floordiv="floor_divide", mod="mod", pow="power",
    matmul="matmul", and_="bitwise_and", or_="bitwise_or", xor="bitwise_xor", lshift="bitwise_left_shift",
    rshift="bitwise_right_shift",
)  # fmt: skip
_COMPARISON = dict(eq="equal", ne="not_equal", lt="less", le="less_equal", gt="greater", ge="greater_equal")
# As in Keras: on variables and symbols these join conditions; on tensors they join bits.
_LOGICAL = dict(and_="logical_and", or_="logical_or", xor="logical_xor")
_UNARY = dict(neg="negative", abs="absolute", invert="bitwise_invert")


def _forward(function: Callable[..., Any], for_symbols: bool) -> Callable[..., Any]:
    """x + y. A Tensor leaves the operator to a KerasTensor on its right, which records it."""

    def method(self: Any, other: Any) -> Any:
        if type(other) is not Tensor and (other is None or isinstance(other, (str, bytes)) or _leaves(other, for_symbols)):
            return NotImplemented
        try:
            return function(self, other)
        except NumberError as error:
            error.named(function.__name__)
            raise

    return method


def _leaves(other: object, for_symbols: bool) -> bool:
    return isinstance(other, KerasTensor) and not for_symbols


def _backward(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        try:
            return function(other, self)
        except NumberError as error:
            error.named(function.__name__)
            raise

    return method


def install(plain: Mapping[str, Callable[..., Any]], recordable: Mapping[str, Callable[..., Any]]) -> None:
    """Give the classes their operators: Tensor and Variable the plain functions, KerasTensor those that record themselves."""
    for cls, functions in ((Tensor, plain), (Variable, plain), (KerasTensor, recordable)):
        for name, public in (_BINARY if cls is Tensor else _BINARY | _LOGICAL).items():
            function = functions[public]
            setattr(cls, f"__{name.rstrip('_')}__", _forward(function, cls is KerasTensor))
            setattr(cls, f"__r{name.rstrip('_')}__", _backward(function))
        for name, public in _COMPARISON.items():
            setattr(cls, f"__{name}__", _forward(functions[public], cls is KerasTensor))
        for name, public in _UNARY.items():
            setattr(cls, f"__{name}__", lambda self, function=functions[public]: function(self))
        cls.__pos__ = lambda self: self
        cls.__round__ = lambda self, ndigits=None, f=functions["round"]: f(self, decimals=ndigits or 0)
        cls.__getitem__ = lambda self, key, f=recordable["get_item"]: f(self, key)
    for cls in (Tensor, Variable):
        cls.__iter__ = _iterate
    for cls, functions in ((Tensor, plain), (KerasTensor, recordable)):
        cls.T = property(lambda self, f=functions["transpose"]: f(self))
        cls.reshape = lambda self, *shape, f=functions["reshape"]: f(self, shape[0] if _is_one_sequence(shape) else shape)
        cls.squeeze = lambda self, axis=None, f=functions["squeeze"]: f(self, axis)


def _is_one_sequence(shape: tuple[Any, ...]) -> bool:
    return len(shape) == 1 and isinstance(shape[0], (tuple, list))


def _iterate(self: Any) -> Iterator[Any]:
    if not self.shape:
        raise TypeError("iteration over a tensor without dimensions.")
    return (self[i] for i in range(self.shape[0]))
