"""What is said where something is missing for computing on a GPU. None of these machines is at hand: they are described."""

import types
import warnings

import pytest

from mlkit.backends.native.cuda import library
from mlkit.backends.native.cuda.library import Found, System, search

COMPLETE = ("cupy-cuda13x", "nvidia-cudnn-cu13", "nvidia-cudnn-frontend")


class Machine(System):
    """A machine as it is described: driver (CUDA's version, GPUs) or None, packages, what importing CuPy gives."""

    def __init__(
        self,
        driver=(13020, 1),
        packages=("cupy-cuda13x", "nvidia-cudnn-cu13", "nvidia-cudnn-frontend"),
        card=True,
        nvrtc=True,
        cudnn=(),
    ):
        self._driver, self._card, self._nvrtc, self._cudnn = driver, card, nvrtc, cudnn
        self._packages = dict.fromkeys(packages, "1.2")

    def driver(self):
        return self._driver

    def has_card(self):
        return self._card

    def packages(self):
        return self._packages

    def load(self, name):
        if not self._nvrtc:
            raise ImportError("libnvrtc.so.13: cannot open shared object file")
        nvrtc = types.SimpleNamespace(getVersion=lambda: (13, 5))
        return types.SimpleNamespace(__file__="/site/cupy/__init__.py", cuda=types.SimpleNamespace(nvrtc=nvrtc))

    def loaded(self, part):
        return list(self._cudnn)


@pytest.mark.parametrize(
    "machine, says",
    [
        (Machine(driver=None, card=False), ["no NVIDIA GPU"]),
        (Machine(driver=None), ["there is an NVIDIA GPU, but no driver", "install NVIDIA's driver"]),
        (Machine(driver=(13000, 0)), ["for CUDA 13.0", "sees no GPU"]),
        (Machine(packages=()), ["no CuPy", 'pip install "mlkit-engine[cuda]"']),
        (Machine(driver=(12040, 1), packages=()), ['pip install "mlkit-engine[cuda12]"']),
        (Machine(driver=(12040, 1)), ["for CUDA 12.4", "needs one for CUDA 13.0", 'pip install "mlkit-engine[cuda12]"']),
        (Machine(packages=("cupy-cuda12x", "cupy-cuda13x")), ["2 packages of CuPy", "pip uninstall cupy-cuda12x cupy-cuda13x"]),
        (Machine(nvrtc=False), ["NVRTC", "libnvrtc.so.13", 'pip install "mlkit-engine[cuda]"']),
    ],
    ids=["nothing", "no driver", "no GPU", "no CuPy", "no CuPy, old driver", "old driver", "two CuPys", "no NVRTC"],
)  # fmt: skip
def test_why_no_gpu_is_used(machine, says):
    found = search(machine)
    assert found.module is None
    assert [text for text in says if text not in found.reason] == []


def test_an_old_driver_is_enough_for_the_older_packages():
    assert search(Machine(driver=(12040, 2), packages=("cupy-cuda12x",))).devices == 2


def test_all_is_there():
    found = search(Machine(cudnn=["/site/nvidia/cudnn/lib/libcudnn.so.9", "/site/nvidia/cudnn/lib/libcudnn_cnn.so.9"]))
    assert found.reason == ""
    assert found.versions == {
        "driver": "for CUDA 13.2",
        "CuPy": "1.2, /site/cupy",
        "NVRTC": "13.5",
        "cuDNN": "1.2, nvidia-cudnn-frontend 1.2, /site/nvidia/cudnn/lib",
    }


def test_without_cudnn_it_is_slower_and_says_so():
    assert "slower" in search(Machine(packages=("cupy-cuda13x",))).versions["cuDNN"]


def test_without_the_module_of_cudnn_it_is_slower_and_says_so():
    assert "pip install nvidia-cudnn-frontend" in search(Machine(packages=COMPLETE[:2])).versions["cuDNN"]


def test_parts_of_cudnn_from_two_folders_are_named():
    found = search(Machine(cudnn=["/site/nvidia/cudnn/lib/libcudnn.so.9", "/usr/lib/libcudnn_cnn.so.9"]))
    assert "/usr/lib" in found.versions["cuDNN"]
    assert "SUBLIBRARY_VERSION_MISMATCH" in found.versions["cuDNN"]


@pytest.fixture
def asked(monkeypatch):
    """A function (what the search finds) -> the warnings of asking twice how many GPUs there are."""

    def asked(found):
        monkeypatch.setattr(library, "find", lambda: found)
        library._warn.cache_clear()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert library.usable() == library.usable() == 0
        return [str(w.message) for w in caught]

    yield asked
    library._warn.cache_clear()


def test_a_gpu_that_is_not_used_is_said_once(asked):
    (message,) = asked(search(Machine(packages=())))
    assert message.startswith("The CPU computes: there is a GPU, but no CuPy")
    assert "MLKIT_DEVICE=cpu" in message


def test_a_machine_without_a_gpu_is_silent(asked):
    assert asked(Found(None, 0, "there is no NVIDIA GPU, or no driver for it", {})) == []


def test_who_asks_for_the_cpu_is_told_nothing(asked, monkeypatch):
    monkeypatch.setattr("mlkit.core.debug.DEVICE", "cpu")
    assert asked(search(Machine(packages=()))) == []


def test_a_gpu_is_described():
    from tests.cuda import fake_cupy

    assert library.describe(fake_cupy.module, 0) == (
        "a GPU that is not there, compute capability 9.0, 16384 MB free of 16384 MB"
    )
