"""Python's operators for Tensor, Variable and KerasTensor: each is a function of `mlkit.ops`."""

from mlkit.core.keras_tensor import KerasTensor
from mlkit.core.tensor import Tensor
from mlkit.core.variable import Variable

_BINARY = dict(
    add="add", sub="subtract", mul="multiply", truediv="true_divide", floordiv="floor_divide", mod="mod", pow="power",
    matmul="matmul", and_="bitwise_and", or_="bitwise_or", xor="bitwise_xor", lshift="bitwise_left_shift", rshift="bitwise_right_shift",
)  # fmt: skip
_COMPARISON = dict(eq="equal", ne="not_equal", lt="less", le="less_equal", gt="greater", ge="greater_equal")
_UNARY = dict(neg="negative", abs="absolute", invert="bitwise_invert")


def _forward(function):
    def method(self, other):
        if other is None or isinstance(other, str):
            return NotImplemented
        return function(self, other)

    return method


def _backward(function):
    return lambda self, other: function(other, self)


def install(ops):
    """Give the three classes the operators, taken from the namespace of public functions."""
    for cls in (Tensor, Variable, KerasTensor):
        for name, public in _BINARY.items():
            function = getattr(ops, public)
            setattr(cls, f"__{name.rstrip('_')}__", _forward(function))
            setattr(cls, f"__r{name.rstrip('_')}__", _backward(function))
        for name, public in _COMPARISON.items():
            setattr(cls, f"__{name}__", _forward(getattr(ops, public)))
        for name, public in _UNARY.items():
            function = getattr(ops, public)
            setattr(cls, f"__{name}__", lambda self, function=function: function(self))
        cls.__pos__ = lambda self: self
        cls.__round__ = lambda self, ndigits=None: ops.round(self, decimals=ndigits or 0)
        cls.__getitem__ = lambda self, key: ops.get_item(self, key)
    for cls in (Tensor, Variable):
        cls.__iter__ = _iterate
    for cls in (Tensor, KerasTensor):
        cls.T = property(lambda self: ops.transpose(self))
        cls.reshape = lambda self, *shape: ops.reshape(self, shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)
        cls.squeeze = lambda self, axis=None: ops.squeeze(self, axis)


def _iterate(self):
    if not self.shape:
        raise TypeError("iteration over a tensor without dimensions.")
    return (self[i] for i in range(self.shape[0]))
