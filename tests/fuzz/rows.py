"""The table of op samples as lines of programs: a row called with other arrays of fitting shapes, dtypes and numbers."""

import ast
import functools
import math

from mlkit.core import dtypes, tree
from mlkit.core.spec import Spec
from mlkit.core.tensor import Tensor
from mlkit.primitives.catalogue import OPS
from mlkit.primitives.fused.elementwise_chain import multi_tensor_apply
from mlkit.primitives.fused.normalization import batch_norm_grad
from mlkit.primitives.placement import relayout
from tests.ops.sample import Maker, gather, is_unique

MOST_ELEMENTS = 300_000  # of a result: programs are many
SQUARED = ("diag", "diagflat")  # matrices of vectors, whose masks of truth values are computed while results are inferred
REFUSALS = (ValueError, TypeError, NotImplementedError)  # how a call says that arguments do not fit


class Row:
    """One sample. makers: what draws its arrays; text: how it is written with names in the place of these."""

    def __init__(self, sample, number):
        self.sample, self.number = sample, number
        self.structure = sample.args, sample.kwargs
        leaves = tree.flatten(self.structure)
        self.makers = [a for a in leaves if isinstance(a, Maker)]
        self.is_plain = sample.fn is None and all(isinstance(a, Maker) or _is_literal(a) for a in leaves)
        self.jax = is_unique(sample) and sample.option("jax", True)
        self.is_smooth = sample.option("grad", True)
        self.specs = {}  # (specs of arrays) -> specs of the results, or None where they do not fit

    def call(self, arguments):
        """The result for tensors in the place of the arrays."""
        given = iter(arguments)
        args, kwargs = tree.map_structure(lambda a: next(given) if isinstance(a, Maker) else a, self.structure)
        return self.sample.function(*args, **kwargs)

    def text(self, names):
        """The call as an expression."""
        if not self.is_plain:
            return f"table({self.sample.name!r}, {self.number}, [{', '.join(names)}])"
        given = iter(names)
        args, kwargs = self.structure
        shown = [_show(a, given) for a in args] + [f"{k}={_show(a, given)}" for k, a in kwargs.items()]
        called = f'OPS["{self.sample.name}"]' if self.sample.op else f"ops.{self.sample.name}"
        return f"{called}({', '.join(shown)})"

    def infer(self, specs):
        """The specs of the results (None among them for what is no tensor), or None where the arguments do not fit."""
        if specs not in self.specs:
            if self.sample.name in SQUARED and any(math.prod(s.shape) ** 2 > MOST_ELEMENTS for s in specs):
                self.specs[specs] = None
                return None
            try:
                found = [t.spec if type(t) is Tensor else None for t in tree.flatten(self.call(map(Tensor, specs)))]
                small = all(s is None or math.prod(s.shape) <= MOST_ELEMENTS for s in found)
                self.specs[specs] = found if small else None
            except REFUSALS:
                self.specs[specs] = None
            except Exception:  # a fault, which the line will show
                self.specs[specs] = []
        return self.specs[specs]

    def fitted(self, sizes, dtype, integer):
        """(Spec, whether it must be the sample's own array) for each array, where its sizes are renamed and its dtypes
        exchanged."""
        out = []
        for m in self.makers:
            kind = dtype if m.kind == "float" else integer if integer and m.kind == "int32" and m.bounds else m.kind
            shape = tuple(sizes.get(n, n) for n in m.shape)
            if m.bounds is None and shape != m.shape:
                return None
            out.append(Spec(shape, kind))
        return tuple(out)


def _is_literal(a):
    if isinstance(a, float) and not math.isfinite(a):
        return True
    try:
        return ast.literal_eval(repr(a)) == a
    except (ValueError, SyntaxError):
        return False


def _show(a, names):
    if isinstance(a, Maker):
        return next(names)
    if isinstance(a, dict):
        return "{" + ", ".join(f"{k!r}: {_show(v, names)}" for k, v in a.items()) + "}"
    if isinstance(a, (list, tuple)):
        inner = ", ".join(_show(e, names) for e in a) + ("," if type(a) is tuple and len(a) == 1 else "")
        return f"[{inner}]" if type(a) is list else f"({inner})"
    return repr(a)


def _is_drawn(sample):
    """Neither the identity, in one process and on one device, nor what only a pass makes, nor what takes statistics of its other
    arguments: passes rely on their being those."""
    op = OPS[sample.name] if sample.op else None
    return op is None or not (op.traits.communicates or op in (relayout, multi_tensor_apply, batch_norm_grad))


@functools.cache
def rows():
    """All rows that can be staged."""
    seen, out = {}, []
    for sample in gather("SAMPLES"):
        number = seen[sample.name] = seen.get(sample.name, -1) + 1
        if not sample.option("eager_only", False) and _is_drawn(sample):
            out.append(Row(sample, number))
    return out


@functools.cache
def named(name, number):
    """The row that `table` calls."""
    return next(r for r in rows() if (r.sample.name, r.number) == (name, number))


def in_bounds(dtype, bounds):
    """Whether a dtype holds all integers within bounds."""
    low, high = dtypes.limits(dtype)
    return low <= bounds[0] and bounds[1] - 1 <= high
