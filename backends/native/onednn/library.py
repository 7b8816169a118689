"""Finding and loading oneDNN, the signatures of its functions, and the engine and the stream of this process."""

import contextlib
import ctypes
import functools
import os
import site
import sys
import warnings

from mlkit.backends.native.onednn import constants as c
from mlkit.core import debug
from mlkit.core.deferred import Deferred

util = Deferred("ctypes.util")  # takes as long to import as half of this library

PRIMITIVES_KEPT = 128  # that nobody uses any more, by oneDNN itself, which keeps 1,024 else
OLDEST = 3, 1  # the first version that has all that is used here
TURNS = 5000  # that a thread of OpenMP's looks for work before it sleeps; "a thread that waits need not hold a core" (performance.md)


class OneDnnError(RuntimeError):
    """oneDNN refused a call; `status` 3 means that it has no implementation."""

    def __init__(self, function, status):
        super().__init__(f"oneDNN: {function} failed with status {status} ({_STATUS.get(status, 'unknown')}).")
        self.status = status


_STATUS = {1: "out of memory", 2: "invalid arguments", 3: "unimplemented", 4: "last implementation reached", 5: "runtime error"}


class Library:
    """The loaded library.

    call(name, *args) calls a function and raises OneDnnError where it fails; `engine`, `stream`: handles; `version`, `path`.
    """

    def __init__(self, path):
        self.path = path
        with _brief_waits():
            self._dll = ctypes.CDLL(path)
        self.version = self._read_version()
        if self.version < OLDEST or self.version >= (4,):
            raise OSError(f"oneDNN {'.'.join(map(str, self.version))} at {path} is none of versions 3.1 to 3.x")
        self.execute = self._dll.dnnl_primitive_execute
        self.execute.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        self.set_handle = self._dll.dnnl_memory_set_data_handle
        self.set_handle.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._dll.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
        self._dll.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
        self.engine = self.make("dnnl_engine_create", ctypes.c_int(c.CPU), ctypes.c_size_t(0))
        self.stream = self.make("dnnl_stream_create", self.engine, ctypes.c_uint(c.IN_ORDER))
        self.call("dnnl_set_primitive_cache_capacity", ctypes.c_int(PRIMITIVES_KEPT))

    def _read_version(self):
        class Version(ctypes.Structure):
            _fields_ = [(name, ctypes.c_int) for name in ("major", "minor", "patch")]

        function = self._dll.dnnl_version
        function.restype = ctypes.POINTER(Version)
        v = function().contents
        return v.major, v.minor, v.patch

    def call(self, name, *args):
        status = getattr(self._dll, name)(*args)
        if status:
            raise OneDnnError(name, status)

    def make(self, name, *args):
        """A handle from a function whose first argument is where to put it."""
        handle = ctypes.c_void_p()
        self.call(name, ctypes.byref(handle), *args)
        return handle

    @property
    def multiplies_bfloat16(self):
        """Whether the processor has instructions for products of bfloat16 numbers, and oneDNN may use them. Without, it has
        some primitives for them all the same, slower than those for float32."""
        return bool(self.isa & c.ISA_AVX512_BF16)

    @property
    def has_avx512(self):
        """Whether oneDNN uses instructions for vectors of 512 bits."""
        return bool(self.isa & c.ISA_AVX512)

    @functools.cached_property
    def isa(self):
        """Bits of the instruction sets that oneDNN uses; 0 where that is not known."""
        name = "dnnl_get_effective_cpu_isa"
        return self.function(name)() if self.has(name) else 0

    def has(self, name):
        """Whether there is such a function, in the library or those it needs."""
        return hasattr(self._dll, name)

    def function(self, name):
        """A function as it is, for what cannot fail. Objects keep what frees them, which then works while Python shuts down."""
        return getattr(self._dll, name)


@contextlib.contextmanager
def _brief_waits():
    """A block in which OpenMP, which reads it while it is loaded, is told to wait briefly, unless the user has said how.

    By itself it looks for work for milliseconds, on a core that whoever it waits for may need.
    """
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = str(TURNS)
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def candidates():
    """Paths to try, best first: what MLKIT_ONEDNN names, the wheel, the system; none where it is switched off."""
    if _is_off():
        return
    if debug.ONEDNN:
        yield debug.ONEDNN
        return
    for prefix in dict.fromkeys([sys.prefix, site.getuserbase()]):
        path = os.path.join(prefix, "lib", "libdnnl.so.3")
        if os.path.exists(path):
            yield path
    system = util.find_library("dnnl")
    if system:
        yield system


def _is_off():
    return debug.ONEDNN in ("0", "off", "none")


def _with_remedy(reason):
    """What the loader said, with what to do where slim systems lack what nearly all have."""
    return f"{reason} (apt-get install libgomp1, or dnf install libgomp)" if "libgomp" in reason else reason


@functools.cache
def load():
    """(Library, None), or (None, why there is none)."""
    reasons = []
    for path in candidates():
        try:
            return Library(path), None
        except (OSError, AttributeError, OneDnnError) as error:
            reasons.append(_with_remedy(str(error)))
    if reasons:
        text = "; ".join(reasons)
        warnings.warn(f"oneDNN is installed, but cannot be loaded, and mlkit is slower without it: {text}", stacklevel=2)
        return None, text
    return None, "switched off by MLKIT_ONEDNN" if _is_off() else "not found (pip install onednn-cpu-gomp)"


def library():
    """The Library; None where there is none."""
    return load()[0]


def describe():
    """One line for `mlkit.show_config`."""
    lib, reason = load()
    return f"{'.'.join(map(str, lib.version))} at {lib.path}" if lib else reason
