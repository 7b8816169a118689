"""Layers that find whole numbers for values on the host: how they run within a graph."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.core.spec import Spec
from mlkit.core.tensor import Symbol, Tensor, Value
from mlkit.primitives.foreign import ForeignFunction, call_foreign


class HostNumbers(ForeignFunction):
    """Whole numbers of the shape of the arguments, which have one shape: find(*arrays) -> array of int64."""

    def __init__(self, find: Callable[..., np.ndarray]):
        super().__init__()
        self.find = find

    def run(self, *arrays: Any) -> list[np.ndarray]:
        return [self.find(*arrays)]

    def shapes(self, *specs: Spec) -> tuple[Spec, ...]:
        return (Spec(specs[0].shape, "int64"),)

    infer_unknown = shapes

    def make_pullback(self, wanted: tuple[bool, ...], given: tuple[bool, ...]) -> ForeignFunction:
        raise NotImplementedError("whole numbers have no gradients")

    def __call__(self, *tensors: Tensor) -> Tensor:
        """A tensor of the graph that is being made."""
        return call_foreign(self, tensors)[0]


def is_symbolic(x: Any) -> bool:
    """Whether it stands for a tensor of a graph or a model under construction, and has no value."""
    return isinstance(x, Symbol) or (type(x) is Tensor and type(x.data) in (Spec, Value))
