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
from mlkit.core.dtypes import as_numpy
from mlkit.core.spec import size_of

MOST_AXES, MOST_POST_OPS = 5, 32
ALONE = 1 << 16  # elements
BLOCK = 1 << 17  # elements that several passes go over before the next: what one writes, the others find in the caches


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
        starts = range(0, loop[0], BLOCK) if len(loop) == 1 and len(passes) > 1 else [0]
        parts = [_Part(kernel, chain, shapes, loop, start, len(starts) > 1) for start in starts]
        scratch = {p.out: kernel.temporary(dense(parts[0].shape)) for p in passes if p.out not in chain.outs}
        for part in parts:
            now = {v: place.part(dense(part.shape), 0) for v, place in scratch.items()}
            for p in passes:
                primitive = _primitive(p, part.kind, part.shape)
                if primitive is None:
                    return None
                kernel.run(primitive, _tensors(p, lambda v, part=part, now=now: now.get(v) or part.place(v)))
        return kernel


class Update(Chain):
    """(weight, slots, gradient, rate) -> new weight and slots, by the rule of an optimizer."""

    def __init__(self, name):
        self.name = name

    def fits(self, *args, **params):
        return super().fits(*args, chain=update.as_chain(self.name, args, params))

    def build(self, operands, outs, **params):
        return super().build(operands, outs, update.as_chain(self.name, operands, params))


class _Part:
    """A part of the tensors of a chain: in those of the loop's size the elements from `start` on, the others whole.

    shape: of the part; is_cut: whether it is not the whole loop, which then has one axis.
    """

    def __init__(self, kernel, chain, shapes, loop, start, is_cut):
        self.kernel, self.chain, self.shapes, self.loop, self.start = kernel, chain, shapes, loop, start
        self.shape = (min(BLOCK, loop[0] - start),) if is_cut else loop

    def kind(self, v):
        """(shape, dtype) of a value."""
        if v >= len(self.shapes):
            return self.shape, "float32"
        dtype = "uint8" if self.kernel.operands[v].dtype == "bool" else "float32"
        return self.shape if self.shapes[v] == self.loop else self.shapes[v], dtype

    def place(self, v):
        """Where an operand or a result begins."""
        shape, dtype = self.kind(v)
        desc = dense(shape, dtype)
        if v >= len(self.shapes):
            return self.kernel.result(self.chain.outs.index(v), desc).part(desc, 4 * self.start)
        start = self.start if self.shapes[v] == self.loop else 0
        return self.kernel.argument(v, desc).part(desc, start * as_numpy(dtype).itemsize)


def _tensors(p, place):
    """The places of a pass's tensors, by their names as arguments of the primitive. place: of a value."""
    algorithm, x, y = p.start
    if algorithm in GRADIENTS:
        return {c.DIFF_DST: place(x), c.DST: place(y), c.DIFF_SRC: place(p.out)}
    late = {c.post_op(i) | c.SRC_1: place(t[1]) for i, t in enumerate(p.then) if len(t) == 2}
    return {c.SRC: place(x), c.SRC_1: place(y), c.DST: place(p.out), **late}


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
