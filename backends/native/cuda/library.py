"""Is there a GPU that can be computed on, and if not, why? CuPy is imported only where there is a driver that sees one.

What must be there: NVIDIA's driver, and the packages of the extra `cuda` (CuPy with CUDA's libraries beside it as wheels). No toolkit,
no LD_LIBRARY_PATH, no compiler.
"""

import contextlib
import ctypes
import functools
import importlib
import os
import pathlib
import sys
import warnings
from typing import NamedTuple

from mlkit.core import debug
from mlkit.core.deferred import Deferred

metadata = Deferred("importlib.metadata")
cudnn = Deferred("mlkit.backends.native.cuda.cudnn.library")  # only where there is a GPU

PIP = 'pip install "mlkit-engine[cuda]"'
PIP_12 = 'pip install "mlkit-engine[cuda12]"'
NCCL = 'pip install "mlkit-engine[cuda-nccl]" (beside CUDA 12: "mlkit-engine[cuda12-nccl]")'
_OLDEST_DRIVER = 13000  # CUDA's version that a driver must know for wheels of CUDA 13; 12000 for those of CUDA 12


class Found(NamedTuple):
    """What the search came to.

    module     CuPy, or None where no GPU can be used
    devices    how many GPUs there are
    reason     in words, why none can be used, or what is missing that would make it faster; "" where all is there
    versions   name -> version and place of each library that was found
    """

    module: object
    devices: int
    reason: str
    versions: dict


class System:
    """What is asked of this machine. Tests ask another one."""

    def driver(self):
        """(CUDA's version that the driver knows, number of GPUs); None without a driver, (version, 0) where it sees no GPU."""
        name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            return None
        version, devices = ctypes.c_int(), ctypes.c_int()
        driver.cuDriverGetVersion(ctypes.byref(version))
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(devices)):
            return version.value, 0
        return version.value, devices.value

    def has_card(self):
        """Whether the system lists a card, whatever drivers there are."""
        places = ("/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/nvhost-gpu")
        return any(map(os.path.exists, places)) or any(map(_is_of_nvidia, pathlib.Path("/sys/bus/pci/devices").glob("*")))

    def packages(self):
        """Name -> version of the installed packages that matter."""
        found = {}
        for name in _PACKAGES:
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
        return found

    def load(self, name):
        """A module, by its name."""
        return importlib.import_module(name)

    def place(self, package, library):
        """The folder in which an installed package has a shared library whose name begins so, or None."""
        files = metadata.files(package) or ()
        found = next((file.locate() for file in files if file.name.startswith(library)), None)
        return None if found is None else os.path.dirname(os.path.realpath(found))

    def loaded(self, part):
        """Paths of shared libraries in this process whose names contain a text."""
        try:
            with open("/proc/self/maps") as maps:
                paths = {line.rstrip("\n").partition("/")[2] for line in maps if part in line}
        except OSError:
            return []
        return sorted(f"/{p}" for p in paths if p)


_PACKAGES = (
    "cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12", "nvidia-cublas",
    "nvidia-cublas-cu12", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "nvidia-cudnn-frontend", "nvidia-nccl-cu12", "nvidia-nccl-cu13",
)  # fmt: skip


def _is_of_nvidia(device):
    """Whether a device of the PCI bus is a graphics card of NVIDIA's."""
    try:
        return (device / "vendor").read_text().strip() == "0x10de" and (device / "class").read_text().startswith("0x03")
    except OSError:
        return False


