"""The JAX backend: rows run op by op, whole graphs through jax.jit."""

import contextlib

import jax
import jax.numpy as jnp

from mlkit.backends.jax_adapter.evaluation import ROWS, evaluate, exact, x64
from mlkit.backends.jax_adapter.oracle import oracle
from mlkit.core import debug, dtypes
from mlkit.core.backend import Backend, Executable


class JaxBackend(Backend):
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
                with x64(True):
                    return row(*args, **params)

        else:

            def kernel(*args, **params):
                with self._context():
                    return row(*args, **params)

        return kernel

    def asarray(self, host, dtype, owned=False):
        with self._context():
            return jnp.array(host, dtypes.as_numpy(dtype))  # a copy: jnp.asarray may share the caller's memory

    def own(self, array):
        with self._context():
            return array if isinstance(array, jax.Array) else jnp.array(array)

    @property
    def device_name(self):
        return _name(self._device)

    def devices(self):
        return [_name(d) for d in jax.devices()]

    def on(self, device):
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

        return Executable(graph, run)

    def oracle(self, graph):
        """See `mlkit.backends.jax_adapter.oracle`."""
        return oracle(graph)


def _name(device):
    return f"{device.platform}:{device.id}"
