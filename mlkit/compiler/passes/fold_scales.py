"""Folding: a product or convolution that is scaled and shifted by channel, as normalizations do in inference, is one with other
weights and another bias. Only where all of these are state that the graph does not change: they are then computed once.

Of bfloat16 a normalization makes float32, and of its result bfloat16. What is folded is computed in float32 too, before the weights are
rounded, so that the product is rounded once less.

Not a list of patterns: between a product of bfloat16 and the cast that ends it there may be any number of scales and shifts, each of
which must find the product that the one before has made."""

from collections.abc import Sequence
from typing import Any

from mlkit.compiler.contract import Pass, Target
from mlkit.compiler.passes.prune import prune
from mlkit.compiler.passes.rewrite import Rewriter
from mlkit.core.graph import Call, Graph
from mlkit.core.op import Op
from mlkit.core.tensor import Value
from mlkit.primitives.elementwise import add, cast, mul
from mlkit.primitives.linear import matmul
from mlkit.primitives.shape import reshape
from mlkit.primitives.window import conv

_PRODUCTS = (matmul, conv)
_NONE: tuple[Any, Any, Any] = (None, None, None)


def fold_scales(graph: Graph, target: Target | None = None) -> Graph:
    """The graph with scales by channel moved into weights, and shifts by channel joined with biases."""
    if not graph.unchanging():
        return graph
    return _Folding(prune(graph)).run()


class _Folding(Rewriter):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.steady = graph.unchanging()

    def keep(self, call: Call) -> None:
        super().keep(call)
        self._note_steady(call)

    def add(self, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Any:
        out = super().add(op, args, params)
        self._note_steady(self.out.calls[-1])
        return out

    def _note_steady(self, call: Call) -> None:
        if call.inputs and all(id(a) in self.steady for a in call.inputs):
            self.steady.update(map(id, call.outs))

    def _rule(self, call: Call) -> Any:
        if call.op is cast:
            return self._rounded(call)
        y, op, vector = self._affine(call) or _NONE
        made = self._alone(y)
        out = self._folded(op, made, vector) if made else None
        if out is not None:
            self.uses[id(out)] = self.uses.get(id(call.outs[0]), 0)
        return out

    def _rounded(self, call: Call) -> Any:
        """A bfloat16 product -> float32 -> scales and shifts -> bfloat16: without the casts."""
        y = call.args[0]
        steps: list[Any] = []
        if call.params["dtype"] != "bfloat16" or type(y) is not Value or y.dtype != "float32":
            return None
        while made := self._alone(y):
            if made.op is cast:
                break
            y, *step = self._affine(made) or (None,)
            steps.append(step)
        if not made or not steps or type(made.args[0]) is not Value or made.args[0].dtype != "bfloat16":
            return None
        y = made.args[0]
        for op, vector in reversed(steps):
            made = self._alone(y)
            y = self._folded(op, made, vector) if made else None
            if y is None:
                return None
            self.uses[id(y)] = 1
        self.uses[id(y)] = self.uses.get(id(call.outs[0]), 0)
        return y

    def _alone(self, y: Any) -> Call | None:
        """The call that makes a Value which is used once, or None."""
        return self.maker(y) if self.uses.get(id(y)) == 1 else None

    def _affine(self, call: Call) -> tuple[Any, Any, Any] | None:
        """(Value, `mul` or `add`, vector) that a call scales or shifts by channel, or None."""
        if call.op is not mul and call.op is not add:
            return None
        for y, v in (call.args, call.args[::-1]):
            vector = self._vector(v, call.outs[0])
            if vector is not None and type(y) is Value and y.shape == call.outs[0].shape:
                return y, call.op, vector

    def _folded(self, op: Op, made: Call, vector: Value) -> Any:
        return (self._scaled if op is mul else self._shifted)(made, vector)

    def _vector(self, v: Any, like: Value) -> Value | None:
        """An unchanging value that varies along the last axis of `like` only, as something that makes its vector; or None."""
        if type(v) is not Value or id(v) not in self.steady or len(like.shape) < 2:
            return None
        channels = like.shape[-1]
        is_vector = v.shape[-1:] == (channels,) and all(n == 1 for n in v.shape[:-1]) and len(v.shape) <= len(like.shape)
        return v if is_vector and v.dtype == like.dtype else None

    def _flat(self, v: Value) -> Any:
        """The vector of a value of shape (1, ..., channels)."""
        return v if len(v.shape) == 1 else self.add(reshape, (v,), dict(shape=v.shape[-1:]))

    def _joined(self, op: Op, a: Value, v: Value) -> Value:
        """An unchanging value times or plus a vector, in the dtype of the value: what bfloat16 was rounded from is taken as it was."""
        v = self._flat(v)
        if a.dtype == v.dtype:
            return self.add(op, (a, v), {})
        return self.add(cast, (self.add(op, (self._unrounded(a, v.dtype), v), {}),), dict(dtype=a.dtype))

    def _unrounded(self, a: Value, dtype: str) -> Any:
        made = self.maker(a)
        if made and made.op is reshape:
            return self.add(made.op, (self._unrounded(made.args[0], dtype),), made.params)
        if made and made.op is cast and made.args[0].dtype == dtype:
            return made.args[0]
        return self.add(cast, (a,), dict(dtype=dtype))

    def _scaled(self, made: Call, v: Value) -> Any:
        if made.op in _PRODUCTS:
            x, w = made.args
            if type(w) is Value and id(w) in self.steady and (made.op is conv or len(w.shape) == 2):
                return self.add(made.op, (x, self._joined(mul, w, v)), made.params)
        y, op, bias = self._affine(made) or _NONE
        product = self._alone(y) if op is add else None
        scaled = product and self._scaled(product, v)
        if scaled is not None:
            self.uses[id(scaled)] = 1
            return self.add(add, (scaled, self._joined(mul, self._flat(bias), v)), {})

    def _shifted(self, made: Call, v: Value) -> Any:
        """A shift of a product becomes a bias; of a biased product, a part of its bias."""
        y: Any = made.outs[0]
        if made.op in _PRODUCTS and (len(v.shape) > 1 or v.dtype != y.dtype):
            return self.add(add, (y, self._cast(self._flat(v), y.dtype)), {})
        y, op, bias = self._affine(made) or _NONE
        product = self.maker(y) if op is add else None
        if product and product.op in _PRODUCTS:
            return self.add(add, (y, self._joined(add, self._flat(bias), v)), {})

    def _cast(self, v: Value, dtype: str) -> Any:
        return v if v.dtype == dtype else self.add(cast, (v,), dict(dtype=dtype))


PASS = Pass("fold_scales", fold_scales)
