"""What is said where something is missing for computing on a GPU. None of these machines is at hand: they are described."""

import subprocess
import sys
import types
import warnings

import pytest

import mlkit
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

    def place(self, package, library):
        return f"/site/{package}"

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
    machine = Machine(cudnn=["/site/nvidia/cudnn/lib/libcudnn.so.9", "/site/nvidia/cudnn/lib/libcudnn_cnn.so.9"])
    machine.packages().update({"nvidia-cuda-nvrtc": "13.5.37", "nvidia-cublas": "13.1", "nvidia-nccl-cu13": "2.32.3"})
    found = search(machine)
    assert found.reason == ""
    assert found.versions == {
        "driver": "for CUDA 13.2",
        "CuPy": "1.2, /site/cupy",
        "NVRTC": "13.5, /site/nvidia-cuda-nvrtc",
        "cuBLAS": "13.1, /site/nvidia-cublas",
        "cuDNN": "1.2, nvidia-cudnn-frontend 1.2, /site/nvidia/cudnn/lib",
        "NCCL": "2.32.3, /site/nvidia-nccl-cu13",
    }


def test_libraries_that_are_not_packages_are_said_to_be_of_the_system():
    found = search(Machine()).versions
    assert found["NVRTC"].startswith("13.5 of this system: there is no package nvidia-cuda-nvrtc")
    assert 'pip install "mlkit-engine[cuda]"' in found["cuBLAS"]
    assert found["NCCL"].startswith("no package: several processes need")
    assert 'pip install "mlkit-engine[cuda-nccl]"' in found["NCCL"]


def test_the_place_of_a_library_is_found_by_its_package():
    assert System().place("numpy", "__init__").endswith("numpy")
    assert System().place("numpy", "libcublas") is None


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


@pytest.mark.filterwarnings("default:The CPU computes:UserWarning")  # said once in a process
@pytest.mark.parametrize("name", ["gpu", "cuda:0"])
def test_who_asks_for_a_gpu_is_told_why_there_is_none(name, monkeypatch):
    monkeypatch.setattr(library, "find", lambda: search(Machine(packages=())))
    monkeypatch.setattr("mlkit.core.debug.DEVICE", "")
    with pytest.raises(
        ValueError, match=f"set_device: there is no '{name}' .*cpu:0. No GPU can be used: there is a GPU, but no CuPy: pip"
    ):
        mlkit.config.set_device(name)
    monkeypatch.setattr("mlkit.core.debug.DEVICE", "cpu")
    with pytest.raises(ValueError, match="No GPU can be used: MLKIT_DEVICE=cpu says that the CPU computes"):
        mlkit.config.set_device(name)


def test_show_config_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(library, "find", lambda: search(Machine(packages=())))
    mlkit.show_config()
    assert "there is a GPU, but no CuPy: pip install" in capsys.readouterr().out


def test_importing_mlkit_imports_no_cupy():
    code = "import sys, mlkit; assert not {'cupy', 'cupyx'} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_gpu_is_described():
    from tests.cuda import fake_cupy

    assert library.describe(fake_cupy.module, 0) == (
        "a GPU that is not there, compute capability 9.0, 16384 MB free of 16384 MB"
    )
