"""Is there an LLVM that can be used, and for which processor does it write? llvmlite brings it: no compiler is needed."""

import functools
import sys

from mlkit.core import debug
from mlkit.core.deferred import Deferred

PIP = 'pip install "mlkit-engine[jit]"'
OLDEST = (0, 46)

metadata = Deferred("importlib.metadata")
binding = Deferred("llvmlite.binding")  # takes longer to import than mlkit: only the thread that compiles asks for it
ir = Deferred("llvmlite.ir")


@functools.cache
def _version():
    """The version of the installed llvmlite as a text, or None."""
    try:
        return metadata.version("llvmlite")
    except metadata.PackageNotFoundError:
        return None


def missing():
    """In words, why loops do not become native code; "" where they do."""
    if debug.JIT == "off":
        return "switched off by MLKIT_JIT"
    if sys.byteorder != "little":
        return "only for little-endian processors"
    version = _version()
    if version is None:
        return f"not installed ({PIP})"
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        return f"llvmlite {version} is older than {'.'.join(map(str, OLDEST))} ({PIP})"
    return ""


def describe():
    """A line for `mlkit.show_config`."""
    return missing() or f"llvmlite {_version()}"


class Machine:
    """The processor that is compiled for.

    key: a text of all that machine code depends on besides the module's text; vector: bytes of its widest registers.
    """

    def __init__(self):
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        self._name, features = binding.get_host_cpu_name(), binding.get_host_cpu_features()
        self._features = features.flatten()
        self._target = binding.Target.from_default_triple()
        self.vector = 64 if features.get("avx512f") else 32 if features.get("avx") else 16
        self.key = f"{_version()} {self._target.triple} {self._name} {self._features}"

    def model(self):
        """LLVM's model of it, a new one: an engine takes its own with it when it goes."""
        return self._target.create_target_machine(
            cpu=self._name, features=self._features, opt=3, reloc="static", codemodel="jitdefault", jit=True
        )


@functools.cache
def machine():
    return Machine()
