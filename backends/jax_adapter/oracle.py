"""The oracle: values and gradients of a graph by JAX alone, so that neither our kernels nor our gradients are trusted."""

import jax
import numpy as np

from mlkit.backends.jax_adapter.backend import evaluate, exact
from mlkit.core import dtypes


def oracle(graph):
    """A function that evaluates and differentiates a *forward* graph.

    It is called with the arrays of the graph's inputs and, per output, a cotangent or None, and returns (outputs, gradients): lists of
    NumPy arrays; the gradient of an input that is no float is None. Only the forward graph is evaluated, by the rows of jax.numpy;
    the differentiation is jax.vjp's.
    """

    def run(arrays, cotangents=None):
        with exact():
            arrays = [jax.numpy.array(a) for a in arrays]
            places = [i for i, a in enumerate(arrays) if dtypes.is_float(a.dtype)]

            def forward(*floats):
                full = list(arrays)
                for i, a in zip(places, floats):
                    full[i] = a
                return evaluate(graph, full)

            if cotangents is None or not places:
                return [np.asarray(o) for o in forward(*(arrays[i] for i in places))], [None] * len(arrays)
            outputs, pull = jax.vjp(forward, *(arrays[i] for i in places))
            found = iter(pull([_cotangent(o, g) for o, g in zip(outputs, cotangents)]))
            gradients = [np.asarray(next(found)) if i in places else None for i in range(len(arrays))]
            return [np.asarray(o) for o in outputs], gradients

    return run


def _cotangent(output, g):
    """As jax.vjp wants it: zeros where none is given, float0 for integer outputs."""
    if not jax.numpy.issubdtype(output.dtype, jax.numpy.inexact):
        return np.zeros(output.shape, jax.dtypes.float0)
    return jax.numpy.zeros_like(output) if g is None else jax.numpy.asarray(g, output.dtype)
