"""The native engine: kernels over NumPy and oneDNN, and plans that run whole graphs of them."""

from mlkit.backends.native import cuda
from mlkit.backends.native.backend import NativeBackend


def make_backend():
    """The backend for this machine."""
    return NativeBackend(others=cuda)