def search(system):
    """A `Found`, from what a `System` answers.

    >>> class Bare(System):
    ...     def driver(self):
    ...         return None
    ...
    ...     def has_card(self):
    ...         return False
    >>> search(Bare()).reason
    'there is no NVIDIA GPU, or no driver for it'
    """
    driver = system.driver()
    if driver is None:
        reason = "there is no NVIDIA GPU, or no driver for it"
        if system.has_card():
            reason = (
                "there is an NVIDIA GPU, but no driver (libcuda.so.1): install NVIDIA's driver, or in a container its runtime"
            )
        return Found(None, 0, reason, {})
    version, devices = driver
    if not devices:
        return Found(None, 0, f"NVIDIA's driver (for CUDA {_dotted(version)}) sees no GPU", {})
    packages = system.packages()
    wheels = [name for name in packages if name.startswith("cupy")]
    if not wheels:
        return Found(None, devices, f"there is a GPU, but no CuPy: {PIP if version >= _OLDEST_DRIVER else PIP_12}", packages)
    if len(wheels) > 1:
        others = " ".join(wheels)
        return Found(
            None,
            devices,
            f"{len(wheels)} packages of CuPy are in each other's way: pip uninstall {others}, then {PIP}",
            packages,
        )
    if wheels[0].endswith("13x") and version < _OLDEST_DRIVER:
        return Found(
            None,
            devices,
            f"the driver is for CUDA {_dotted(version)}, but {wheels[0]} needs one for CUDA {_dotted(_OLDEST_DRIVER)} (580 or newer): "
            f"update the driver, or pip uninstall {wheels[0]} and {PIP_12}",
            packages,
        )
    try:
        cupy = system.load("cupy")
        nvrtc = cupy.cuda.nvrtc.getVersion()
    except Exception as error:  # whatever a broken installation raises: it is said, and the CPU computes
        missing = "NVRTC, CUDA's compiler at run time," if "nvrtc" in str(error).lower() else wheels[0]
        return Found(None, devices, f"{missing} cannot be loaded ({error}): {PIP}", packages)
    versions = {
        "driver": f"for CUDA {_dotted(version)}",
        "CuPy": f"{packages[wheels[0]]}, {os.path.dirname(getattr(cupy, '__file__', None) or '?')}",
        "NVRTC": _with_place(".".join(map(str, nvrtc)), system, packages, "nvidia-cuda-nvrtc", "libnvrtc.so"),
        "cuBLAS": _with_place(None, system, packages, "nvidia-cublas", "libcublas.so"),
        "cuDNN": _cudnn(system, packages),
        "NCCL": _nccl(system, packages),
    }
    return Found(cupy, devices, "", versions)


def _with_place(version, system, packages, package, library):
    """Version and place of a library of CUDA's. version: what it says itself, or None for that of its package."""
    name = next((name for name in packages if name.startswith(package)), None)
    if name is None:
        return f"{version or 'that'} of this system: there is no package {package} ({PIP})"
    return ", ".join(filter(None, [version or packages[name], system.place(name, library)]))


def _cudnn(system, packages):
    """Version and place of cuDNN, or what its absence means."""
    places = cudnn.loaded_from(system.loaded("libcudnn"))
    if len(places) > 1:
        return cudnn.mixture(places)
    name = next((name for name in packages if name.startswith("nvidia-cudnn-cu")), None)
    if name is None:
        return f"not installed: {cudnn.WITHOUT}: {PIP}"
    if "nvidia-cudnn-frontend" not in packages:
        return f"{packages[name]}, but its Python module is not there: {cudnn.WITHOUT}: pip install nvidia-cudnn-frontend"
    place = next(iter(places), None) or cudnn.installed_in()
    frontend = f", nvidia-cudnn-frontend {packages['nvidia-cudnn-frontend']}"
    return f"{packages[name]}{frontend}" + (f", {place}" if place else "")


def _nccl(system, packages):
    """Version and place of NCCL, or what its absence means."""
    name = next((name for name in packages if name.startswith("nvidia-nccl")), None)
    if name is None:
        return f"no package: several processes need that of this system, if there is one, or {NCCL}"
    return ", ".join(filter(None, [packages[name], system.place(name, "libnccl.so")]))


def _dotted(version):
    """13020 -> "13.2"."""
    return f"{version // 1000}.{version % 1000 // 10}"


@functools.cache
def find():
    """What there is on this machine; looked for once."""
    return search(System())


def usable():
    """How many GPUs can be computed on. Says once, as a warning, why none can although there is one.

    None is looked for where MLKIT_DEVICE says that the CPU computes.
    """
    if debug.DEVICE.lower().startswith("cpu"):
        return 0
    found = find()
    if found.module is None:
        _warn(found.reason if found.devices or "driver (libcuda" in found.reason else "")
        return 0
    return found.devices


def missing():
    """In words, why no GPU can be used; "" where one can."""
    if debug.DEVICE.lower().startswith("cpu"):
        return f"MLKIT_DEVICE={debug.DEVICE} says that the CPU computes"
    return find().reason


@functools.cache
def _warn(reason):
    if reason:
        warnings.warn(f"The CPU computes: {reason}. (MLKIT_DEVICE=cpu says that this is meant.)", stacklevel=2)


def describe(module, number):
    """One line about a GPU: name, compute capability, memory."""
    properties, (free, total) = module.cuda.runtime.getDeviceProperties(number), _memory(module, number)
    name = properties["name"].decode(errors="replace")
    capability = f"{properties['major']}.{properties['minor']}"
    return f"{name}, compute capability {capability}, {free >> 20} MB free of {total >> 20} MB"


def _memory(module, number):
    with module.cuda.Device(number):
        return module.cuda.runtime.memGetInfo()
