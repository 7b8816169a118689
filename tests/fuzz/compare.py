"""Runs a program eagerly, compiled and on JAX, and says where they disagree.

The law: two results agree where they are equal but for TIGHT units in the last place, or else within the spread that roundings
can make of them (`noise`). In exact mode, compiled and eager results agree where their bits do; but gradients through control flow, in
which sums have another order, are held to the first law.
"""

import numpy as np

import mlkit
from mlkit.core import dtypes
from mlkit.core.program import Program as Traced
from mlkit.core.tensor import Tensor
from mlkit.ops import convert_to_tensor
from tests.fuzz import noise
from tests.fuzz.rows import REFUSALS

CONTROL = {"cond", "scan", "while"}  # ops whose gradients add up within them first
TIGHT = 16  # units in the last place that need no explanation


class Disagreement(Exception):
    """kind: what is wrong, by which a smaller program is known to fail in the same way."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Run:
    """What one way of running a program gave."""

    def __init__(self, outputs, gradients, state):
        self.outputs, self.gradients, self.state = outputs, gradients, state

    def named(self):
        """(what it is, value) for every tensor."""
        for what, values in (("output", self.outputs), ("gradient", self.gradients), ("variable", self.state)):
            for k, x in enumerate(values):
                if type(x) is Tensor:
                    yield f"{what} {k}", x


def check(program, exact=False):
    """Raise Disagreement if eager and compiled runs differ; the eager Run."""
    inputs = [np.array(a) for a in program.inputs]
    eager, compiled = (run(how, program, inputs) for how in ("eager", "compiled"))
    if eager is None or compiled is None:
        if eager is not compiled:
            raise Disagreement("refusal", f"a gradient is refused, but not {'compiled' if eager is None else 'eagerly'}")
        return check(program.without_slopes(), exact)
    for a, b in zip(inputs, program.inputs):
        if a.tobytes() != b.tobytes():
            raise Disagreement("inputs", "the program has written into its arguments")
    for (what, e), (_, c) in zip(eager.named(), compiled.named(), strict=True):
        if type(c.data) is not np.ndarray or type(e.data) is not np.ndarray:
            raise Disagreement("array", f"{what} holds a {type(c.data)} compiled, a {type(e.data)} eagerly")
        if any(np.may_share_memory(c.data, a) for a in inputs):
            raise Disagreement("shared", f"{what} lies in the memory of an argument")
    agree(program, eager, compiled, exact)
    return eager


def run(how, program, arrays):
    """eager or compiled: values, gradients, and what is in the variables afterwards; None where a gradient is refused in words."""
    function, variables = program.instance()
    step = program.step(function, variables)
    try:
        outputs, gradients = (mlkit.function(step) if how == "compiled" else step)(*map(convert_to_tensor, arrays))
    except Exception as error:
        if program.slopes and isinstance(error, REFUSALS):
            return None
        raise Disagreement(f"{how} {type(error).__name__}", str(error)) from error
    return Run(outputs, gradients, [convert_to_tensor(v) for v in variables])


def agree(program, eager, compiled, exact):
    """Raise Disagreement unless all tensors agree to the bit, or not `exact`ly: within the spread of roundings."""
    rule, wrong = same_bits if exact else near, []
    for k, ((what, a), (_, b)) in enumerate(zip(eager.named(), compiled.named(), strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise Disagreement(f"compiled {what.split()[0]} spec", f"{what} is {a.spec} eagerly and {b.spec} compiled")
        if not rule(a.data, np.asarray(b.data)).all():
            wrong.append((k, what, np.asarray(a.data), np.asarray(b.data)))
    if not wrong:
        return
    graph, arrays = graph_of(program)
    orders_sums_anew = any(c.op.name in CONTROL for c in graph.calls)
    relu, mask = _has("relu", program, graph), _has("masked_scale", program, graph)
    spreads = noise.growing(graph, arrays) if orders_sums_anew or not exact else [None]

    def unexplained(allowed):
        """The Disagreement of the first tensor that differs more than that; None if there is none."""
        for k, what, a, b in wrong:
            bad = ~rule(a, b)
            if allowed is not None and (not exact or what.startswith("gradient")):
                bad &= ~near(a, b) & ~_within(a, b, allowed[k])
            # compiled, relu may make 0 of NaN, and a mask NaN of what it drops, as the list of rounding passes says
            if not exact:
                bad &= ~(np.isnan(noise.wide(a)) & relu | np.isnan(noise.wide(b)) & mask)
            if bad.any():
                at = tuple(int(i) for i in np.argwhere(bad)[0])
                text = f"{what} at {at}: {a[at]} eagerly, {b[at]} compiled ({bad.sum()} of {bad.size})"
                return Disagreement(f"compiled {what.split()[0]}", text)
        return None

    if all(found := unexplained(allowed) for allowed in spreads):
        raise found


def _has(name, program, graph):
    return name in program.definition() or any(name in c.op.name for c in graph.calls)


def graph_of(program):
    """A run as a graph, whose outputs are the tensors of `Run.named` in their order, and the arrays to evaluate it at."""
    function, variables = program.instance()
    step = program.step(function, variables)
    inputs = [convert_to_tensor(a) for a in program.inputs]

    def everything(*xs):
        outputs, gradients = step(*xs)
        return [x for x in (*outputs, *gradients, *map(convert_to_tensor, variables)) if type(x) is Tensor]

    traced = Traced(everything, inputs, {}, compiled=False)
    count = len(traced.static)
    graph = traced.graph.like(traced.graph.calls, traced.graph.outputs[:count])
    return graph, [x.data for x in (*inputs, *(v.value for v in traced.reads))]


def near(a, b):
    """Where two arrays are equal but for a few units in the last place, NaN being equal to NaN."""
    x, y = noise.wide(a), noise.wide(b)
    with np.errstate(all="ignore"):
        close = np.abs(x - y) <= TIGHT * noise.unit(x, dtypes.name_of(a.dtype))
    return close | (x == y) | (np.isnan(x) & np.isnan(y))


def same_bits(a, b):
    """Where two arrays have the same bits, or both are NaN."""
    bits = f"u{a.dtype.itemsize}" if a.dtype.itemsize <= 8 else None
    if bits is None:
        return (a == b) | ((a != a) & (b != b))
    return (np.ascontiguousarray(a).view(bits) == np.ascontiguousarray(b).view(bits)) | ((a != a) & (b != b))


def agree_with_jax(program, eager, answer, ask):
    """Raise Disagreement unless JAX gives what the eager run gave, or what is farther from the truth in half floats.

    answer: of `on_jax.answers`; ask(program): that answer for another program. JAX computes in half floats step by step and may
    overflow between, so the same program in float32 decides.
    """
    if isinstance(answer, Exception):
        raise Disagreement(f"jax {type(answer).__name__}", str(answer)) from answer
    values, slopes = answer
    slopes = slopes if eager.gradients else None  # none where they are refused
    outputs = [x for x in eager.outputs if type(x) is Tensor]
    for k, (x, value) in enumerate(zip(outputs, values, strict=True)):
        if x.shape != value.shape or x.dtype != dtypes.name_of(value.dtype):
            raise Disagreement("jax output spec", f"output {k} is {x.spec} eagerly and {value.dtype}{value.shape} on JAX")
    wanted = [*map(_array, outputs), *([] if slopes is None else map(_array, eager.gradients))]
    got = [*values, *(slopes or [])]
    bad = {k: ~near(a, b) & ~_is_small(a, b) for k, (a, b) in enumerate(zip(wanted, got, strict=True)) if b is not None}
    if not any(where.any() for where in bad.values()):
        return
    graph, arrays = graph_of(program)
    for allowed in noise.growing(graph, arrays):
        for k in bad:
            bad[k] &= ~_within(wanted[k], got[k], allowed[k])  # (where it is a scalar, `&=` makes a new one)
            if _has("relu", program, graph):  # whose gradient of NaN is 0 there
                bad[k] &= ~np.isnan(noise.wide(wanted[k]))
            if _has("softmax", program, graph):  # of a row with NaN in it: oneDNN's may be 0 where the row has numbers
                bad[k] &= ~np.isnan(noise.wide(got[k]))
        if not any(where.any() for where in bad.values()):
            return
    if any(where.any() for where in bad.values()) and (wide := program.widened()):
        judge = ask(wide)
        truth = [] if isinstance(judge, Exception) else [*judge[0], *(judge[1] or [])]
        for k in bad.keys() & range(len(truth)):
            bad[k] &= ~_nearer(wanted[k], got[k], truth[k])
    for k, where in bad.items():
        if where.any():
            a, b, at = wanted[k], got[k], tuple(int(i) for i in np.argwhere(where)[0])
            text = f"number {k} at {at}: {a[at]} eagerly, {b[at]} there ({where.sum()} of {where.size})"
            raise Disagreement(f"jax {'output' if k < len(values) else 'gradient'}", text)


def _is_small(a, b):
    """Where the difference is a few units in the last place of the largest number: JAX's own formulas may cancel."""
    largest = np.max(np.abs(noise.wide(a)), initial=0, where=np.isfinite(a))
    with np.errstate(all="ignore"):
        return np.abs(noise.wide(a) - noise.wide(b)) <= TIGHT * noise.unit(largest, dtypes.name_of(a.dtype))


def _array(tensor):
    return np.asarray(tensor.data)


def _within(a, b, allowed):
    """Where two arrays differ no more than roundings can make them."""
    with np.errstate(all="ignore"):
        return (np.abs(noise.wide(a) - noise.wide(b)) <= allowed) | np.isinf(allowed)


def _nearer(a, b, truth):
    """Where a is no farther from the truth than b, or has left the numbers as the truth has."""
    a, b, truth = map(noise.wide, (a, b, truth.astype(a.dtype)))
    with np.errstate(all="ignore"):
        nearer = (np.abs(a - truth) <= np.abs(b - truth)) | (np.isfinite(a) & ~np.isfinite(b))
    return np.where(np.isfinite(truth), nearer, ~np.isfinite(a))
