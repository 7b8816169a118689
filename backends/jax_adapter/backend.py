"""The JAX backend: rows run op by op, whole graphs through jax.jit."""

import contextlib

import jax
import jax.numpy as jnp

from mlkit.backends.jax_adapter import meshes
from mlkit.backends.jax_adapter.evaluation import NOT_COMPILED, ROWS, compiled, evaluate, exact, x64
from mlkit.backends.jax_adapter.meshes import all_devices, name_of
from mlkit.backends.jax_adapter.oracle import oracle
from mlkit.core import debug, dtypes
from mlkit.core.backend import Backend
from mlkit.core.executable import Executable


class JaxBackend(Backend):
    """jax arrays, on one device unless they are laid out on a mesh of several."""

    name = "jax"

    def __init__(self, device=None):
        self._bound = device
        self._default = device is None
        self.kernels = {name: self._eager(name, row) for name, row in ROWS.items()}

    @property
    def _device(self):
        """The device that is used by default; JAX is not asked for it before it is needed, for then it knows its processes."""
        return self._bound or jax.local_devices()[0]

    def _context(self):
        stack = contextlib.ExitStack()
        stack.enter_context(exact())
        if not self._default:
            stack.enter_context(jax.default_device(self._device))
        return stack

    def _eager(self, name, row):
        program = row if name in NOT_COMPILED else compiled(row)
        if self._default:

            def kernel(*args, **params):
                with x64(True):
                    return program(*args, **params)

        else:

            def kernel(*args, **params):
                with self._context():
                    return program(*args, **params)

        return kernel

    def asarray(self, host, dtype, owned=False):
        with self._context():
            return jnp.array(host, dtypes.as_numpy(dtype))  # a copy: jnp.asarray may share the caller's memory

    def own(self, array):
        with self._context():
            return array if isinstance(array, jax.Array) else jnp.array(array)

    def to_numpy(self, array):
        return super().to_numpy(meshes.on_host(array) if isinstance(array, jax.Array) else array)

    @property
    def device_name(self):
        return name_of(self._device)

    def devices(self):
        return [name_of(d) for d in all_devices()]

    def on(self, device):
        chosen = next(d for d in all_devices() if name_of(d) == device)
        return self if chosen == self._device else JaxBackend(chosen)

    def device_of(self, array):
        """Of an array that lies on several: this backend's, if it is among them, else the first."""
        held = array.devices() if isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer) else ()
        return self.device_name if not held or self._device in held else name_of(min(held, key=lambda d: d.id))

    def place(self, array, layout, is_part=False):
        """An array of NumPy will do too: it is copied."""
        with self._context():
            return meshes.placed(array, layout, is_part)

    def sharding(self, layout):
        return meshes.sharding_of(layout)

    def join(self, addresses, num_processes, process_id):
        meshes.join(addresses, num_processes, process_id)

    def parts(self, array):
        return meshes.parts(array) if isinstance(array, jax.Array) else None

    def processes(self):
        return jax.process_count(), jax.process_index()

    def agreed(self, number):
        return meshes.agreed(number)

    def synchronize(self):
        (jax.device_put(0.0, self._device) + 0).block_until_ready()

    def compile(self, graph):
        """The graph as one XLA program; op by op where results are to be exact, for XLA fuses and reorders as it sees fit."""
        layouts = {number: meshes.sharding_of(layout) for number, layout in graph.layouts.items()}
        if debug.EXACT:
            by_op = super().compile(graph)
            program = lambda *arrays: [meshes.placed(a, layouts[i]) if i in layouts else a for i, a in enumerate(by_op(arrays))]
        else:
            shardings = [layouts.get(i) for i in range(len(graph.outputs))] if layouts else None
            program = jax.jit(lambda *arrays: evaluate(graph, arrays), out_shardings=shardings)

        def run(arrays):
            with self._context():
                return program(*arrays)

        return Executable(graph, run)

    def oracle(self, graph):
        """See `mlkit.backends.jax_adapter.oracle`."""
        return oracle(graph)
