"""Fusion of products with activations in training: the gradient of an activation behind the product that gives what it takes, and the
activation of a product that its gradient asks for again. Only where the target has a kernel for the very call."""

from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.pattern import Pattern
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.fused.epilogue import act_of, matmul_bias_act
from mlkit.primitives.fused.gradient_epilogue import act_of_gradient, conv_input_act_grad, matmul_act_grad, matmul_act_kept
from mlkit.primitives.linear import matmul
from mlkit.primitives.shape import transpose
from mlkit.primitives.window import conv_input

_PRODUCTS = {  # what stands for an activation's gradient behind a product -> that product
    matmul_act_grad: Pattern(matmul, "g", Pattern(transpose, "w", call="turned"), alone=True),
    conv_input_act_grad: Pattern(conv_input, "g", "w", call="product", alone=True),
}
_GRADIENTS = {op: Pattern(lambda op: op.base is not None, product, "kept") for op, product in _PRODUCTS.items()}


def fuse_gradients(graph: Graph, target: Target) -> Graph:
    """The graph with such calls as one."""
    if not any(map(target.runs, (matmul_act_grad, conv_input_act_grad, matmul_act_kept))):
        return graph
    return prune(_Fusion(prune(graph), target).run())


class _Fusion(Rewriter):
    def __init__(self, graph: Graph, target: Target) -> None:
        super().__init__(graph)
        self.target = target
        self.activations: dict[int, list[Call]] = {}  # id of a Value -> the activations of it that may be an epilogue
        for call in graph.calls:
            if call.op.traits.epilogues and act_of(call) is not None:
                self.activations.setdefault(id(call.args[0]), []).append(call)
        self.activated: dict[int, Value] = {}  # id of an activation's result in the old graph -> what stands for it

    def _rule(self, call: Call) -> Any:
        if call.outs and id(call.outs[0]) in self.activated:
            return self.activated[id(call.outs[0])]
        if call.op is matmul or (call.op is matmul_bias_act and len(call.args) == 3 and call.params["act"] is None):
            return self._kept(call)
        act = act_of_gradient(call)
        if act is None:
            return None
        ways = [(op, f) for op, pattern in _GRADIENTS.items() for f in pattern.matches(self, call)]
        return next((new for op, found in ways if (new := self._behind(op, act, **found)) is not None), None)

    def _behind(
        self, op: Any, act: str, g: Value, w: Value, kept: Value, turned: Any = None, product: Any = None
    ) -> Value | None:
        """The gradient of an activation with the product before it."""
        if turned is not None and (len(w.shape) != 2 or turned.params["perm"] != (1, 0)):
            return None
        return self._if_there_is_a_kernel(op, (g, w, kept), dict(product.params if product else {}, act=act))

    def _kept(self, call: Call) -> Value | None:
        """A product whose activation and whose own result are needed."""
        y = call.outs[0]
        activations = self.activations.get(id(y), ())
        if len(activations) != 1 or self.uses[id(y)] == 1:
            return None
        args = call.args if len(call.args) == 3 else (*call.args, None)
        found = self._if_there_is_a_kernel(matmul_act_kept, args, dict(act=act_of(activations[0])))
        if found is None:
            return None
        z, self.activated[id(activations[0].outs[0])] = found
        return z

    def _if_there_is_a_kernel(self, op: Any, args: Any, params: dict[str, Any]) -> Any:
        call = Call(op, args, params, ())
        return self.add(op, args, params) if self.target.runs(op) and not self.target.lacks(call) else None


PASS = Pass("fuse_gradients", fuse_gradients, needs=(matmul, matmul_bias_act, conv_input))
