"""A GPU of which there is none: the backend of "cuda:0" over the double of CuPy."""

import functools

import numpy as np

import mlkit.ops  # noqa: F401  # without it tensors have no operators, which fallbacks use
from mlkit.backends.native.backend import NativeBackend
from mlkit.backends.native.cpu import Cpu
from mlkit.backends.native.cuda.backend import CudaBackend
from mlkit.backends.native.cuda.cudnn.rnn import Networks
from mlkit.backends.native.cuda.device import Cuda
from mlkit.backends.native.cuda.multi_chain import MultiChainKernel
from mlkit.backends.native.cuda.row import KernelRow
from mlkit.backends.native.recurrent import Cells
from mlkit.backends.native.table import ByFallback
from mlkit.core import dtypes
from mlkit.core.backend import get_backend
from mlkit.core.state import swapped
from tests.cuda import fake_cupy
from tests.cuda.cudnn_double import PlansOfDouble
from tests.cuda.fake_cuda import memory_at, strict_linalg, submit
from tests.cuda.fake_cudnn_rnn import CudnnOfDouble

CPU = get_backend("native")  # asked for now: tests may put the double in its place


class Interpreted:
    """Compiles nothing: a kernel of a chain is computed step by step by NumPy, and counted as the one launch that it is."""

    def __init__(self):
        self.kernels = {}

    def want(self, kernel):
        self.kernels[kernel.name] = kernel

    def computes(self, name):
        """Whether a kernel is that of a chain, or of several."""
        return hasattr(self.kernels[name], "chain") or isinstance(self.kernels[name], MultiChainKernel)

    def function(self, name):
        kernel = self.kernels[name]
        table = CPU.table
        if isinstance(kernel, MultiChainKernel):
            return functools.partial(_by_table, kernel, table)

        def run(blocks, threads, args):
            n = kernel.chain.operands
            operands = [a._host for a in args[:n]]
            outs = [a._host for a in args[n:] if isinstance(a, fake_cupy.ndarray)]

            def compute():
                found = kernel.chain.run(operands, lambda op, xs, params: table[op.name](*xs, **params))
                for out, value in zip(outs, found):
                    np.copyto(out, value, casting="unsafe")

            fake_cupy.counts.launches += 1
            submit(compute, outs)

        return run


def _by_table(kernel, kernels, blocks, threads, args):
    """Several chains by NumPy, whose arrays are found by the pointers of the table."""
    table, count = args
    jobs = []
    for entry in table["tensors"][:count]:
        r = kernel.rules[entry["rule"]]
        whole = [*map(r.moves, range(len(r.specs))), *[True] * len(r.outs)]
        pointers = table["pointers"][entry["at"] : entry["at"] + len(whole)]
        arrays = [_at(int(p), int(entry["size"]) if w else 1, s.dtype) for p, w, s in zip(pointers, whole, (*r.specs, *r.outs))]
        jobs.append((r.chain, arrays[: len(r.specs)], arrays[len(r.specs) :]))

    def compute():
        for chain, operands, outs in jobs:
            found = chain.run(operands, lambda op, xs, params: kernels[op.name](*xs, **params))
            for out, value in zip(outs, found):
                np.copyto(out, value, casting="unsafe")

    fake_cupy.counts.launches += 1
    submit(compute, [a for *_, outs in jobs for a in outs])


def _at(pointer, size, dtype):
    """The array of NumPy at an address."""
    kind = dtypes.as_numpy(dtype)
    return np.frombuffer(memory_at(pointer, size * kind.itemsize), kind)


class DoubleOfGpu(Cuda):
    """Without modules that run kernels, those of rows are computed by NumPy, and counted as the launches that they are."""

    most_blocks = 4

    def __init__(self, modules=None, number=0):
        super().__init__(fake_cupy.module, number, modules or Interpreted())
        self.cudnn, self.networks = PlansOfDouble(), Networks(self, CudnnOfDouble())
        if type(self.modules) is Interpreted:
            self.copies_alone()
            self.recurrent_weights = CountedWeights()

    def copies_alone(self):
        """Have arrays made dense by CuPy, not by a kernel of ours."""
        self._strided_copy = lambda array, out: False

    def rows(self):
        rows = super().rows()
        if type(self.modules) is Interpreted:
            for row in rows:
                if isinstance(row, KernelRow):
                    row.launch = by_numpy(row)
        return rows

    def strict(self):
        return strict_linalg()

    def cells(self, plain):
        return CountedCells() if type(self.modules) is Interpreted else super().cells(plain)


