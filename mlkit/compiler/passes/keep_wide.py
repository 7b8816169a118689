"""Products and sums of bfloat16 that are cast to float32 at once, as gradients of weights are: left in float32, unrounded."""

from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.op import OPS
from mlkit.core.tensor import Value

_WIDE = {name: f"{name}_wide" for name in ("matmul", "conv_kernel", "sum")}


def keep_wide(graph, kernels):
    """The graph with such an op and the casts behind it (perhaps of its result in another shape) as one call."""
    narrow = any(call.op.name in _WIDE and call.outs[0].dtype == "bfloat16" for call in graph.calls)
    if not narrow or not all(name in kernels for name in _WIDE.values()):
        return graph
    return _KeepWide(graph).run()


class _KeepWide(Rewriter):
    def __init__(self, graph):
        super().__init__(graph)
        self.users = {}  # id of a Value -> the calls that take it
        for c in graph.calls:
            for a in c.args:
                self.users.setdefault(id(a), []).append(c)
        self.returned = {id(v) for v in graph.outputs}

    def _rule(self, call):
        name, x = call.op.name, call.args[0] if call.args else None
        if name in _WIDE and all(v.dtype == "bfloat16" and self._is_cast(v) for v in call.outs):
            return self.add(OPS[_WIDE[name]], call.args, call.params)
        if type(x) is Value and name == "reshape" and x.dtype != call.outs[0].dtype:
            return self.add(call.op, call.args, call.params)
        if type(x) is Value and name == "cast" and x.dtype == call.params["dtype"]:
            return x

    def _is_cast(self, v):
        """Whether all that is done with a Value is to cast it to float32."""
        users = self.users.get(id(v), ())
        return id(v) not in self.returned and bool(users) and all(map(self._casts, users))

    def _casts(self, call):
        if call.op.name == "reshape":
            return self._is_cast(call.outs[0])
        return call.op.name == "cast" and call.params["dtype"] == "float32"
