"""Chains of elementwise ops as `binary` primitives with post-ops: a few passes over memory, on all threads."""

from ctypes import c_float, c_int

from mlkit.backends.native import update
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.chain_passes import GRADIENTS, can_cover, cover, is_known
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.library import library
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.primitive import Primitive, or_none, reorder
from mlkit.backends.native.onednn.row import FLOATS, Row
from mlkit.backends.native.tiled_chain import fold_axes, with_rounded_numbers
from mlkit.core.dtypes import name_of
from mlkit.core.machine import threshold
from mlkit.core.spec import Spec, size_of
from mlkit.primitives.elementwise import cast

MOST_AXES, MOST_POST_OPS = 5, 32
ALONE = threshold("chain_alone")


@or_none
def make(algorithm, result, x, y, then):
    """The primitive of a pass. result, x, y: (shape, dtype) of the result and the first two tensors; then: (algorithm, alpha,
    beta) or (algorithm, (shape, dtype)). None where oneDNN would do it without generated code."""
    post_ops = [("eltwise", *t) if len(t) == 3 else ("binary", t[0], dense(*t[1])) for t in then]
    descs = dense(*x), dense(*y), dense(*result)
    primitive = Primitive("dnnl_binary_primitive_desc_create", c_int(algorithm), *descs, post_ops=post_ops)
    return primitive if primitive.implementation.startswith("jit") else None


@or_none
def gradient(op, loop, dtype):
    """The primitive of the gradient of an activation, a function of its result."""
    algorithm, alpha, beta = GRADIENTS[op]
    x, algorithm, numbers = dense(loop, dtype), c_int(algorithm), (c_float(alpha), c_float(beta))
    hint = Primitive("dnnl_eltwise_forward_primitive_desc_create", c_int(c.TRAINING), algorithm, x, x, *numbers)
    return Primitive("dnnl_eltwise_backward_primitive_desc_create", algorithm, x, x, x, *numbers, hint.pd)


class Chain(Row):
    """Operands -> the chain's outputs."""

    name = "fused_elementwise"
    exact = (*FLOATS, "bool")

    def fits(self, *xs, chain):
        return can_cover(chain, frozenset(i for i, x in enumerate(xs) if name_of(x.dtype) == "bool"))

    def gains_alone(self, call):
        """Whether a call gains by being a chain of its own: it is large, and oneDNN runs it on all threads."""
        lib, dtypes = library(), {str(a.dtype) for a in (*call.args, *call.outs) if hasattr(a, "dtype")}
        if lib is None or not dtypes <= {*self.exact}:
            return False
        if not (lib.multiplies_bfloat16 if "bfloat16" in dtypes else size_of(call.outs[0].shape) >= ALONE):
            return False  # small ones of bfloat16 gain too: NumPy takes long for it
        args = [i if hasattr(a, "shape") else (a,) for i, a in enumerate(call.args)]
        masks = {i for i, a in enumerate(call.args) if str(getattr(a, "dtype", "")) == "bool"}
        return is_known(call.op, args, call.params, masks)

    def build(self, operands, outs, chain):
        if not all(map(is_dense, operands)):
            return None
        chain = with_rounded_numbers(chain, [Spec(o.shape, o.dtype) for o in operands])
        loop, shapes = fold_axes([o.shape for o in operands], outs[0].shape)
        passes = cover(chain, {v for v, shape in enumerate(shapes) if not _fits_late(shape, loop)})
        full = [v for v, shape in enumerate(shapes) if shape == loop]
        kinds = kinds_of(chain, shapes, [o.dtype for o in operands], loop)
        if len(loop) > MOST_AXES or not all(_starts_well(p, kinds, loop) for p in passes):
            return None
        kernel = Kernel(operands, outs, inplace_pairs(chain, passes, full))
        places = {v: kernel.argument(v, dense(*kinds[v])) for v in range(chain.operands)}
        places |= {v: kernel.result(j, dense(*kinds[v])) for j, v in enumerate(chain.outs)}
        for p in passes:
            if p.out not in places:
                places[p.out] = kernel.temporary(dense(*kinds[p.out]))
            if p.is_copy():
                copy = reorder(dense(*kinds[p.start[1]]), dense(*kinds[p.out]))
                kernel.run(copy, {c.FROM: places[p.start[1]], c.TO: places[p.out]})
                continue
            kind = _computed_in(p, kinds)
            narrows = kind != kinds[p.out]
            place = kernel.temporary(dense(*kind)) if narrows else places[p.out]
            algorithm, x, y = p.start = _converted_start(p, kind, kernel, kinds, places)
            primitive = _primitive(p, kind, kinds)
            if primitive is None:
                return None
            if algorithm in GRADIENTS:
                tensors = {c.DIFF_DST: places[x], c.DST: places[y], c.DIFF_SRC: place}
            else:
                tensors = {c.SRC: places[x], c.SRC_1: places[y], c.DST: place}
                tensors |= {c.post_op(i) | c.SRC_1: places[t[1]] for i, t in enumerate(p.then) if len(t) == 2}
            kernel.run(primitive, tensors)
            if narrows:
                kernel.run(reorder(dense(*kind), dense(*kinds[p.out])), {c.FROM: place, c.TO: places[p.out]})
        return kernel


