"""Many programs in one compilation of JAX, which differentiates the traced forward graphs itself."""

import jax
import jax.numpy as jnp
import numpy as np

from mlkit.backends.jax_adapter.backend import exact
from mlkit.backends.jax_adapter.oracle import differentiated
from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.trace import Program as Traced
from mlkit.ops import convert_to_tensor
from tests.fuzz.program import is_float, weights


class Question:
    """A program's forward graph with the arrays to evaluate it at."""

    def __init__(self, program):
        function, variables = program.instance()
        inputs = [convert_to_tensor(a) for a in program.inputs]
        traced = Traced(lambda *xs: [x for x in function(*xs) if type(x) is Tensor], inputs, {}, compiled=False)
        self.graph = traced.graph
        self.arrays = [np.asarray(x.data) for x in (*inputs, *(v.value for v in traced.reads))]
        self.outputs = len(traced.static)
        slopes = program.slopes and program.jax is True
        self.places = None
        if slopes:  # of an answer's gradients, those of float inputs, then of float variables in the program's order
            reads = {id(v): len(inputs) + k for k, v in enumerate(traced.reads)}
            sources = [(k, x) for k, x in enumerate(inputs)] + [(reads.get(id(v)), v) for v in program.sources(variables)]
            self.places = [k for k, x in sources if x.dtype in dtypes.FLOATS]

    def cotangents(self):
        """For each output of the graph, as `with_gradients` weighs it."""
        if self.places is None:
            return None
        specs = [Tensor(v.spec) if hasattr(v, "spec") else Tensor(v) for v in self.graph.outputs]
        return [weights(t) if is_float(t) and k < self.outputs else None for k, t in enumerate(specs)]


def answers(questions):
    """For each question (outputs, gradients or None) as NumPy arrays, or the exception that JAX raised."""
    found = [None] * len(questions)

    def run(arguments):
        out = []
        for k, (q, arrays) in enumerate(zip(questions, arguments)):
            try:
                values, slopes = differentiated(q.graph)(arrays, q.cotangents())
            except Exception as error:  # of one program: the others' results count
                found[k] = error
                values, slopes = [], []
            out.append((values[: q.outputs], [None if g is None else g for g in slopes]))
        return out

    try:
        with exact():
            results = jax.jit(run)([[jnp.array(a) for a in q.arrays] for q in questions])
    except Exception as error:  # in compiling: one of them is to blame
        return [error] if len(questions) == 1 else [a for q in questions for a in answers([q])]
    for k, (q, (values, slopes)) in enumerate(zip(questions, results)):
        if found[k] is None:
            slopes = None if q.places is None else [None if p is None else np.asarray(slopes[p]) for p in q.places]
            found[k] = [np.asarray(v) for v in values], slopes
    return found
