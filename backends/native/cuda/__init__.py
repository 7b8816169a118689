"""NVIDIA GPUs as further devices of the native engine: "cuda:0" beside "cpu:0".

The graph, its passes and the plan are those of the CPU; arrays are CuPy's, and the kernels those written once over an array module. Nothing
outside of this folder names CUDA. `library` finds what must be there and says in words what is missing; `device` is what plans ask of the
memory, `streams` in what order it computes, `captured` how a program becomes one launch, `uploads` how batches come there, `words` what
users are told; `chain` and `module` make kernels of chains of elementwise ops, `row` those in CUDA C; `backend` is what mlkit asks.
"""

import functools

from mlkit.backends.native.cuda import library
from mlkit.core.deferred import Deferred

_backend, _device = Deferred("mlkit.backends.native.cuda.backend"), Deferred("mlkit.backends.native.cuda.device")


def names():
    """Names of the GPUs that can be computed on."""
    return [f"cuda:{number}" for number in range(library.usable())]


def missing(kind):
    """Why there is no device of a kind, in words; "" where there is one, or where none could be."""
    reason = library.missing() if kind == "cuda" else ""
    return f"No GPU can be used: {reason}." if reason else ""


def libraries():
    """Name -> version and place of what computing on GPUs takes, or why none is used; and what GPUs there are."""
    found = library.find()
    cards = {} if found.module is None else {name: library.describe(found.module, i) for i, name in enumerate(names())}
    return {**({"CUDA": found.reason} if found.reason else {}), **found.versions, **cards}


@functools.cache
def backend(name, host):
    """The backend of one GPU. host: that of the CPU."""
    return _backend.CudaBackend(_device.Cuda(library.find().module, int(name.partition(":")[2])), host)
