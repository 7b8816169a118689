"""NativeBackend: what mlkit asks of a backend, answered by the modules of this folder."""

import numpy as np

from mlkit.backends.native import elementwise_out, out_kernels, processes, threads
from mlkit.backends.native.arena import Arena
from mlkit.backends.native.check import checked
from mlkit.backends.native.compile import compile_graph
from mlkit.backends.native.cpu import CPU
from mlkit.backends.native.onednn.library import describe
from mlkit.backends.native.table import build_kernels
from mlkit.backends.native.target import NativeTarget
from mlkit.core import debug, dtypes
from mlkit.core.backend import Backend
from mlkit.core.deferred import Deferred

llvm = Deferred("mlkit.backends.native.jit.library")  # asked for by loops, and by who wants to know what there is


class NativeBackend(Backend):
    """Arrays of a device, the CPU's NumPy unless it is said.

    device: what plans ask of it; others: of the CPU, a module that knows further devices, with `names`, `backend` and `libraries`.
    table: op name -> kernel of its arrays; kernels: the same for callers who may have other arrays.
    """

    name = "native"
    joins_by_mpi = True

    def __init__(self, device=CPU, others=None):
        self.device, self.xp, self.others = device, device.xp, others
        device.backend = self
        self.table = self.kernels = build_kernels(device)
        if debug.CHECK:
            plain = self.table
            self.table = self.kernels = {name: checked(name, kernel, plain) for name, kernel in plain.items()}
        self.elementwise_out, self.out_kernels = elementwise_out.make(self.xp), out_kernels.make(self.xp)
        self.target = NativeTarget(self.table, self.elementwise_out, device)
        self.arena = Arena(device)

    def devices(self):
        return [*(self.others.names() if self.others else ()), self.device.name]

    def on(self, device):
        return self if device == self.device.name else self.others.backend(device, host=self)

    def missing(self, kind):
        return self.others.missing(kind) if self.others else ""

    @property
    def device_name(self):
        return self.device.name

    def default(self):
        return self.on(processes.own_device(self.devices()))

    def asarray(self, host, dtype, owned=False):
        return (np.asarray if owned else np.array)(host, dtypes.as_numpy(dtype))

    def borrow(self, host, dtype):
        array = np.asarray(host, dtypes.as_numpy(dtype))
        return array if array.flags.aligned else array.copy()

    def own(self, array):
        return np.array(array if isinstance(array, np.ndarray) else self.to_numpy(array))

    def adopt(self, array):
        """An array of the device from one of another."""
        return np.asarray(self.to_numpy(array))

    def join(self, addresses, num_processes, process_id):
        processes.join(self.device, addresses, num_processes, process_id)

    def processes(self):
        return processes.count_and_rank()

    def agreed(self, number):
        return processes.of_first(number)

    def num_threads(self):
        return threads.count()

    def set_num_threads(self, number):
        threads.choose(number)

    def libraries(self):
        return {
            "oneDNN": describe(),
            "LLVM": llvm.describe(),
            "MPI": processes.described(),
            "threads": str(threads.count()),
            **(self.others.libraries() if self.others else {}),
        }

    def compile(self, graph, inner=False):
        """A program of the graph. inner: of the body of a control-flow op."""
        return compile_graph(self, graph, inner)
