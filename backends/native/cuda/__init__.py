"""NVIDIA GPUs as further devices of the native engine: "cuda:0" beside "cpu:0".

The graph, its passes and the plan are those of the CPU; arrays are CuPy's, and the kernels those written once over an array module. Nothing
outside of this folder names CUDA. `library` finds what must be there and says in words what is missing; `device` is what plans ask of the
memory; `backend` is what mlkit asks.
"""

from mlkit.backends.native.cuda.library import find, usable

__all__ = ["find", "usable"]
