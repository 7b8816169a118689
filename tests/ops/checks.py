"""What the one check of op samples is made of: calling a row, and comparing in the row's tolerance."""

import functools

import numpy as np

from mlkit import ops
from mlkit.core import dtypes, tree
from mlkit.core.spec import Dim, Spec
from mlkit.core.state import state
from mlkit.core.tensor import Tensor
from mlkit.ops.gradients import GradientTape
from mlkit.primitives.convert import as_tensor


def array_type():
    """That of all arrays of the backend in force."""
    return type(state.backend.asarray(np.zeros(1), "float32"))


def is_array(x):
    return isinstance(x, np.ndarray)


def is_float(x):
    """Whether a tensor, array or spec has a real float dtype."""
    return getattr(x, "dtype", None) is not None and str(x.dtype) in dtypes.FLOATS


class Call:
    """A row as a function of its arrays (a flat list), for one float dtype."""

    def __init__(self, row, dtype):
        self.row, self.structure = row, row.draw(dtype)
        self.leaves = tree.flatten(self.structure)
        self.places = [i for i, leaf in enumerate(self.leaves) if is_array(leaf)]
        self.arrays = [self.leaves[i] for i in self.places]

    def __call__(self, *tensors, function=None):
        """The row's result for tensors (or whatever its function takes) in place of the arrays."""
        leaves = list(self.leaves)
        for i, t in zip(self.places, tensors):
            leaves[i] = t
        args, kwargs = tree.pack_sequence_as(self.structure, leaves)
        return (function or self.row.function)(*args, **kwargs)

    def tensors(self):
        return [as_tensor(a) for a in self.arrays]

    @functools.cached_property
    def eager(self):
        """The result now, flat."""
        return flat(self(*self.tensors()))

    def flat_call(self, *tensors):
        """The tensors of the result, as a list."""
        return [t for t in flat(self(*tensors)) if type(t) is Tensor]


@functools.cache
def call_of(row, dtype="float32"):
    return Call(row, dtype)


def flat(result):
    return tree.flatten(result)


def host(x):
    """A result as NumPy, half floats widened."""
    x = np.asarray(x)
    return x.astype("float32") if str(x.dtype) in ("bfloat16", "float16") else x


def symbols(call, unknown):
    """Specs in place of the arrays. unknown: the leading size of the first array is the batch size, unknown wherever it
    leads."""
    lead = next((a.shape[0] for a in call.arrays if a.ndim), 1)
    batch = Dim() if unknown and lead > 1 else lead

    def symbol(a):
        shape = (batch, *a.shape[1:]) if a.ndim and a.shape[0] == lead else a.shape
        return Tensor(Spec(shape, dtypes.name_of(a.dtype)))

    return [symbol(a) for a in call.arrays]


def weights(outputs):
    """Fixed random weights that make a scalar of float outputs; None for the others."""
    rng = np.random.default_rng(1)
    return [rng.uniform(0.5, 1.5, o.shape).astype(str(o.dtype)) if is_float(o) else None for o in outputs]


def weighted_sum(outputs, ws):
    """The scalar whose gradient is checked."""
    total = None
    for o, w in zip(outputs, ws):
        if w is not None:
            term = ops.sum(o * as_tensor(w))
            total = term if total is None else total + term
    return total


def gradients(fn, tensors):
    """(value, gradients) of a scalar function with respect to the float ones of its tensors; None for the others."""
    places = [i for i, t in enumerate(tensors) if is_float(t)]
    tensors = [Tensor(t.data, t.node, t.slot) for t in tensors]
    with GradientTape() as tape:
        for i in places:
            tape.watch(tensors[i])
        value = fn(*tensors)
    found = iter(tape.gradient(value, [tensors[i] for i in places], unconnected_gradients="zero"))
    return value, [next(found) if i in places else None for i in range(len(tensors))]


def directional(fn, call, step=1e-5):
    """(slope by gradients, slope by central difference) of a scalar function along a fixed random direction."""
    rng = np.random.default_rng(2)
    tensors = call.tensors()
    ways = [rng.normal(size=a.shape) if is_float(a) else None for a in call.arrays]
    _, gs = gradients(fn, tensors)
    slope = sum(float(np.sum(g.numpy() * d)) for g, d in zip(gs, ways) if d is not None)

    def at(t):
        return float(fn(*(x if d is None else as_tensor(a + t * d) for x, a, d in zip(tensors, call.arrays, ways))))

    return slope, (at(step) - at(-step)) / (2 * step)
