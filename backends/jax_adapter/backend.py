"""The JAX backend: rows run op by op, whole graphs through jax.jit."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from mlkit.backends.jax_adapter import control, fused, linalg, rows, windows
from mlkit.core import debug, dtypes
from mlkit.core.state import swapped
from mlkit.core.tensor import Tensor

_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64

ROWS = {**rows.ROWS, **fused.ROWS, **windows.ROWS, **linalg.ROWS, **control.ROWS}  # op name -> function of jax arrays


def exact():
    """A block in which 64-bit dtypes mean themselves. Never the global switch: it belongs to the program that uses JAX."""
    return _x64(True)


def evaluate(graph, arrays):
    """The outputs of a graph for jax arrays or tracers. Fused ops without a row run their fallback."""
    calls = [c.with_args(tuple(map(_constant, c.args))) for c in graph.calls]
    graph = graph.like(calls, graph.outputs)
    with swapped(trace=None, recording=(), kernels=ROWS):
        return [jnp.asarray(t.data) if type(t) is Tensor else jnp.asarray(t) for t in graph.run(*map(Tensor, arrays))]


def _constant(a):
    """An argument of a call; a constant of a graph that another backend traced becomes JAX's, for rows would compute as NumPy does."""
    return jnp.asarray(a) if isinstance(a, np.ndarray) else a


class JaxBackend:
    """jax arrays on one device."""

    name = "jax"

    def __init__(self, device=None):
        self._device = device or jax.devices()[0]
        self._default = device is None
        self.kernels = {name: self._eager(row) for name, row in ROWS.items()}

    def _context(self):
        stack = contextlib.ExitStack()
        stack.enter_context(exact())
        if not self._default:
            stack.enter_context(jax.default_device(self._device))
        return stack

    def _eager(self, row):
        if self._default:

            def kernel(*args, **params):
                with _x64(True):
                    return row(*args, **params)

        else:

            def kernel(*args, **params):
                with self._context():
                    return row(*args, **params)

        return kernel

    def asarray(self, host, dtype, device=None, owned=False):
        with self._context():
            return jnp.array(host, dtypes.as_numpy(dtype))  # a copy: jnp.asarray may share the caller's memory

    def borrow(self, host, dtype):
        return self.asarray(host, dtype)  # programs may still run when their call has returned

    def own(self, array):
        with self._context():
            return array if isinstance(array, jax.Array) else jnp.array(array)

    def to_numpy(self, array):
        return np.asarray(array)

    def devices(self):
        return [_name(d) for d in jax.devices()]

    def on(self, device):
        """The backend whose tensors live on that device."""
        chosen = next(d for d in jax.devices() if _name(d) == device)
        return self if chosen == self._device else JaxBackend(chosen)

    def device_of(self, array):
        return _name(next(iter(array.devices()))) if isinstance(array, jax.Array) else _name(self._device)

    def synchronize(self):
        (jax.device_put(0.0, self._device) + 0).block_until_ready()

    def compile(self, graph):
        """The graph as one XLA program; op by op where results are to be exact, for XLA fuses and reorders as it sees fit."""
        program = lambda *arrays: evaluate(graph, arrays)
        if not debug.EXACT:
            program = jax.jit(program)

        def run(arrays):
            with self._context():
                return program(*arrays)

        return run

    def oracle(self, graph):
        """See `mlkit.backends.jax_adapter.oracle`."""
        from mlkit.backends.jax_adapter.oracle import oracle

        return oracle(graph)


def _name(device):
    return f"{device.platform}:{device.id}"
