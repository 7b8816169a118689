"""Compile the kernels that on_device.py launches where there is no GPU, so that a machine that has one only loads them:

python -m tests.cuda.precompile sm_90 [--out FOLDER]

Its parts are run over the double of CuPy, the deep networks with two images, and NVRTC compiles each kernel that they ask for. on_device.py
finds the folder if it lies beside it as `caches`. What it holds counts for that architecture and that version of NVRTC; kernels that are
not in it are compiled on the spot.
"""

import argparse
import importlib
import os
import pathlib
import types

import mlkit
from mlkit.backends.native.cuda.cudnn.weights import LaunchedWeights
from mlkit.backends.native.cuda.device import Cuda
from mlkit.backends.native.cuda.module import of_architecture
from mlkit.backends.native.cuda.movement import StridedCopy
from mlkit.backends.native.cuda.recurrent import LaunchedCells
from mlkit.backends.native.cuda.row import KernelRow
from tests.cuda import on_device_checks as checks
from tests.cuda import on_device_times as times
from tests.cuda.double import CountedCells, CountedWeights, DoubleOfGpu, Interpreted, backend_of, by_numpy
from tests.cuda.test_steps import first_steps

TOGETHER = 100  # kernels of one file


class Noting(Interpreted):
    """Keeps what is asked for. Chains are computed by NumPy; kernels of rows do nothing."""

    def function(self, name):
        return super().function(name) if self.computes(name) else lambda blocks, threads, args: None


class NotingGpu(DoubleOfGpu):
    """A double that launches the kernels of rows into nothing, and then computes what they would have."""

    most_blocks = 16 * 132  # of an H200

    def __init__(self):
        super().__init__(Noting())
        launch = StridedCopy(self)
        self._strided_copy = lambda array, out: launch(array, out) and False  # CuPy copies
        self.blas = types.SimpleNamespace(product=lambda *_: None, products=lambda *_: None)
        self.recurrent_weights = _Both(LaunchedWeights(self), CountedWeights())

    def rows(self):
        rows = Cuda.rows(self)
        for row in rows:
            if isinstance(row, KernelRow):
                row.launch = _both(row.launch, by_numpy(row))
        return rows

    def cells(self, plain):
        return _Both(LaunchedCells(self), CountedCells())


class _Both:
    """What calls the method of one and then that of another, whose result counts."""

    def __init__(self, first, second):
        self._first, self._second = first, second

    def __getattr__(self, name):
        return _both(getattr(self._first, name), getattr(self._second, name))


def _both(first, second):
    def run(*args, **kwargs):
        first(*args, **kwargs)
        return second(*args, **kwargs)

    return run


def _deep(machine):
    """ResNet50, which is only timed on a GPU."""
    for policy in ("float32", "mixed_bfloat16"):
        mlkit.config.set_dtype_policy(policy)
        first_steps("resnet50", machine.gpu, machine.use, count=1)
    mlkit.config.set_dtype_policy("float32")


WORK = {  # name -> (part, whether as little of it as comes to its end is enough)
    "captured": (checks.captured, True),
    "statistics": (checks.statistics, False),
    "demo": (checks.demo, True),
    "first steps": (checks.first_steps, False),
    "fine-tuning": (checks.fine_tuning, True),
    "kernels": (times.kernels, True),
    "resnet50": (_deep, True),
    "samples": (checks.samples, False),
}


def collect(names=WORK):
    """Yield (name of a part, the kernels that it asks for and none before did)."""
    device, known = NotingGpu(), set()
    gpu = backend_of(device)
    for name in names:
        part, quick = WORK[name]
        part(checks.Machine(True, quick, checks.Found(), gpu))
        new = {n: k for n, k in device.modules.kernels.items() if n not in known}
        known |= set(new)
        yield name, list(new.values())


def keep(kernels, modules):
    """Have `Modules` compile what its folder does not have."""
    for start in range(0, len(kernels), TOGETHER):
        some = kernels[start : start + TOGETHER]
        for kernel in some:
            modules.want(kernel)
        modules.function(some[0].name)


class Unloaded:
    """Machine code that is loaded nowhere."""

    def __init__(self, code):
        pass

    def get_function(self, name):
        return name


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture", help="such as sm_90")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).with_name("caches")))
    parser.add_argument("--parts", nargs="*", choices=WORK, default=list(WORK), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    os.environ["MLKIT_HOME"] = options.out
    modules = of_architecture(importlib.import_module("cupy").cuda.nvrtc, options.architecture, Unloaded)
    for name, kernels in collect(options.parts):
        keep(kernels, modules)
        print(f"{name}: {len(kernels)} kernels, {modules.compiled} compiled so far", flush=True)
    size = sum(p.stat().st_size for p in pathlib.Path(options.out).rglob("*") if p.is_file())
    print(f"{options.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
