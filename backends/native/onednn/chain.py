"""Chains of elementwise ops as `binary` primitives with post-ops: a few passes over memory, on all threads."""

from ctypes import c_int

from mlkit.backends.native.chain import fold_axes
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.passes import can_cover, cover
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import Row, is_dense

MOST_AXES, MOST_POST_OPS = 5, 32


@or_none
def make(algorithm, loop, x, y, then):
    """The primitive of a pass. loop, x, y: shapes of the result and the first two tensors; then: (algorithm, alpha, beta) or
    (algorithm, shape). None where oneDNN would do it without generated code."""
    post_ops = [("eltwise", *t) if len(t) == 3 else ("binary", t[0], dense(t[1])) for t in then]
    descs = dense(x), dense(y), dense(loop)
    primitive = Primitive("dnnl_binary_primitive_desc_create", c_int(algorithm), *descs, post_ops=post_ops)
    return primitive if primitive.implementation.startswith("jit") else None


class Chain(Row):
    """Operands -> the chain's outputs."""

    name = "fused_elementwise"

    def fits(self, *xs, chain):
        return can_cover(chain)

    def build(self, operands, outs, chain):
        if not all(map(is_dense, operands)):
            return None
        passes = cover(chain)
        loop, shapes = fold_axes([o.shape for o in operands], outs[0].shape)
        full = [v for v, shape in enumerate(shapes) if shape == loop]
        if len(loop) > MOST_AXES or not all(p.with_full_first(lambda v: v >= len(shapes) or v in full) for p in passes):
            return None
        kernel = Kernel(operands, outs, inplace_pairs(chain, passes, full))
        places = {v: kernel.argument(v, dense(shape)) for v, shape in enumerate(shapes)}
        places |= {v: kernel.result(j, dense(loop)) for j, v in enumerate(chain.outs)}
        for p in passes:
            primitive = _primitive(p, lambda v: shapes[v] if v < len(shapes) else loop, loop)
            if primitive is None:
                return None
            if p.out not in places:
                places[p.out] = kernel.temporary(dense(loop))
            _, x, y = p.start
            tensors = {c.SRC: places[x], c.SRC_1: places[y], c.DST: places[p.out]}
            tensors |= {c.post_op(i) | c.SRC_1: places[t[1]] for i, t in enumerate(p.then) if len(t) == 2}
            kernel.run(primitive, tensors)
        return kernel


def _primitive(p, shape_of, loop):
    algorithm, x, y = p.start
    then = tuple(t if len(t) == 3 else (t[0], shape_of(t[1])) for t in p.then)
    return make(algorithm, loop, shape_of(x), shape_of(y), then) if len(then) <= MOST_POST_OPS else None


def inplace_pairs(chain, passes, full):
    """(result, operand) pairs that may share memory: the operand has the full shape, and no pass after the one that writes the
    result reads it. (A pass reads an element of everything before it writes that element.)"""
    last = {v: i for i, p in enumerate(passes) for v in p.reads()}
    made = {p.out: i for i, p in enumerate(passes)}
    return tuple((j, v) for j, out in enumerate(chain.outs) for v in full if last.get(v, -1) <= made[out])


ROWS = [Chain()]
