"""Fusion of matrix products and convolutions with what follows them: a bias, a tensor added, an activation."""

from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern, replaced
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.dtypes import FLOATS
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.elementwise import add
from mlkit.primitives.fused.epilogue import act_of, conv_bias_act, matmul_bias_act
from mlkit.primitives.linear import matmul
from mlkit.primitives.window import conv

_BARE, _FUSED = (matmul, conv), (matmul_bias_act, conv_bias_act)
_PRODUCT = Pattern((*_BARE, *_FUSED), call="product", alone=True)
_SUM = Pattern(add, _PRODUCT, "other")
_ACTIVATION = Pattern(lambda op: op.traits.epilogues, _PRODUCT)


def fuse_products(graph: Graph, target: Target) -> Graph:
    """The graph with product + bias + tensor + activation as one call, where nobody else needs what lies between."""
    if not all(map(target.runs, _FUSED)):
        return graph
    return _Fusion(prune(graph)).run()


class _Fusion(Rewriter):
    def _rule(self, call: Call) -> Any:
        if call.outs[0].dtype not in FLOATS:
            return None
        out = replaced(self, call, _SUM, _added) if call.op is add else replaced(self, call, _ACTIVATION, _activated)
        if out is not None:
            self.uses[id(out)] = self.uses.get(id(call.outs[0]), 0)
        return out


def _added(rewriter: Rewriter, call: Call, product: Call, other: Value) -> Value | None:
    """The sum with a bias or, as residual connections have many, with a tensor of the same shape."""
    y = product.outs[0]
    _, _, bias, residual = (*product.args, None, None)[:4]
    if y.shape != call.outs[0].shape or product.params.get("act") or residual is not None:
        return None
    if product.op in _BARE and _is_bias(other, y):
        return _fused(rewriter, product, other)
    if type(other) is Value and other.shape == y.shape and other is not y:
        return _fused(rewriter, product, bias, other)


def _activated(rewriter: Rewriter, call: Call, product: Call) -> Value | None:
    act = act_of(call)
    if act is not None and not product.params.get("act"):
        return _fused(rewriter, product, *(product.args[2:] or (None,)), act=act)


def _fused(rewriter: Rewriter, product: Call, *added: Any, act: str | None = None) -> Value:
    op = product.op.variants.get("bias_act", product.op)
    return rewriter.add(op, (*product.args[:2], *added), dict(product.params, act=act))


def _is_bias(bias: Value, y: Value) -> bool:
    return hasattr(bias, "shape") and bias.shape == y.shape[-1:] and len(y.shape) > 1 and bias.dtype == y.dtype


PASS = Pass("fuse_products", fuse_products, needs=(*_BARE, *_FUSED))
