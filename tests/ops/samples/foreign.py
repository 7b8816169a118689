"""Functions of other libraries. Here the other library is NumPy, with gradients found by ours."""

import numpy as np

from mlkit.core import dtypes
from mlkit.core.autograd import vjp_of
from mlkit.core.backend import using
from mlkit.core.interpreter import EAGER
from mlkit.core.spec import Spec
from mlkit.core.state import swapped
from mlkit.core.tensor import from_numpy
from mlkit.primitives.foreign import ForeignFunction
from tests.ops.sample import P, f, i


class Foreign(ForeignFunction):
    """fn(*tensors) -> tuple of tensors, of which a graph sees nothing."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def run(self, *arrays):
        with using("native"), swapped(top=EAGER):
            return [t.numpy() for t in self.fn(*map(from_numpy, arrays))]

    def shapes(self, *specs):
        ones = (np.ones(s.shape, dtypes.as_numpy(s.dtype)) for s in specs)
        return tuple(Spec(a.shape, dtypes.name_of(a.dtype)) for a in self.run(*ones))

    def make_pullback(self, wanted, given):
        n = len(wanted)

        def pullback(*args):
            seeds = iter(args[n:])
            found = vjp_of(self.fn, args[:n], tuple(next(seeds) if is_given else None for is_given in given))
            return tuple(x * 0 if g is None else g for g, x, w in zip(found, args, wanted) if w)

        return Foreign(pullback)


PRODUCT = Foreign(lambda x, y: (x * y, x + y))
TAKEN = Foreign(lambda x, index: (x * x, index + 1))

SAMPLES = [
    P("foreign_call", f(2, 3), f(2, 3), function=PRODUCT),
    P("foreign_call", f(4, 3), i(0, 4, 4), function=TAKEN),
]
