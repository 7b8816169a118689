"""Many programs in one compilation of JAX, which differentiates the traced forward graphs itself."""

import jax
import numpy as np

from mlkit.backends.jax_adapter import linalg
from mlkit.backends.jax_adapter.evaluation import exact
from mlkit.backends.jax_adapter.oracle import differentiated
from mlkit.core import dtypes
from mlkit.core.garbage_collection import uncollected
from mlkit.core.program import Program as Traced
from mlkit.core.tensor import Tensor
from mlkit.ops import convert_to_tensor
from tests.fuzz.program import is_float, weights
from tests.xla import QUICK


class Question:
    """A function's forward graph with the arrays to evaluate it at. variables: those that have gradients; None: no gradients."""

    def __init__(self, function, inputs, variables=None):
        traced = Traced(lambda *xs: [x for x in function(*xs) if type(x) is Tensor], inputs, {}, compiled=False)
        self.graph = traced.graph
        self.arrays = [np.asarray(x.data) for x in (*inputs, *(v.value for v in traced.reads))]
        self.outputs = len(traced.static)
        self.places = None
        if variables is not None:  # of an answer's gradients, those of float inputs, then of the float variables
            assigned = set(map(id, traced.writes))  # tapes begin anew at the new value, JAX goes on to the old one
            reads = {id(v): len(inputs) + k for k, v in enumerate(traced.reads) if id(v) not in assigned}
            sources = [*enumerate(inputs), *((reads.get(id(v)), v) for v in variables)]
            self.places = [k for k, x in sources if x.dtype in dtypes.FLOATS]

    def cotangents(self):
        """For each output of the graph, as `with_gradients` weighs it."""
        if self.places is None:
            return None
        specs = [Tensor(v.spec) if hasattr(v, "spec") else Tensor(v) for v in self.graph.outputs]
        return [weights(t) if is_float(t) and k < self.outputs else None for k, t in enumerate(specs)]

    @property
    def has_kernels(self):
        """Whether JAX can compute it: LAPACK has no half floats."""
        calls = [c for c in self.graph.calls if c.op.name in linalg.ROWS]
        return not any(v.spec.dtype in ("bfloat16", "float16") for c in calls for v in c.outs)


def of_program(program):
    """The Question of a program of the fuzz."""
    function, variables = program.instance()
    slopes = program.sources(variables) if program.slopes and program.jax is True else None
    return Question(function, [convert_to_tensor(a) for a in program.inputs], slopes)


def judgement(function, inputs, variables=None):
    """What JAX says of one function, in the form of `with_gradients` (without `variables`, of the function); gradients that it
    does not give are zeros."""
    question = Question(function, inputs, variables)
    (answer,) = answers([question])
    if isinstance(answer, Exception):
        raise answer
    values, slopes = answer
    if slopes is None:
        return values
    sources = [x for x in (*inputs, *variables) if x.dtype in dtypes.FLOATS]
    return values, [np.zeros(x.shape, dtypes.as_numpy(x.dtype)) if s is None else s for x, s in zip(sources, slopes)]


def answers(questions):
    """For each question (outputs, gradients or None) as NumPy arrays, or the exception that JAX raised."""
    found = [None if q.has_kernels else NotImplementedError("LAPACK has no half floats") for q in questions]
    asked = [k for k, answer in enumerate(found) if answer is None]
    if asked:
        for k, answer in zip(asked, _together([questions[k] for k in asked])):
            found[k] = answer
    return found


@uncollected()
def _together(questions):
    """`answers`, by one compilation."""
    found = [None] * len(questions)

    def run(arguments):
        out = []
        for k, (q, arrays) in enumerate(zip(questions, arguments)):
            try:
                values, slopes = differentiated(q.graph)(arrays, q.cotangents())
            except Exception as error:  # of one program: the others' results count
                found[k] = error
                values, slopes = [], []
            out.append((values[: q.outputs], slopes))
        return out

    try:
        with exact():
            results = jax.jit(run, compiler_options=QUICK)([q.arrays for q in questions])
    except Exception as error:  # in compiling: one of them is to blame
        if len(questions) == 1:
            return [error]
        half = len(questions) // 2
        return _together(questions[:half]) + _together(questions[half:])
    for k, (q, (values, slopes)) in enumerate(zip(questions, results)):
        if found[k] is None:
            slopes = None if q.places is None else [None if p is None else np.asarray(slopes[p]) for p in q.places]
            found[k] = [np.asarray(v) for v in values], slopes
    return found
