"""What users are told of memory, of errors and of old cards. The GPU is not there: its answers are given."""

import gc
import warnings

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.backends.native.cuda.backend import _adopting
from mlkit.core.backend import register_arrays
from tests.cuda import fake_cuda, fake_cupy
from tests.cuda.double import make_gpu

GB = 1 << 30


@pytest.fixture
def here(gpu, use):
    """A GPU of its own in force, whose memory nothing has been put in yet."""
    gc.collect()  # what other tests have left on the device
    fake_cupy.module.get_default_memory_pool().free_all_blocks()
    own = make_gpu()
    use(own)
    yield own
    register_arrays(fake_cupy.ndarray, gpu)


def big():
    model = mlkit.Sequential([mlkit.Input((1000,)), layers.Dense(4000, "tanh"), layers.Dense(1)], name="wide")
    model.compile("sgd", "mse")
    return model


def test_a_step_that_has_no_room_says_what_it_needs_and_which_batches_fit(here, monkeypatch):
    model, x = big(), np.zeros((512, 1000), "float32")
    model.train_on_batch(x[:2], x[:2, :1])
    before = [w.numpy() for w in model.weights]
    gc.collect()
    fake_cupy.module.get_default_memory_pool().free_all_blocks()
    monkeypatch.setattr(fake_cuda.runtime, "free", 6 << 20)
    with pytest.raises(MemoryError) as told:
        model.train_on_batch(x, x[:, :1])
    text = str(told.value)
    del told  # it holds the frames of the step, and these its arrays
    assert text.startswith("a training step of 'wide' needs ")
    assert "cuda:0 has" in text
    assert "MB free of 16." in text
    most = int(text.split("Batches of up to ")[1].split(" fit")[0])
    assert 2 < most < 512
    for a, b in zip(model.weights, before):
        np.testing.assert_array_equal(a.numpy(), b)
    monkeypatch.setattr(fake_cuda.MemoryPool, "take", lambda self, size: None)  # the double's pool does not join blocks
    model.train_on_batch(x[:most], x[:most, :1])


def test_what_other_programs_hold_is_named(here, monkeypatch):
    model, x = big(), np.zeros((512, 1000), "float32")
    fake_cupy.module.get_default_memory_pool().free_all_blocks()
    monkeypatch.setattr(fake_cuda.runtime, "free", 1 << 20)
    with pytest.raises(MemoryError, match="Other programs hold 15.* GB of it"):
        model.train_on_batch(x, x[:, :1])


def test_memory_that_runs_out_between_is_told_in_words(here, monkeypatch):
    monkeypatch.setattr(fake_cuda.runtime, "free", 1 << 10)
    fake_cupy.module.get_default_memory_pool().free_all_blocks()
    with pytest.raises(MemoryError, match="cuda:0 has no room for what was asked: .*Smaller batches take less"):
        ops.convert_to_tensor(np.ones((700, 1234)))
    with pytest.raises(MemoryError, match="full: there is no memory for float32.700, 1234., 3,455,200 bytes"):
        ops.ones((700, 1234))


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("code, says", [("cudaErrorIllegalAddress", "mlkit selftest"), ("cudaErrorUnknown", "MLKIT_CAPTURE=0")])
def test_errors_of_cuda_are_told_in_words(here, monkeypatch, staged, code, says):
    def failing(*args, **params):
        raise fake_cuda.CUDARuntimeError(f"{code}: unknown")

    x = ops.ones((3, 3))
    f = mlkit.function(ops.sort) if staged else ops.sort
    if staged:
        f(x)
        (programs,) = f.programs.values()
        programs[0].run.current()._local.bound.run._run = failing
    else:
        monkeypatch.setitem(here.table, "sort", failing)
        monkeypatch.setitem(here.kernels, "sort", _adopting(here.device, failing))
    with pytest.raises(RuntimeError, match=says) as told:
        f(x)
    assert type(told.value) is RuntimeError


def test_bfloat16_on_an_old_card_is_said_once(here, monkeypatch):
    class Turing(fake_cuda.Device):
        compute_capability = property(lambda self: "75", lambda self, value: None)

    monkeypatch.setattr(fake_cuda.cuda, "Device", Turing)
    f = mlkit.function(lambda x: ops.cast(x, "bfloat16") + 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f(ops.ones(3))
        f(ops.ones(4))
    (said,) = [str(w.message) for w in caught if "bfloat16" in str(w.message)]
    assert "cuda:0 is of compute capability 7.5" in said
    assert "mixed_float16" in said


def test_products_of_float32_are_exact_where_that_is_asked_for(here):
    f = mlkit.function(lambda x: x @ x)
    fake_cupy.products.clear()
    try:
        for mode, way in [("exact", "float32"), ("tf32", "tf32")]:
            mlkit.config.set_float32(mode)
            for _ in range(2):
                assert f(ops.eye(3)).tolist() == np.eye(3).tolist()
            assert fake_cupy.products[-1] == ("float32", way)
    finally:
        mlkit.config.set_float32("tf32")
    assert len(fake_cupy.products) == 2
    with pytest.raises(ValueError, match='set_float32: expected "tf32" or "exact"'):
        mlkit.config.set_float32("fast")


def test_programs_are_prepared_anew_where_sums_may_be_in_another_order(here):
    f = mlkit.function(lambda x: x @ x)
    f(ops.eye(3))
    before = here.device.epoch
    try:
        mlkit.config.set_deterministic(False)
        assert mlkit.config.deterministic() is False
        assert f(ops.eye(3)).tolist() == np.eye(3).tolist()
        assert here.device.epoch == before + 1
    finally:
        mlkit.config.set_deterministic(True)
    with pytest.raises(TypeError, match="set_deterministic: expected True or False"):
        mlkit.config.set_deterministic("no")


def test_a_library_that_the_extra_does_without_is_named(gpu, use, monkeypatch):
    def missing(x):
        raise ImportError("libcufft.so.12: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(gpu.xp.fft, "fft", missing)
    use(gpu)
    line = r'libcufft.so.12.*pip install "mlkit-engine\[cuda-linalg\]"'
    for run in (ops.fft, mlkit.function(ops.fft)):
        with pytest.raises(ImportError, match=line):
            run((ops.ones(4), ops.zeros(4)))
