"""From the text of kernels to functions on the GPU: NVRTC compiles all that are wanted at once, and a folder keeps what it made.

One call of the compiler takes a quarter of a second whatever it gets, so kernels are collected until the first of them is launched. Only
machine code (cubin) is loaded: a driver may be older than the PTX that NVRTC writes.
"""

import threading

from mlkit.backends.native import kept
from mlkit.backends.native.cuda.expressions import HELPERS
from mlkit.backends.native.cuda.row import text_of

OPTIONS = ("--std=c++17",)


class Modules:
    """The kernels of one GPU.

    Args:
        compile: Function (text) -> machine code.
        load: Function (machine code) -> object with `get_function(name)`.
        key: What machine code depends on besides the text, as text: architecture and version of the compiler.
    """

    def __init__(self, compile, load, key):
        self._compile, self._load, self._key = compile, load, key
        self._wanted, self._functions = {}, {}  # name -> kernel; name -> function
        self._lock = threading.Lock()

    def want(self, kernel):
        """Have a kernel ready for `function`: anything with a `name`, a `text`, and `parts`, the files that the text stands on."""
        with self._lock:
            if kernel.name not in self._functions:
                self._wanted[kernel.name] = kernel

    def function(self, name):
        """The function of a kernel that was wanted; all that are wanted so far are compiled with it."""
        found = self._functions.get(name)
        if found is None:
            with self._lock:
                self._make_all()
                found = self._functions[name]
        return found

    def _make_all(self):
        if not self._wanted:
            return
        names = sorted(self._wanted)
        text = whole_text([self._wanted[name] for name in names])
        module = self._load(self._code(text))
        self._functions.update((name, module.get_function(name)) for name in names)
        self._wanted.clear()

    def _code(self, text):
        """The machine code of a text, from the folder if it has been compiled before."""
        path = kept.path_of("kernels", f"{self._key}\n{text}", "cubin")
        code = kept.read(path)
        if code is None:
            code = self._compile(text)
            kept.write(path, code)
        return code


def whole_text(kernels):
    """What is compiled for some kernels: each file that they stand on once."""
    parts = dict.fromkeys(part for kernel in kernels for part in kernel.parts)
    return "".join([HELPERS, *map(text_of, parts), *(kernel.text for kernel in kernels)])


def of_device(xp, number):
    """The `Modules` of one GPU, compiled by the NVRTC that CuPy has loaded."""
    nvrtc = xp.cuda.nvrtc
    architecture = f"sm_{xp.cuda.Device(number).compute_capability}"
    version = ".".join(map(str, nvrtc.getVersion()))

    def load(code):
        with xp.cuda.Device(number):
            module = xp.cuda.function.Module()
            module.load(code)
        return module

    return Modules(lambda text: compiled(nvrtc, text, architecture), load, f"{architecture} {version}")


def compiled(nvrtc, text, architecture, options=()):
    """The machine code of a text for an architecture such as "sm_90".

    Raises:
        RuntimeError: The compiler refuses the text; what it says is in the message.
    """
    program = nvrtc.createProgram(text, "mlkit.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", *OPTIONS, *options])
        except nvrtc.NVRTCError as error:
            raise RuntimeError(f"NVRTC refuses kernels for {architecture}:\n{nvrtc.getProgramLog(program)}") from error
        return nvrtc.getCUBIN(program)
    finally:
        nvrtc.destroyProgram(program)
