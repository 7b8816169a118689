"""Kernels for operands whose strides oneDNN does not take (repeated elements, say): these are copied first."""

import numpy as np

from mlkit.backends.native.onednn.kernel import padded
from mlkit.compiler.plan import Operand
from mlkit.core import dtypes
from mlkit.core.layout import is_contiguous, nbytes


def densified(build, operands, outs, params):
    """The kernel that `build` makes of dense operands, behind copies of those that are not; None if it declines all the same."""
    strided = {k for k, o in enumerate(operands) if hasattr(o, "shape") and not is_dense(o)}
    if not strided:
        return None
    dense = [Operand(o.shape, o.dtype) if k in strided else o for k, o in enumerate(operands)]
    kernel = build(dense, outs, **params)
    return kernel and Densified(kernel, operands, strided)


def is_dense(operand):
    """Whether elements lie one behind the other in row-major order."""
    return is_contiguous(operand.shape, operand.strides, dtypes.as_numpy(operand.dtype).itemsize)


class Densified:
    """A kernel and the numbers of the operands that are copied for it."""

    def __init__(self, kernel, operands, strided):
        self.kernel, self.operands = kernel, operands
        self.inplace = [(i, k) for i, k in kernel.inplace if k not in strided]
        self.primitives, self.workspace = list(kernel.primitives), padded(kernel.workspace)
        self.copies = {}  # number of an operand -> where in the workspace its copy lies
        for k in strided:
            self.copies[k] = self.workspace
            self.workspace += padded(nbytes(operands[k].shape, dtypes.as_numpy(operands[k].dtype).itemsize))

    def bind(self, arrays):
        """See `Kernel.bind`. The workspace has a fixed place."""
        *arrays, workspace = arrays
        waiting = [k for k, a in enumerate(arrays) if a is None and self._is_tensor(k)]
        copies = {k: self._view(k, workspace, offset) for k, offset in self.copies.items()}
        inner = [copies.get(k, a) for k, a in enumerate(arrays)]
        run_dense = self.kernel.bind([*inner, workspace[: self.kernel.workspace]] if self.kernel.workspace else inner)

        def run(*given):
            given = dict(zip(waiting, given))
            for k, copy in copies.items():
                source = arrays[k] if k not in given else self._view(k, given.pop(k), *self._place(k))
                np.copyto(copy, source)
            return run_dense(*given.values())

        return run

    def _is_tensor(self, k):
        return k >= len(self.operands) or hasattr(self.operands[k], "shape")

    def _place(self, k):
        return self.operands[k].offset, self.operands[k].strides

    def _view(self, k, memory, offset, strides=None):
        o = self.operands[k]
        return np.ndarray(o.shape, dtypes.as_numpy(o.dtype), memory, offset, strides)
