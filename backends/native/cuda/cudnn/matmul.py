"""Products of matrices with what stands around them in networks: bias, something added, activation, and gradients of activations.

cuDNN compiles these engines, and what they save is passes of the result over memory. So they are for results that are large beside a
launch, of products that do not take much longer than such a pass: other ones are cuBLAS's, with a launch behind them. cuBLASLt, which has
such epilogues too, knows gelu by its approximation only, and of relu's gradient a mask of bits.
"""

import math
from typing import NamedTuple

from mlkit.backends.native.cuda.cudnn import activation
from mlkit.backends.native.cuda.cudnn.activation import ACTIVATIONS, activated, gradient_behind
from mlkit.backends.native.cuda.cudnn.draft import Layout, dense
from mlkit.backends.native.cuda.cudnn.row import CudnnRow
from mlkit.core import dtypes

LONGEST = 2048  # sums of more products take several times as long as a pass of their results over memory


def rows(device):
    return [Finished(device), Kept(device), Gradient(device)]


# ---- graphs ----------------------------------------------------------------------------------------------------------


class Product(NamedTuple):
    """Layouts. bias, residual: None where there is none."""

    x: Layout
    w: Layout
    bias: object
    residual: object
    y: Layout


def _finished(draft, of):
    found = draft.graph.matmul(draft.argument(of.x), draft.argument(of.w))
    if of.bias is not None:
        found = draft.graph.bias(found, draft.argument(of.bias))
    return found if of.residual is None else draft.graph.add(found, draft.argument(of.residual))


def forward(draft, of, act):
    """act: None for none."""
    found = _finished(draft, of)
    draft.result(activated(draft, found, act), of.y)


def forward_kept(draft, of, act):
    found = _finished(draft, of)
    draft.result(found, of.y)
    draft.result(activated(draft, found, act), of.y)


def gradient(draft, of, act):
    """of: with what is kept of the activation as `residual`."""
    found = draft.graph.matmul(draft.argument(of.x), draft.argument(of.w))
    draft.result(gradient_behind(draft, found, draft.argument(of.residual), act), of.y)


# ---- layouts ---------------------------------------------------------------------------------------------------------


def _as_rows(shape, dtype):
    """The layout of (..., columns) as one matrix."""
    return dense((1, math.prod(shape[:-1]), shape[-1]), dtype)


def _turned(layout):
    (one, rows, columns), (step, line, item) = layout.shape, layout.strides
    return Layout((one, columns, rows), (step, item, line), layout.dtype)


# ---- rows ------------------------------------------------------------------------------------------------------------


class _Way(NamedTuple):
    write: object
    values: tuple

    def find(self, plans):
        return plans.find(self.write, *self.values)


class _WithEpilogue(CudnnRow):
    """A row for a product (..., rows, sums) x (sums, columns), with an epilogue."""

    is_turned = False  # whether the second factor lies as (columns, sums)

    def fits(self, x, w, *rest, act, **params):
        if len(w.shape) != 2 or act not in (None, *ACTIVATIONS):
            return False
        columns = w.shape[0 if self.is_turned else 1]
        pays = math.prod(x.shape[:-1]) * columns >= activation.SMALLEST and x.shape[-1] <= LONGEST
        return pays and super().fits(x, w, *rest, act=act, **params)

    def product(self, x, w, bias=None, residual=None):
        dtype = dtypes.name_of(x.dtype)
        rows, kernel = _as_rows(x.shape, dtype), _as_rows(w.shape, dtype)
        kernel = _turned(kernel) if self.is_turned else kernel
        y = _as_rows((rows.shape[1], kernel.shape[2]), dtype)
        bias, residual = (None if a is None else _as_rows(a.shape, dtype) for a in (bias, residual))
        return Product(rows, kernel, bias, residual, y)

    def call(self, way, plan, args, outs, room, params):
        plan([*(a for a in args if a is not None), *outs], room.workspace)


class Finished(_WithEpilogue):
    name = "matmul_bias_act"

    def ways(self, x, w, bias, residual=None, *, act):
        yield _Way(forward, (self.product(x, w, bias, residual), act))


class Kept(_WithEpilogue):
    name = "matmul_act_kept"

    def ways(self, x, w, bias, *, act):
        yield _Way(forward_kept, (self.product(x, w, bias), act))

    def _results(self, args, params):
        return 2


class Gradient(_WithEpilogue):
    name, is_turned = "matmul_act_grad", True

    def ways(self, g, w, kept, *, act):
        yield _Way(gradient, (self.product(g, w, residual=kept), act))
