"""Kernels in CUDA C run on the host: compiled by g++ behind cuda_on_host.h, called as CuPy calls those on a GPU."""

import ctypes
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import numpy as np

from mlkit.backends.native.cuda.module import whole_text
from tests.cuda.fake_cupy import counts, ndarray

HEADER = pathlib.Path(__file__).with_name("cuda_on_host.h")
COMPILER = shutil.which("g++")
OPTIONS = tuple(os.environ.get("MLKIT_TEST_KERNELS", "-O1").split())  # of the compiler; see test_memory_errors.py


def compile_on_host(kernels, options=OPTIONS):
    """A `ctypes.CDLL` of kernels. kernels: name -> kernel."""
    entries = (_entry(name, kernel.text) for name, kernel in kernels.items())
    source = "\n".join(['#include "cuda_on_host.h"', whole_text(kernels.values()), *entries])
    key = hashlib.sha256(f"{HEADER.read_text()}{source}{options}".encode()).hexdigest()[:24]
    folder = pathlib.Path(tempfile.gettempdir()) / f"mlkit-kernels-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    library = folder / f"{key}.so"
    if not library.exists():
        text = folder / f"{key}.{os.getpid()}.cpp"
        text.write_text(source)
        part = text.with_suffix(".so")
        command = [
            COMPILER,
            *options,
            "-std=c++17",
            "-ffp-contract=off",
            "-w",
            "-shared",
            "-fPIC",
            f"-I{HEADER.parent}",
            "-o",
            part,
            text,
        ]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
        os.replace(part, library)
    return ctypes.CDLL(str(library))


def _entry(name, text):
    """A function of C that unpacks the arguments of a kernel and launches it."""
    parameters = re.search(rf"\b{name}\(([^)]*)\) \{{", text[text.index("__global__") :]).group(1)
    kinds = [p.rsplit(" ", 1)[0].replace("__restrict__", "") for p in parameters.split(", ")]
    passed = ", ".join(f"*({kind}*)p[{i}]" for i, kind in enumerate(kinds))
    return (
        f'extern "C" const char* run_{name}(unsigned* blocks, unsigned* threads, int order, void** p) {{\n'
        f"  return host::launch(dim3(blocks[0], blocks[1], blocks[2]), dim3(threads[0], threads[1], threads[2]), order, "
        f"[=] {{ {name}({passed}); }});\n}}\n"
    )


class HostModules:
    """What `module.Modules` is, on the host. order: of the threads in a block, see cuda_on_host.h."""

    def __init__(self, order=0, options=OPTIONS):
        self.order, self.options = order, options
        self.kernels, self._functions = {}, {}

    def want(self, kernel):
        self.kernels.setdefault(kernel.name, kernel)

    def function(self, name):
        if name not in self._functions:
            wanted = {n: t for n, t in self.kernels.items() if n not in self._functions}
            library = compile_on_host(wanted, self.options)
            self._functions.update({n: self._launcher(library, n) for n in wanted})
        return self._functions[name]

    def _launcher(self, library, name):
        run = getattr(library, f"run_{name}")
        run.restype = ctypes.c_char_p

        def launch(blocks, threads, args):
            counts.launches += 1
            held = [_held(a) for a in args]
            pointers = (ctypes.c_void_p * len(held))(*(h.ctypes.data for h in held))
            sizes = [(ctypes.c_uint * 3)(*s, *(1,) * (3 - len(s))) for s in (blocks, threads)]
            wrong = run(*sizes, self.order, pointers)
            assert wrong is None, f"{name}: {wrong.decode()}"

        return launch


def _held(argument):
    """The memory of an argument: of an array its address, of a number its value."""
    if isinstance(argument, ndarray):
        return np.array([argument.data.ptr], "uint64")
    if isinstance(argument, np.ndarray):  # as CuPy has it: of one element, by value
        assert argument.size == 1, "only one element of an array of NumPy is an argument"
        return argument
    assert isinstance(argument, np.generic), f"an argument of a kernel must have a fixed size, but is {argument!r}"
    return np.array([argument])
