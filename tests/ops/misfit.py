"""Calls whose arguments may not fit together, made from the table of samples, and the laws that they must keep.

Of each array argument, each axis is made one longer, one shorter, 1 and 0; an axis more and less; of fused ops also another dtype.

Fused ops: the composed form (the op's fallback, by kernels that know neither fused ops nor oneDNN) says what such a call means:

- what it refuses, the op refuses: symbolically, eagerly and compiled, in the same words;
- what it accepts, broadcasting as it may, the op accepts, and has its values and gradients, eagerly and compiled, and on JAX (one
  misfit of each argument there, by its shapes; one of each op by its values);
- only where the composed form broadcasts by accident does the op refuse what it takes: everywhere, for the reason in ON_PURPOSE, or
  by a TypeError for a dtype, as public functions promote their arguments and nobody has defined what primitives make of unequal ones.

Public functions: what is refused symbolically is refused eagerly, in words; what is accepted has the shapes and dtypes that it has
symbolically. (Eager calls may refuse more: values that are out of range.)

    python -m tests.ops.misfit 0 4    the first of four parts; prints what breaks the laws, and the numbers of calls
"""

import collections
import functools
import re
import sys
import zlib

import numpy as np

from mlkit.core import dtypes, tree
from mlkit.core.function import function
from mlkit.core.spec import Spec
from mlkit.core.state import state, swapped
from mlkit.core.tensor import Tensor
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.convert import as_tensor
from tests.ops.checks import gradients, host, is_array, weighted_sum, weights
from tests.ops.sample import Maker, gather, is_smooth, is_unique

FUSED = [r for r in gather("SAMPLES") if r.op and OPS[r.name].fallback is not None]
PUBLIC = [r for r in gather("SAMPLES") if not r.op and r.fn is None and not r.option("eager_only", False)]
ATOL = 1e-4
_CELL = "the recurrent kernel says how many units there are; a state and a weight have two axes, sequences three"
_SIZES = "the sizes asked for say how many axes there are, and nothing can be made of an empty one"
_BLOCK = "a parameter says how many channels a block has"
ON_PURPOSE = {  # fused op -> the places of arguments of which it refuses what its composed form takes, why
    "attention": ((0,), "a single query does not become several because its mask is one for several"),
    "avg_pool_in_blocks": ((0,), _BLOCK),
    "gru": ((0, 1, 2, 3), _CELL),
    "gru_grad": ((4, 5), _CELL),
    "irfft": ((0,), "the length says how many frequencies there are"),
    "lstm": ((1, 2, 3, 4), _CELL),
    "lstm_grad": ((5, 6), _CELL),
    "max_pool_in_blocks": ((0,), _BLOCK),
    "resample": ((0,), _SIZES),
    "resample_grad": ((0,), _SIZES),
    "rnn": ((1, 2, 3), _CELL),
    "rnn_grad": ((4,), _CELL),
    "softmax_cross_entropy_grad": ((1,), "logits without a class"),
    "unpack": ((0,), "the shapes say how many elements there are"),
}


class Misfit:
    """A sample; with one of its arrays in another shape or dtype where `place` names one."""

    def __init__(self, row, place=None, shape=None, dtype=None):
        self.row, self.op, self.place = row, row.function, place
        leaves = tree.flatten((row.args, row.kwargs))
        rng = np.random.default_rng(row.seed)
        self.leaves = [a(rng, "float32") if isinstance(a, Maker) else a for a in leaves]
        if shape is not None:
            self.leaves[place] = Maker(leaves[place].draw, shape, leaves[place].kind)(rng, "float32")
        if dtype is not None:
            self.leaves[place] = self.leaves[place].astype(dtype)
        self.places = [i for i, a in enumerate(self.leaves) if is_array(a)]
        self.arrays = [self.leaves[i] for i in self.places]

    def __repr__(self):
        shown = [f"{a.dtype}{list(a.shape)}" if is_array(a) else a for a in self.leaves]
        return f"{self.row.name}{tuple(shown)}"

    def __call__(self, tensors, function=None):
        """The tensors of the result."""
        leaves = list(self.leaves)
        for i, t in zip(self.places, tensors):
            leaves[i] = t
        args, kwargs = tree.pack_sequence_as((self.row.args, self.row.kwargs), leaves)
        return tree.flatten((function or self.op)(*args, **kwargs))

    def tensors(self):
        return [as_tensor(a) for a in self.arrays]

    def symbols(self):
        return [Tensor(Spec(a.shape, dtypes.name_of(a.dtype))) for a in self.arrays]

    def with_gradients(self, function=None):
        """A function of tensors that gives results and, of smooth samples, the gradients of all floats."""

        def run(*tensors):
            outs = self(tensors, function)
            ws = weights(outs)
            if not is_smooth(self.row) or all(w is None for w in ws):
                return outs
            _, gs = gradients(lambda *ts: weighted_sum(self(ts, function), ws), tensors)
            return outs + [g for g in gs if g is not None]

        return run


def sizes(row, takes_any=lambda maker: maker.bounds is not None):
    """All changes of one argument's shape, where any numbers would do as well."""
    for place, maker in enumerate(tree.flatten((row.args, row.kwargs))):
        if isinstance(maker, Maker) and takes_any(maker):
            for shape in shapes_near(maker.shape):
                yield Misfit(row, place, shape)


def misfits(row):
    """All changes of one argument."""
    yield from sizes(row, lambda maker: True)
    for place, maker in enumerate(tree.flatten((row.args, row.kwargs))):
        if isinstance(maker, Maker):
            for dtype in {"float": ("float64", "int32"), "bool": ("float32",)}.get(maker.kind, ("float32", "int64")):
                yield Misfit(row, place, None, dtype)


