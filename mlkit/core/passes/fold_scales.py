"""Folding: a product or convolution that is scaled and shifted by channel, as normalizations do in inference, is one with other
weights and another bias. Only where all of these are state that the graph does not change: they are then computed once."""

from mlkit.core.op import OPS
from mlkit.core.passes.rewrite import Rewriter
from mlkit.core.tensor import Value

_PRODUCTS = ("matmul", "conv")


def fold_scales(graph):
    """The graph with scales by channel moved into weights, and shifts by channel joined with biases."""
    if not graph.unchanging():
        return graph
    return _Folding(graph).run()


class _Folding(Rewriter):
    def __init__(self, graph):
        super().__init__(graph)
        self.steady = graph.unchanging()

    def keep(self, call):
        super().keep(call)
        self._note_steady(call)

    def add(self, op, args, params):
        out = super().add(op, args, params)
        self._note_steady(self.out.calls[-1])
        return out

    def _note_steady(self, call):
        if call.inputs and all(id(a) in self.steady for a in call.inputs):
            self.steady.update(map(id, call.outs))

    def _rule(self, call):
        if call.op.name not in ("mul", "add"):
            return None
        for y, v in (call.args, call.args[::-1]):
            vector = self._vector(v, call.outs[0])
            if vector is not None and self.maker(y) and y.shape == call.outs[0].shape and self.uses.get(id(y)) == 1:
                out = (self._scaled if call.op.name == "mul" else self._shifted)(self.maker(y), vector)
                if out is not None:
                    self.uses[id(out)] = self.uses.get(id(call.outs[0]), 0)
                    return out

    def _vector(self, v, like):
        """An unchanging value that varies along the last axis of `like` only, as something that makes its vector; or None."""
        if type(v) is not Value or id(v) not in self.steady or len(like.shape) < 2:
            return None
        channels = like.shape[-1]
        is_vector = v.shape[-1:] == (channels,) and all(n == 1 for n in v.shape[:-1]) and len(v.shape) <= len(like.shape)
        return v if is_vector and v.dtype == like.dtype else None

    def _flat(self, v):
        """The vector of a value of shape (1, ..., channels)."""
        return v if len(v.shape) == 1 else self.add(OPS["reshape"], (v,), dict(shape=v.shape[-1:]))

    def _scaled(self, made, v):
        if made.op.name in _PRODUCTS:
            x, w = made.args
            if type(w) is Value and id(w) in self.steady and (made.op.name == "conv" or len(w.shape) == 2):
                return self.add(made.op, (x, self.add(OPS["mul"], (w, self._flat(v)), {})), made.params)
        if made.op.name == "add":
            for y, bias in (made.args, made.args[::-1]):
                b = self._vector(bias, made.outs[0])
                if b is not None and self.maker(y) and self.uses.get(id(y)) == 1:
                    scaled = self._scaled(self.maker(y), v)
                    if scaled is not None:
                        self.uses[id(scaled)] = 1
                        vector = self._flat(v)
                        return self.add(OPS["add"], (scaled, self.add(OPS["mul"], (self._flat(b), vector), {})), {})

    def _shifted(self, made, v):
        """A shift of a product becomes a bias; of a biased product, a part of its bias."""
        if made.op.name in _PRODUCTS and len(v.shape) > 1:
            return self.add(OPS["add"], (made.outs[0], self._flat(v)), {})
        if made.op.name == "add":
            for y, bias in (made.args, made.args[::-1]):
                b = self._vector(bias, made.outs[0])
                product = self.maker(y)
                if b is not None and product and product.op.name in _PRODUCTS:
                    return self.add(OPS["add"], (y, self.add(OPS["add"], (self._flat(b), self._flat(v)), {})), {})
