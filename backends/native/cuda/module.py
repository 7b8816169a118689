"""From the text of kernels to functions on the GPU: NVRTC compiles all that are wanted at once, and a folder keeps what it made.

One call of the compiler takes a quarter of a second whatever it gets, so kernels are collected until the first of them is launched. Only
machine code (cubin) is loaded: a driver may be older than the PTX that NVRTC writes. Beside the machine code the folder has a note for each
kernel of which file it is in, so another program finds those that it has in common with one before.
"""

import threading

from mlkit.backends.native import kept
from mlkit.backends.native.cuda.expressions import HELPERS
from mlkit.backends.native.cuda.library import PIP, PIP_12
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
        self._loaded = {}  # name of a file -> module
        self.compiled = 0  # kernels that no file had
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
        kernels = [self._wanted[name] for name in sorted(self._wanted)]
        missing = []
        for kernel in kernels:
            module = self._from_folder(kernel)
            if module is None:
                missing.append(kernel)
            else:
                self._functions[kernel.name] = module.get_function(kernel.name)
        if missing:
            module = self._made(missing)
            self._functions.update((kernel.name, module.get_function(kernel.name)) for kernel in missing)
        self._wanted.clear()

    def _from_folder(self, kernel):
        """The module that has a kernel which was compiled before, or None."""
        name = (kept.read(self._note(kernel)) or b"").decode()
        if name and name not in self._loaded:
            code = kept.read(self._note(kernel).with_name(name))
            if code is None:
                return None
            self._loaded[name] = self._load(code)
        return self._loaded.get(name)

    def _made(self, kernels):
        """A new module, which the folder keeps."""
        text = whole_text(kernels)
        path = self._path(text, "cubin")
        code = self._compile(text)
        self.compiled += len(kernels)
        kept.write(path, code)
        for kernel in kernels:
            kept.write(self._note(kernel), path.name.encode())
        self._loaded[path.name] = module = self._load(code)
        return module

    def _note(self, kernel):
        """Where it is noted which file has a kernel."""
        return self._path(whole_text([kernel]), "where")

    def _path(self, text, ending):
        return kept.path_of("kernels", f"{self._key}\n{text}", ending)


def whole_text(kernels):
    """What is compiled for some kernels: each file that they stand on once."""
    parts = dict.fromkeys(part for kernel in kernels for part in kernel.parts)
    return "".join([HELPERS, *map(text_of, parts), *(kernel.text for kernel in kernels)])


def of_device(xp, number):
    """The `Modules` of one GPU, compiled by the NVRTC that CuPy has loaded."""

    def load(code):
        with xp.cuda.Device(number):
            module = xp.cuda.function.Module()
            module.load(code)
        return module

    return of_architecture(xp.cuda.nvrtc, f"sm_{xp.cuda.Device(number).compute_capability}", load)


def of_architecture(nvrtc, architecture, load):
    """The `Modules` of an architecture such as "sm_90"."""
    version = ".".join(map(str, nvrtc.getVersion()))
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
            said = nvrtc.getProgramLog(program)
            raise RuntimeError(f"NVRTC refuses kernels for {architecture}:\n{said}{_of_old_nvrtc(nvrtc, said)}") from error
        return nvrtc.getCUBIN(program)
    finally:
        nvrtc.destroyProgram(program)


def _of_old_nvrtc(nvrtc, said):
    """What to do where it does not know the card, as a sentence."""
    if "gpu-architecture" not in said:
        return ""
    version = ".".join(map(str, nvrtc.getVersion()))
    return (
        f"Version {version} of it does not know this card: newer ones come with {PIP}, or, for drivers of CUDA 12, {PIP_12}. "
        "MLKIT_DEVICE=cpu does without the GPU."
    )