class Update(Chain):
    """(weight, slots, gradient, rate) -> new weight and slots, by the rule of an optimizer."""

    def __init__(self, op):
        self.op, self.name = op, op.name

    def fits(self, *args, **params):
        return super().fits(*args, chain=update.as_chain(self.op, args, params))

    def build(self, operands, outs, **params):
        return super().build(operands, outs, update.as_chain(self.op, operands, params))


def _fits_late(shape, loop):
    """Whether there is generated code for a post-op with a tensor: one of the full shape, one number, or one for each index of
    the second axis."""
    return shape == loop or all(n == 1 for i, n in enumerate(shape) if i != 1)


def kinds_of(chain, shapes, dtypes, loop):
    """(shape, dtype) of each value, for oneDNN. shapes, dtypes: of the operands."""
    kinds = [(s, "uint8" if d == "bool" else d) for s, d in zip(shapes, dtypes)]
    for op, args, params in chain.steps:
        first = next(a for a in args if type(a) is int)
        kinds.append((loop, params["dtype"] if op is cast else kinds[first][1]))
    return kinds


def _starts_well(p, kinds, loop):
    """Whether a pass has a tensor of the full shape to begin with; best one of the result's dtype, which is what oneDNN asks
    for."""
    return p.with_full_first(lambda v: kinds[v] == kinds[p.out]) or p.with_full_first(lambda v: kinds[v][0] == loop)


def _first_tensors(p):
    """What oneDNN wants in the dtype of the result."""
    return p.start[1:] if p.start[0] in GRADIENTS else p.start[1:2]


def _computed_in(p, kinds):
    """(shape, dtype) that a pass writes: those of its result if its first tensors can be converted to them and lose nothing, else in
    float32."""
    shape, dtype = kinds[p.out]
    loses = any(kinds[v][1] not in (dtype, "uint8") for v in _first_tensors(p)) and dtype != "float32"
    return shape, "float32" if loses else dtype


def _converted_start(p, wanted, kernel, kinds, places):
    """The start of a pass, with converted copies (further values) where a tensor must be of the kind `wanted` but is not."""
    algorithm, *tensors = p.start
    for i, v in enumerate(_first_tensors(p)):
        if kinds[v] != wanted:
            place = kernel.temporary(dense(*wanted))
            kernel.run(reorder(dense(*kinds[v]), dense(*wanted)), {c.FROM: places[v], c.TO: place})
            tensors[i] = len(kinds)
            kinds.append(wanted)
            places[tensors[i]] = place
    return algorithm, *tensors


def _primitive(p, kind, kinds):
    algorithm, x, y = p.start
    if algorithm in GRADIENTS:
        return gradient(algorithm, *kind)
    then = tuple(t if len(t) == 3 else (t[0], kinds[t[1]]) for t in p.then)
    return make(algorithm, kind, kinds[x], kinds[y], then) if len(then) <= MOST_POST_OPS else None


def inplace_pairs(chain, passes, full):
    """(result, operand) pairs that may share memory: the operand has the full shape, and no pass after the one that writes the
    result reads it. (A pass reads an element of everything before it writes that element.)"""
    last = {v: i for i, p in enumerate(passes) for v in p.reads()}
    made = {p.out: i for i, p in enumerate(passes)}
    return tuple((j, v) for j, out in enumerate(chain.outs) for v in full if last.get(v, -1) <= made[out])


ROWS = [Chain(), *map(Update, update.UPDATES)]
