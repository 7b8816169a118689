"""Fusion of matrix products and convolutions with what follows them: a bias, a tensor added, an activation."""

from mlkit.compiler.contract import Pass
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.dtypes import FLOATS
from mlkit.core.tensor import Value
from mlkit.primitives.elementwise import add
from mlkit.primitives.fused.epilogue import act_of, conv_bias_act, matmul_bias_act
from mlkit.primitives.linear import matmul
from mlkit.primitives.window import conv

_BARE, _FUSED = (matmul, conv), (matmul_bias_act, conv_bias_act)


def fuse_products(graph, target):
    """The graph with product + bias + tensor + activation as one call, where nobody else needs what lies between."""
    if not all(map(target.runs, _FUSED)):
        return graph
    return _Fusion(prune(graph)).run()


class _Fusion(Rewriter):
    def _rule(self, call):
        if call.outs[0].dtype not in FLOATS:
            return None
        if call.op is add:
            for y, bias in (call.args, call.args[::-1]):
                product = self._before(y, call, _BARE)
                if product and _is_bias(bias, y):
                    return self._fused(call, product, (*product.args, bias), dict(product.params, act=None))
            return self._added(call)
        elif call.op.traits.epilogues:
            return self._activated(call)

    def _added(self, call):
        """Sum with a tensor of the same shape, of which residual connections have many."""
        for y, other in (call.args, call.args[::-1]):
            if type(other) is Value and other.shape == call.outs[0].shape and other is not y:
                bare = self._before(y, call, _BARE)
                if bare:
                    return self._fused(call, bare, (*bare.args, None, other), dict(bare.params, act=None))
                done = self._before(y, call, _FUSED)
                if done and done.params["act"] is None and len(done.args) == 3:
                    return self._fused(call, done, (*done.args, other), done.params)

    def _activated(self, call):
        act = act_of(call)
        bare = self._before(call.args[0], call, _BARE)
        if bare:
            return self._fused(call, bare, (*bare.args, None), dict(bare.params, act=act))
        done = self._before(call.args[0], call, _FUSED)
        if done and done.params["act"] is None:
            return self._fused(call, done, done.args, dict(done.params, act=act))

    def _before(self, x, call, ops):
        """The call of one of these ops that makes x and is needed for nothing else, or None."""
        maker = self.maker(x)
        if maker and maker.op in ops and self.uses.get(id(x)) == 1 and x.shape == call.outs[0].shape:
            return maker
        return None

    def _fused(self, call, product, args, params):
        out = self.add(product.op.variants.get("bias_act", product.op), args, params)
        self.uses[id(out)] = self.uses.get(id(call.outs[0]), 0)
        return out


def _is_bias(bias, y):
    return hasattr(bias, "shape") and bias.shape == y.shape[-1:] and len(y.shape) > 1 and bias.dtype == y.dtype


PASS = Pass("fuse_products", fuse_products, needs=(*_BARE, *_FUSED))
