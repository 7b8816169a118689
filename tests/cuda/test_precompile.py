"""Kernels that are compiled where there is no GPU are those that a GPU is asked for, and it finds them, whatever else it is asked for."""

import numpy as np
import pytest

from mlkit.backends.native.cuda.module import Modules
from mlkit.backends.native.cuda.row import Kernel
from mlkit.core.backend import _owners, register_arrays
from tests.cuda import fake_cupy, on_device, on_device_checks, precompile
from tests.cuda.double import backend_of


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A function that makes `Modules` as a new process has them, over one folder. What is compiled is the text itself."""
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))

    class Loaded:
        def __init__(self, code):
            self.text = code.decode()

        def get_function(self, name):
            assert f" {name}(" in self.text
            return name

    return lambda: Modules(str.encode, Loaded, "sm_90")


def kernels(*names):
    return [Kernel(f"mlkit_{name}", "float* x", f"*x = {len(name)}", ()) for name in names]


def ask(modules, kernels):
    for kernel in kernels:
        modules.want(kernel)
    return [modules.function(kernel.name) for kernel in kernels]


def test_a_program_finds_kernels_that_others_have_had_compiled(modules):
    ask(modules(), kernels("one", "two"))
    ask(modules(), kernels("three"))
    own = modules()
    assert ask(own, kernels("two", "three")) == ["mlkit_two", "mlkit_three"]
    assert own.compiled == 0
    ask(own, kernels("one", "four"))
    assert own.compiled == 1


def test_a_kernel_whose_text_has_changed_is_compiled_anew(modules):
    ask(modules(), kernels("one"))
    own = modules()
    own.want(Kernel("mlkit_one", "float* x", "*x = 7", ()))
    assert "mlkit_one" in own.function("mlkit_one")
    assert own.compiled == 1


@pytest.mark.parametrize("ending", ["cubin", "where"])
def test_files_that_are_damaged_or_gone_are_as_good_as_none(ending, modules, tmp_path):
    ask(modules(), kernels("one", "two"))
    first, *_ = sorted(tmp_path.rglob(f"*.{ending}"))
    first.write_bytes(first.read_bytes()[:-1])
    damaged = modules()
    ask(damaged, kernels("one", "two"))
    assert damaged.compiled == (2 if ending == "cubin" else 1)
    for file in tmp_path.rglob(f"*.{ending}"):
        file.unlink()
    gone = modules()
    ask(gone, kernels("one", "two"))
    assert gone.compiled == 2


def test_what_a_training_asks_for_was_compiled_before(modules, gpu):
    """A second double, as a GPU has it later, asks for no kernel that the first was not asked for."""
    first = modules()
    try:
        for _, found in precompile.collect(["captured"]):
            assert len(found) > 5
            precompile.keep(found, first)
        device, own = precompile.NotingGpu(), modules()
        found = on_device_checks.captured(on_device_checks.Machine(True, True, on_device_checks.Found(), backend_of(device)))
        assert found["graph equals kernels to the bit"]
        ask(own, device.modules.kernels.values())
        assert own.compiled == 0
    finally:
        register_arrays(fake_cupy.ndarray, gpu)
    assert first.compiled == len(device.modules.kernels)
    assert _owners[fake_cupy.ndarray] is gpu


def test_rows_compute_as_without_being_noted(gpu):
    backend = backend_of(precompile.NotingGpu())
    try:
        x = backend.adopt(np.arange(12.0, dtype="float32").reshape(3, 4))
        np.testing.assert_array_equal(
            backend.to_numpy(backend.kernels["cumsum"](x, axis=1)), np.cumsum(np.arange(12.0).reshape(3, 4), 1)
        )
        assert len(backend.device.modules.kernels) == 1
    finally:
        register_arrays(fake_cupy.ndarray, gpu)


def test_on_device_takes_the_folder_where_it_is_there(tmp_path):
    assert on_device._with_caches(tmp_path) == {"MLKIT_HOME": str(tmp_path)}
    assert on_device._with_caches(tmp_path / "none") == {}


def test_an_architecture_that_the_compiler_does_not_know_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MLKIT_HOME", "put back after the test")
    pytest.importorskip("cupy", reason='NVRTC comes with CuPy: pip install "mlkit-engine[cuda]"', exc_type=ImportError)
    with pytest.raises(RuntimeError, match=r"NVRTC refuses kernels for sm_1:[^$]*does not know this card.*cuda12"):
        precompile.main(["sm_1", "--out", str(tmp_path), "--parts", "captured"])
    assert not list(tmp_path.rglob("*.cubin"))
