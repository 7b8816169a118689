"""The oracle: values and gradients of a graph by JAX alone, so that neither our kernels nor our gradients are trusted."""

import jax
import jax.numpy as jnp
import numpy as np

from mlkit.backends.jax_adapter.evaluation import evaluate, exact
from mlkit.core import dtypes


def oracle(graph):
    """A function that evaluates and differentiates a *forward* graph.

    It is called with the arrays of the graph's inputs and, per output, a cotangent or None, and returns (outputs, gradients):
    lists of NumPy arrays; the gradient of an input that is no float is None. Without cotangents all gradients are None.
    """
    pure = differentiated(graph)

    def run(arrays, cotangents=None):
        with exact():
            return jax.tree.map(np.asarray, pure([jnp.array(a) for a in arrays], cotangents))

    return run


def differentiated(graph):
    """`oracle` as a pure function of jax arrays, which jax.jit can compile.

    Only the forward graph is evaluated, by rows of jax.numpy; the differentiation is jax.vjp's.
    """

    def run(arrays, cotangents=None):
        places = [i for i, a in enumerate(arrays) if dtypes.is_float(a.dtype)]
        if cotangents is None or not places:
            return evaluate(graph, arrays), [None] * len(arrays)

        def forward(*floats):
            full = list(arrays)
            for i, a in zip(places, floats):
                full[i] = a
            return evaluate(graph, full)

        outputs, pull = jax.vjp(forward, *(arrays[i] for i in places))
        found = iter(pull([_cotangent(o, g) for o, g in zip(outputs, cotangents)]))
        return outputs, [next(found) if i in places else None for i in range(len(arrays))]

    return run


def _cotangent(output, g):
    """As jax.vjp wants it: zeros where none is given, float0 for integer outputs."""
    if not jnp.issubdtype(output.dtype, jnp.inexact):
        return np.zeros(output.shape, jax.dtypes.float0)
    return jnp.zeros_like(output) if g is None else jnp.asarray(g, output.dtype)