def shapes_near(shape):
    for axis, n in enumerate(shape):
        for size in sorted({n + 1, n - 1, 1, 0} - {n, -1}):
            yield *shape[:axis], size, *shape[axis + 1 :]
    yield 1, *shape
    yield *shape, 1
    if shape:
        yield shape[1:]
    if len(shape) > 1:
        yield shape[:-1]


@functools.cache
def composed_kernels():
    """The table of the native backend without fused ops and without oneDNN's rows."""
    from mlkit.backends.native.onednn.row import Row
    from mlkit.backends.native.table import Rows

    def without(kernel):
        return Rows(*[r for r in kernel.rows if not isinstance(r[1], Row)]) if isinstance(kernel, Rows) else kernel

    return {name: without(kernel) for name, kernel in state.kernels.items() if OPS[name].fallback is None}


def attempt(run, *args):
    """(result, None) or (None, the exception)."""
    try:
        return run(*args), None
    except Exception as error:
        return None, error


def judge(call, seen):
    """(what happened, what breaks the law or None). seen: what JAX was asked of."""
    wanted, refusal = attempt(call, call.symbols(), call.op.fallback)
    if refusal is None:
        wanted, refusal = attempt(composed, call)
    _, words = attempt(call, call.symbols())
    if words is not None:
        for how, run in (("eager", call.op), ("compiled", function(lambda *a, **k: call.op(*a, **k)))):
            _, error = attempt(call, call.tensors(), run)
            if type(error) is not type(words) or str(error) != str(words):
                return "refused", f"{how} it is not refused as symbolically ({words!r}) but gives {error!r}"
        if not is_in_words(words):
            return "refused", f"it is not refused in words: {words!r}"
        if refusal is not None:
            return "refused", None
        if isinstance(words, TypeError):
            return "refused for its dtype", None
        places, _ = ON_PURPOSE.get(call.row.name, ((), None))
        return (
            "refused on purpose",
            None if call.place in places else f"the composed form accepts it, but the op says {words!r}",
        )
    if refusal is not None:
        return "accepted", f"the composed form refuses it: {refusal!r}"
    return "accepted", disagreement(call, wanted) or on_jax(call, wanted, seen)


def is_in_words(error):
    """Whether an error says which function refused what."""
    kinds = ValueError, TypeError, NotImplementedError
    return isinstance(error, kinds) and re.match(r"[\w.]+[\w ,']*: .*\.$", str(error), re.DOTALL) is not None


def judge_public(call):
    """(what happened, what breaks the law or None)"""
    eager, refusal = attempt(call, call.tensors())
    specs, words = attempt(call, call.symbols())
    if refusal is not None:
        return "refused", None if is_in_words(refusal) else f"it is not refused in words: {refusal!r}"
    if words is not None:
        return "accepted", f"symbolically it is refused: {words!r}"
    found, wanted = ([(t.shape, t.dtype) for t in outs if type(t) is Tensor] for outs in (eager, specs))
    return "accepted", None if found == wanted else f"it gives {found}, symbolically {wanted}"


def composed(call):
    """Results and gradients of the composed form."""
    with swapped(kernels=composed_kernels()):
        return call.with_gradients(call.op.fallback)(*call.tensors())


def disagreement(call, wanted):
    """Where the op's results and gradients, eager or compiled, are not those; or None."""
    for how, run in (("eager", call.with_gradients()), ("compiled", function(call.with_gradients()))):
        found, error = attempt(run, *call.tensors())
        if error is not None:
            return f"{how} it raises {error!r}"
        for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
            if a.shape != b.shape or a.dtype != b.dtype:
                return f"{how} number {k} is {a.spec}, in the composed form {b.spec}"
            if is_unique(call.row) and not np.allclose(host(a), host(b), ATOL, ATOL, equal_nan=True):
                return f"{how} number {k} differs by {np.abs(host(a) - host(b)).max()}"


def on_jax(call, wanted, seen):
    """Where JAX's results are not those, or None. XLA takes its time, so most calls are not asked about."""
    import jax

    from mlkit.backends.jax_adapter.evaluation import evaluate, exact

    if (call.op, call.place) in seen:
        return None
    by_value = call.op not in seen and is_unique(call.row) and all(a.size for a in call.arrays)
    seen |= {(call.op, call.place), call.op} if by_value else {(call.op, call.place)}
    program = functools.partial(evaluate, function(lambda *ts: call(ts)).graph(*call.tensors()))
    with exact():
        found, error = attempt(jax.jit(program) if by_value else functools.partial(jax.eval_shape, program), call.arrays)
    if error is not None:
        return f"JAX refuses it: {error!r}"
    for k, (a, b) in enumerate(zip(found, wanted)):  # without gradients
        if Spec(a.shape, dtypes.name_of(a.dtype)) != b.spec:
            return f"JAX gives {a.dtype}{list(a.shape)} as number {k}, the composed form {b.spec}"
        if by_value and not np.allclose(host(a), host(b), ATOL, ATOL, equal_nan=True):
            return f"on JAX number {k} differs by {np.abs(host(a) - host(b)).max()}"


def main(part, parts):
    broken, seen = 0, set()
    for rows, changes, law in ((FUSED, misfits, functools.partial(judge, seen=seen)), (PUBLIC, sizes, judge_public)):
        counts = collections.Counter()
        for call in (c for row in rows if zlib.crc32(row.name.encode()) % parts == part for c in changes(row)):
            print("at", call, file=sys.stderr)  # the last line says where a crash was
            what, fault = law(call)
            counts[what] += 1
            if fault is not None:
                broken += 1
                print(f"{call}: {fault}")
        print(f"{counts.total()} calls: {dict(counts)}")
    return 1 if broken or not counts else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
