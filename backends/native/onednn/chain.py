"""Chains of elementwise ops as `binary` primitives with post-ops: a few passes over memory, on all threads."""

from ctypes import c_float, c_int

from mlkit.backends.native import update
from mlkit.backends.native.chain import fold_axes
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.library import library
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.passes import GRADIENTS, can_cover, cover, is_known
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import Row, is_dense
from mlkit.core.spec import size_of

MOST_AXES, MOST_POST_OPS = 5, 32
ALONE = 1 << 16  # elements


@or_none
def make(algorithm, loop, x, y, then):
    """The primitive of a pass. loop: shape of the result; x, y: (shape, dtype) of the first two tensors; then: (algorithm,
    alpha, beta) or (algorithm, (shape, dtype)). None where oneDNN would do it without generated code."""
    post_ops = [("eltwise", *t) if len(t) == 3 else ("binary", t[0], dense(*t[1])) for t in then]
    descs = dense(*x), dense(*y), dense(loop)
    primitive = Primitive("dnnl_binary_primitive_desc_create", c_int(algorithm), *descs, post_ops=post_ops)
    return primitive if primitive.implementation.startswith("jit") else None


@or_none
def gradient(name, loop):
    """The primitive of the gradient of an activation, a function of its result."""
    algorithm, alpha, beta = GRADIENTS[name]
    x, algorithm, numbers = dense(loop), c_int(algorithm), (c_float(alpha), c_float(beta))
    hint = Primitive("dnnl_eltwise_forward_primitive_desc_create", c_int(c.TRAINING), algorithm, x, x, *numbers)
    return Primitive("dnnl_eltwise_backward_primitive_desc_create", algorithm, x, x, x, *numbers, hint.pd)


class Chain(Row):
    """Operands -> the chain's outputs."""

    name = "fused_elementwise"
    exact = ("float32", "bool")

    def fits(self, *xs, chain):
        masks = {i for i, x in enumerate(xs) if str(x.dtype) == "bool"}
        return can_cover(chain, masks)

    def gains_alone(self, call):
        """Whether a call gains by being a chain of its own: it is large, and oneDNN runs it on all threads."""
        if size_of(call.outs[0].shape) < ALONE or library() is None:
            return False
        args = [i if hasattr(a, "shape") else (a,) for i, a in enumerate(call.args)]
        dtypes = [str(getattr(a, "dtype", "")) for a in call.args]
        masks = {i for i, d in enumerate(dtypes) if d == "bool"}
        return set(dtypes) <= {"float32", "bool", ""} and is_known(call.op.name, args, masks)

    def build(self, operands, outs, chain):
        if not all(map(is_dense, operands)):
            return None
        loop, shapes = fold_axes([o.shape for o in operands], outs[0].shape)
        passes = cover(chain, {v for v, shape in enumerate(shapes) if not _fits_late(shape, loop)})
        full = [v for v, shape in enumerate(shapes) if shape == loop]
        if len(loop) > MOST_AXES or not all(p.with_full_first(lambda v: v >= len(shapes) or v in full) for p in passes):
            return None
        kernel = Kernel(operands, outs, inplace_pairs(chain, passes, full))
        kinds = [(s, "uint8" if o.dtype == "bool" else "float32") for s, o in zip(shapes, operands)]
        places = {v: kernel.argument(v, dense(*kind)) for v, kind in enumerate(kinds)}
        places |= {v: kernel.result(j, dense(loop)) for j, v in enumerate(chain.outs)}
        for p in passes:
            primitive = _primitive(p, lambda v: kinds[v] if v < len(kinds) else (loop, "float32"), loop)
            if primitive is None:
                return None
            if p.out not in places:
                places[p.out] = kernel.temporary(dense(loop))
            algorithm, x, y = p.start
            if algorithm in GRADIENTS:
                kernel.run(primitive, {c.DIFF_DST: places[x], c.DST: places[y], c.DIFF_SRC: places[p.out]})
                continue
            tensors = {c.SRC: places[x], c.SRC_1: places[y], c.DST: places[p.out]}
            tensors |= {c.post_op(i) | c.SRC_1: places[t[1]] for i, t in enumerate(p.then) if len(t) == 2}
            kernel.run(primitive, tensors)
        return kernel


class Update(Chain):
    """(weight, slots, gradient, rate) -> new weight and slots, by the rule of an optimizer."""

    def __init__(self, name):
        self.name = name

    def fits(self, *args, **params):
        return super().fits(*args, chain=update.as_chain(self.name, args, params))

    def build(self, operands, outs, **params):
        return super().build(operands, outs, update.as_chain(self.name, operands, params))


def _fits_late(shape, loop):
    """Whether there is generated code for a post-op with a tensor: one of the full shape, one number, or one for each index of
    the second axis."""
    return shape == loop or all(n == 1 for i, n in enumerate(shape) if i != 1)


def _primitive(p, kind_of, loop):
    algorithm, x, y = p.start
    if algorithm in GRADIENTS:
        return gradient(algorithm, loop)
    then = tuple(t if len(t) == 3 else (t[0], kind_of(t[1])) for t in p.then)
    return make(algorithm, loop, kind_of(x), kind_of(y), then) if len(then) <= MOST_POST_OPS else None


def inplace_pairs(chain, passes, full):
    """(result, operand) pairs that may share memory: the operand has the full shape, and no pass after the one that writes the
    result reads it. (A pass reads an element of everything before it writes that element.)"""
    last = {v: i for i, p in enumerate(passes) for v in p.reads()}
    made = {p.out: i for i, p in enumerate(passes)}
    return tuple((j, v) for j, out in enumerate(chain.outs) for v in full if last.get(v, -1) <= made[out])


ROWS = [Chain(), *map(Update, update.NAMES)]
