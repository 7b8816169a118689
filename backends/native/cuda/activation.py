"""Rows for activations and masks that are formulas: each is a chain of one op, for which `expressions` has the text."""

import functools

from mlkit.backends.native import tiled_chain
from mlkit.backends.native.cuda.row import FLOATS
from mlkit.compiler.chain import Chain
from mlkit.core import dtypes
from mlkit.core.graph import spec_of
from mlkit.primitives.fused.activation import gelu, gelu_grad, relu6_grad, relu_grad, silu, silu_grad, softplus
from mlkit.primitives.fused.mask import masked_scale

OPS = silu, silu_grad, gelu, gelu_grad, softplus, relu_grad, relu6_grad, masked_scale


def rows(device):
    return [Activation(device, op) for op in OPS]


class Activation:
    launches = 1

    def __init__(self, device, op):
        self.device, self.op, self.name = device, op, op.name

    def accepts(self, *args, **params):
        return dtypes.name_of(args[0].dtype) in FLOATS and 0 not in args[0].shape

    def as_chain(self, args, params):
        return _chain(self.op, len(args), tuple(params.items()))

    def __call__(self, *args, **params):
        out = self.device.xp.empty(args[0].shape, args[0].dtype)
        self._run(tuple(map(spec_of, args)), tuple(params.items()))(*args, out=out)
        return out

    @functools.lru_cache(64)  # noqa: B019  # rows live as long as their device
    def _run(self, specs, params):
        chain = tiled_chain.in_single(_chain(self.op, len(specs), params), specs)
        return self.device.chain(chain, specs, self.device.backend.elementwise_out)


@functools.cache
def _chain(op, operands, params):
    return Chain(operands, [(op, tuple(range(operands)), dict(params))], [operands])
