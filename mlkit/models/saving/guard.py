"""While a file is read it cannot make the model take more memory than the weights in it need."""

import contextlib
import math

from mlkit.core import dtypes
from mlkit.core.op import OPS
from mlkit.core.spec import Spec
from mlkit.core.state import state, swapped
from mlkit.objects.errors import ModelFileError
from mlkit.ops import zeros

SMALL = 4 * 2**20  # for variables that files do not hold: seeds, counters of metrics
CONSTANT = 64 * 2**20  # for constants that layers compute: an attention mask of 4096 x 4096 is 16 MB


@contextlib.contextmanager
def memory_budget(nbytes):
    """A block in which new variables may take `nbytes` (and SMALL) together, and the result of any op `nbytes` and CONSTANT.

    Their sizes are compared before anything is allocated. Random initializers are put off: the values will come from the file.
    """
    left = nbytes + SMALL

    def new_variable(initializer, shape, dtype, path: str):
        nonlocal left
        need = math.prod(shape) * dtypes.as_numpy(dtype).itemsize
        left -= need
        if left < 0:
            raise ModelFileError(
                "",
                "",
                f"by its config the variable {path!r} of shape {shape} brings the model above the {nbytes:,} bytes of "
                "weights stored.",
            )
        return _zeros if hasattr(initializer, "seed") else initializer

    with swapped(variable_hook=new_variable, kernels=_WatchedKernels(state.kernels, nbytes + CONSTANT)):
        yield


def _zeros(shape, dtype=None):
    return zeros(shape, dtype=dtype)


class _WatchedKernels:
    """A backend's kernels that refuse to make a result larger than `limit` bytes."""

    def __init__(self, kernels, limit):
        self._kernels, self._limit = kernels, limit

    def __contains__(self, name):
        return name in self._kernels

    def __getitem__(self, name):
        return self._watched(name, self._kernels[name])

    def get(self, name, default=None):
        kernel = self._kernels.get(name)
        return default if kernel is None else self._watched(name, kernel)

    def _watched(self, name, kernel):
        def run(*data, **params):
            specs = OPS[name].spec(*map(_spec, data), **params)
            for spec in specs if type(specs) is tuple else (specs,):
                need = math.prod(spec.shape) * dtypes.as_numpy(spec.dtype).itemsize
                if need > self._limit:
                    raise ModelFileError(
                        "", "", f"by its config the model computes a constant of shape {spec.shape}, {need:,} bytes."
                    )
            return kernel(*data, **params)

        return run


def _spec(a):
    return Spec(a.shape, dtypes.name_of(a.dtype)) if hasattr(a, "shape") else a
