"""Graphs evaluated by rows of jax.numpy: what the backend, the oracle and the bodies of control flow share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mlkit.backends.jax_adapter import collectives, control, foreign, fused, linalg, meshes, rows, windows
from mlkit.core.interpreter import EAGER
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor

x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64


def exact():
    """A block in which 64-bit dtypes mean themselves. Never the global switch: it belongs to the program that uses JAX."""
    return x64(True)


def evaluate(graph, arrays):
    """The outputs of a graph for jax arrays or tracers. Fused ops without a row run their fallback."""
    calls = [c.with_args(tuple(map(_constant, c.args))) for c in graph.calls]
    graph = graph.like(calls, graph.outputs)
    with swapped(top=EAGER, kernels=ROWS):
        return [jnp.asarray(t.data) if type(t) is Tensor else jnp.asarray(t) for t in graph.run(*map(Tensor, arrays))]


def compiled(row):
    """A row as one XLA program for each set of shapes and parameters: jax.numpy would compile each of its steps, and a loop of
    `lax` anew at each call. Floats among the parameters are arguments: they have many values, and -0.0 is equal to 0.0."""

    @functools.partial(jax.jit, static_argnums=0)
    def program(static, floats, *args):
        return row(*args, **dict(static), **floats)

    def run(*args, **params):
        floats = {name: value for name, value in params.items() if type(value) is float}
        return program(tuple((name, value) for name, value in params.items() if name not in floats), floats, *args)

    return run


def _constant(a):
    """An argument of a call; a constant of a graph that another backend traced becomes JAX's, for rows would compute as NumPy does."""
    return jnp.asarray(a) if isinstance(a, np.ndarray) else a


ROWS = {  # op name -> function of jax arrays
    **rows.ROWS, **fused.ROWS, **windows.ROWS, **linalg.ROWS, **foreign.ROWS, **(_control := control.make(evaluate)),
    "relayout": meshes.relayout, **collectives.ROWS,
}  # fmt: skip
# functions, graphs and layouts among their parameters, which a cache would keep; random_bits asks for the mesh in force
NOT_COMPILED = {*foreign.ROWS, *_control, "relayout", "random_bits"}