class CountedCells:
    """The cells of recurrent nets by NumPy, each counted as the one launch that it is."""

    def __getattr__(self, name):
        cell = getattr(Cells(np), name)

        def run(*arrays):
            hosts = [a._host if isinstance(a, fake_cupy.ndarray) else a for a in arrays]
            fake_cupy.counts.launches += 1
            submit(lambda: cell(*hosts), [h for h in hosts if isinstance(h, np.ndarray)])

        return run


class CountedWeights:
    """The weights of cuDNN's recurrent nets copied by NumPy, all of them counted as the one launch that they are."""

    def fill(self, network, block, *ours):
        pairs = [*_weights(network, block, *ours)]

        def compute():
            for place, given in pairs:
                place[...] = 0 if given is None else given.T

        fake_cupy.counts.launches += 1
        submit(compute, [place for place, _ in pairs])

    def read(self, network, block, *ours):
        pairs = [*_weights(network, block, *ours)]

        def compute():
            for place, out in pairs:
                out.T[...] = place

        fake_cupy.counts.launches += 1
        submit(compute, [out for _, out in pairs])


def _weights(network, block, kernel, recurrent, bias):
    """(where it lies in the block, ours or None) of the matrix and the bias of each gate."""
    net, layout, kind = network.net, network.layout, kernel.dtype
    gates, u = len(layout.matrices) // 2, net.units
    bias = None if bias is None else bias._host.reshape(-1)
    for number, offset in enumerate(layout.matrices):
        ours = (kernel if number < gates else recurrent)._host
        place = np.ndarray((u, len(ours)), kind, block._host, offset)
        yield place, ours[:, number % gates * u : (number % gates + 1) * u]
    for number, offset in enumerate(layout.biases):
        place = np.ndarray((u,), kind, block._host, offset)
        yield place, None if bias is None else bias[number * u : (number + 1) * u]


def by_numpy(row):
    """What a row's `launch` is where its kernels are computed by NumPy."""
    return functools.partial(_by_numpy, row)


def _by_numpy(row, args, outs, params):
    fake_cupy.counts.launches += row.launches_for(*args, **params)
    hosts = [a._host if isinstance(a, fake_cupy.ndarray) else a for a in args]
    checks = [(*rest, row.device.fine(message)._host) for *rest, message in row.checks(*hosts, **params)]

    def compute():
        is_fine = True
        for index, low, end, flag in checks:
            inside = bool(np.all((index >= low) & (index < end)))
            flag[...] &= inside
            is_fine &= inside
        if not is_fine:
            return
        found = by_reference(row.name, hosts, params)
        for out, value in zip(outs, found if type(found) is tuple else (found,)):
            np.copyto(out._host, value, casting="unsafe")

    submit(compute, [o._host for o in outs] + [flag for *_, flag in checks])


class WithoutOneDnn(Cpu):
    """The CPU's kernels over NumPy alone: those that a GPU runs too, so that results can be compared to the last places."""

    def rows(self):
        return ()

    def channel_block(self):
        return None


def make_gpu(modules=None):
    """The backend of the GPU that is not there."""
    return backend_of(DoubleOfGpu(modules))


def backend_of(device):
    return CudaBackend(device, CPU)


@functools.cache
def make_reference():
    return NativeBackend(WithoutOneDnn(np))


def by_reference(name, args, params):
    """What the kernel of the reference for an op, or its fallback, makes of arrays of NumPy."""
    backend = make_reference()
    with swapped(backend=backend, kernels=backend.kernels), np.errstate(all="ignore"):
        return (backend.table.get(name) or ByFallback(name, np))(*args, **params)
