"""Blocks in which the processor takes numbers too small for full precision for 0, as XLA does.

Gradients that vanish over many steps become such denormal numbers, and x86 processors take a hundred times as long for each.
"""

import ctypes
import functools
import platform
import sys

_FLUSH_TO_ZERO, _DENORMALS_ARE_ZERO = 1 << 15, 1 << 6  # bits of the register mxcsr


class _Environment(ctypes.Structure):
    """C's `fenv_t` on x86-64 with Linux: 28 bytes of the old coprocessor, and the register that SSE and AVX obey."""

    _fields_ = [("x87", ctypes.c_uint8 * 28), ("mxcsr", ctypes.c_uint32)]


class Flushed:
    """A block in which denormal numbers are 0 for the thread that enters it. Elsewhere than on x86-64 with Linux it changes nothing."""

    def __enter__(self):
        self._old = None
        functions = _functions()
        if functions is not None:
            get, put = functions
            self._old = _Environment()
            get(ctypes.byref(self._old))
            new = _Environment.from_buffer_copy(self._old)
            new.mxcsr |= _FLUSH_TO_ZERO | _DENORMALS_ARE_ZERO
            put(ctypes.byref(new))

    def __exit__(self, *_):
        if self._old is not None:
            _functions()[1](ctypes.byref(self._old))


@functools.cache
def _functions():
    """C's functions that read and write the environment of floating-point numbers; None where its form is not known."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    try:
        libm = ctypes.CDLL("libm.so.6")
        return libm.fegetenv, libm.fesetenv
    except (OSError, AttributeError):
        return None
