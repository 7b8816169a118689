"""Products and sums of bfloat16 that are cast to float32 at once, as gradients of weights are: left in float32, unrounded.

Not a pattern: that looks from a call to what makes its arguments, and here all that is done with a result decides."""

from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.tensor import Value
from mlkit.primitives.elementwise import cast
from mlkit.primitives.fused.widening import conv_kernel_wide, matmul_wide, sum_wide
from mlkit.primitives.shape import reshape


def keep_wide(graph: Graph, target: Target) -> Graph:
    """The graph with such an op and the casts behind it (perhaps of its result in another shape) as one call."""
    graph = prune(graph)
    narrow = any("wide" in call.op.variants and call.outs[0].dtype == "bfloat16" for call in graph.calls)
    if not narrow or not all(map(target.runs, (matmul_wide, conv_kernel_wide, sum_wide))):
        return graph
    return _KeepWide(graph).run()


class _KeepWide(Rewriter):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.users: dict[int, list[Call]] = {}  # id of a Value -> the calls that take it
        for c in graph.calls:
            for a in c.args:
                self.users.setdefault(id(a), []).append(c)
        self.returned = {id(v) for v in graph.outputs}

    def _rule(self, call: Call) -> Any:
        x = call.args[0] if call.args else None
        wide = call.op.variants.get("wide")
        if wide is not None and all(v.dtype == "bfloat16" and self._is_cast(v) for v in call.outs):
            return self.add(wide, call.args, call.params)
        if type(x) is Value and call.op is reshape and x.dtype != call.outs[0].dtype:
            return self.add(call.op, call.args, call.params)
        if type(x) is Value and call.op is cast and x.dtype == call.params["dtype"]:
            return x

    def _is_cast(self, v: Value) -> bool:
        """Whether all that is done with a Value is to cast it to float32."""
        users = self.users.get(id(v), ())
        return id(v) not in self.returned and bool(users) and all(map(self._casts, users))

    def _casts(self, call: Call) -> bool:
        if call.op is reshape:
            return self._is_cast(call.outs[0])
        return call.op is cast and call.params["dtype"] == "float32"


PASS = Pass("keep_wide", keep_wide)
