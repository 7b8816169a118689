"""Finds cuDNN and loads all its parts from one folder.

`libcudnn.so.9` loads its parts by name, so one of another version that lies on LD_LIBRARY_PATH gets among them, which ends in
CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH. Parts that are there already are not looked for: they are loaded by their full paths first.
"""

import contextlib
import ctypes
import glob
import importlib
import importlib.util
import os
import warnings

from mlkit.core.deferred import Deferred

plans = Deferred("mlkit.backends.native.cuda.cudnn.plans")

_OLDEST = 91300
WITHOUT = "convolutions are computed as products of matrices, slower"
_PIP = 'pip install "mlkit-engine[cuda]"'


class Unusable(RuntimeError):
    """cuDNN cannot be used, for a reason that is the text."""


def plans_of(device):
    """The plans of a GPU, or None where there is no cuDNN, which is said once."""
    try:
        return plans.GpuPlans(device, load(installed_in()))
    except Unusable as error:
        warnings.warn(f"{device.name} computes without cuDNN: {error}; {WITHOUT}.", stacklevel=2)
        return None


def installed_in():
    """The folder of cuDNN's package, or None."""
    with contextlib.suppress(ModuleNotFoundError):  # there is no package of NVIDIA's at all
        spec = importlib.util.find_spec("nvidia.cudnn")
        for place in spec.submodule_search_locations if spec else ():
            for name in ("lib", "bin"):
                if parts_in(folder := os.path.join(place, name)):
                    return folder
    return None


def parts_in(folder):
    """Paths of cuDNN's parts in a folder, the one that loads the others last."""
    found = glob.glob(os.path.join(folder, "libcudnn*.so.9"))
    return sorted(found, key=len, reverse=True)


def loaded_from(paths):
    """The folders that those of some paths of libraries lie in which are cuDNN's."""
    return sorted({os.path.dirname(os.path.realpath(path)) for path in paths if os.path.basename(path).startswith("libcudnn")})


def load(folder, paths=None):
    """NVIDIA's module for cuDNN's graphs, with all parts of the library from one folder.

    Args:
        folder: Where the package lies, or None where it is not installed.
        paths: Function that gives the paths of the libraries in this process.

    Raises:
        Unusable: It cannot be used.
    """
    if folder is None:
        raise Unusable(f"it is not installed ({_PIP})")
    paths = paths or _in_this_process
    _refuse_mixture(loaded_from(paths()), folder)
    try:
        for part in parts_in(folder):
            ctypes.CDLL(part)
    except OSError as error:
        raise Unusable(f"it cannot be loaded ({error}; {_PIP})") from error
    with _no_search_path():  # where NVIDIA's module looks for the library before it looks here
        try:
            cudnn = importlib.import_module("cudnn")
        except ImportError as error:
            raise Unusable(f"its Python module cannot be imported ({error}; pip install nvidia-cudnn-frontend)") from error
    _refuse_mixture(loaded_from(paths()), folder)
    if cudnn.backend_version() < _OLDEST:
        raise Unusable(f"it is version {dotted(cudnn.backend_version())}, and {dotted(_OLDEST)} or newer is needed ({_PIP})")
    return cudnn


def _refuse_mixture(places, folder):
    others = [place for place in places if place != os.path.realpath(folder)]
    if others:
        raise Unusable(mixture([*others, folder]))


def mixture(places):
    """What is said where parts come from several folders."""
    return (
        f"parts of it come from several folders ({', '.join(places)}), which ends in CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH: take "
        "the other folder from LD_LIBRARY_PATH, or uninstall the other cuDNN"
    )


def dotted(version):
    """91300 -> "9.13.0"."""
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


def _in_this_process():
    try:
        with open("/proc/self/maps") as maps:
            return sorted({"/" + line.rstrip("\n").partition("/")[2] for line in maps if "libcudnn" in line})
    except OSError:
        return []


@contextlib.contextmanager
def _no_search_path():
    path = os.environ.pop("LD_LIBRARY_PATH", None)
    try:
        yield
    finally:
        if path is not None:
            os.environ["LD_LIBRARY_PATH"] = path
