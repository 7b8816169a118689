"""JAX as a backend: 64-bit dtypes mean themselves, numbers are the native ones, its global settings stay the program's own."""

import sys

import jax
import numpy as np
import pytest

from mlkit import ops
from mlkit.core.backend import backend, device, get_backend, set_backend, using
from mlkit.core.function import function
from mlkit.core.tensor import Tensor
from mlkit.ops.gradients import value_and_grad
from mlkit.primitives.catalogue import OPS


def test_dtypes_are_exact_and_the_global_switch_is_left_alone():
    with using("jax"):
        x = ops.convert_to_tensor(np.arange(3.0))
        y = ops.sin(x) * 2 + ops.arange(3, dtype="int64")
        assert isinstance(y.data, jax.Array)
        assert (x.dtype, y.dtype, ops.argmax(x).dtype) == ("float64", "float64", "int32")
    assert not jax.config.jax_enable_x64  # as the program's own JAX has it


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_random_bits_are_those_of_the_native_backend(dtype):
    key = np.array([3, 4], "uint32")
    found = {}
    for name in ("native", "jax"):
        with using(name):
            found[name] = OPS["random_bits"](Tensor(key), shape=(3, 5), dtype=dtype).numpy()
    np.testing.assert_array_equal(found["native"], found["jax"])


def test_an_eager_loop_is_compiled_once():
    compiled = []

    def note(event, duration, **_):
        compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        with using("jax"):
            lstm = OPS["lstm"]
            x, h, kernel, recurrent = (ops.ones(shape) for shape in ((2, 7, 3), (2, 5), (3, 20), (5, 20)))
            first = lstm(x, h, h, kernel, recurrent, None)
            assert any("backend_compile" in event for event in compiled)
            compiled.clear()
            second = lstm(x * 1, h, h, kernel, recurrent, None)
        assert sum("backend_compile" in event for event in compiled) <= 1  # of the product
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    np.testing.assert_array_equal(first[0].numpy(), second[0].numpy())


def test_parameters_that_are_equal_numbers_are_told_apart():
    with using("jax"):
        signs = [np.signbit(ops.full((3,), value).numpy()).all() for value in (0.0, -0.0, 0.0)]
    assert signs == [False, True, False]


def test_compiled_functions_and_gradients():
    def loss(w, x):
        return ops.sum(ops.relu(ops.conv(x, w, padding="same")) ** 2)

    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 3, 2, 4)), rng.normal(size=(2, 5, 5, 2))
    found = {}
    for name in ("native", "jax"):
        with using(name):
            value, g = function(value_and_grad(loss))(ops.convert_to_tensor(w), ops.convert_to_tensor(x))
            found[name] = [value.numpy(), g.numpy()]
    for a, b in zip(*found.values()):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_set_backend_takes_values_made_before():
    x = ops.ones((2, 3))
    set_backend("jax")
    assert backend() == "jax"
    y = x * 2 + 1
    assert isinstance(y.data, jax.Array)
    set_backend("native")
    np.testing.assert_array_equal(ops.convert_to_numpy(y), np.full((2, 3), 3.0))


def test_devices_are_named():
    with using("jax") as b:
        assert b.devices()[0] == "cpu:0"
        with device("cpu:0"):
            assert ops.ones(2).device == "cpu:0"
        with pytest.raises(ValueError, match="no 'gpu:7'"), device("gpu:7"):
            pass


def test_memory_of_the_caller_is_copied():
    host = np.zeros(4096, "float32")
    with using("jax"):
        x = ops.convert_to_tensor(host)
        host[:] = 1
        assert not x.numpy().any()


def test_without_jax_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.delitem(sys.modules, "mlkit.backends.jax_adapter", raising=False)
    monkeypatch.setattr(sys.modules["mlkit.core.backend"], "_backends", {})
    with pytest.raises(ImportError, match="pip install jax"):
        get_backend("jax")


def test_a_missing_kernel_is_named(monkeypatch):
    b = get_backend("jax")
    with using("jax"):
        monkeypatch.delitem(b.kernels, "sin")
        with pytest.raises(NotImplementedError, match="jax backend has no kernel for 'sin'"):
            ops.sin(ops.ones(2))


Z = np.array([[1 + 2j, 3 - 1j, 3 + 1j], [0, np.nan, 5]], "complex64")
RARE = {
    "truth as bytes": lambda: ops.view(np.array([True, False, True]), "uint8"),
    "bytes as truth": lambda: ops.view(np.array([1, 0, 1], "uint8"), "bool"),
    "complex numbers as their parts": lambda: ops.view(Z, "float32"),
    "parts as complex numbers": lambda: ops.view(np.arange(4, dtype="float32"), "complex64"),
    "the largest of complex numbers": lambda: ops.argmax(Z, axis=1),
    "nothing taken from an empty axis": lambda: ops.take(np.zeros((2, 0, 3), "float32"), np.zeros((2, 0), "int32"), axis=1),
    "the largest of truths": lambda: ops.max_pool(np.eye(4)[None, ..., None] > 0, 2),
    "a convolution of whole numbers": lambda: ops.conv(
        np.arange(16, dtype="int32").reshape(1, 4, 4, 1), np.ones((2, 2, 1, 1), "int32")
    ),
    "a negative power": lambda: ops.power(np.array([1, -1, 2, 0], "int32"), np.array([-1, -3, -1, 2], "int32")),
}


@pytest.mark.parametrize("name", RARE)
def test_rare_dtypes_have_the_native_results(name):
    found = {}
    for engine in ("native", "jax"):
        with using(engine):
            result = RARE[name]()
            found[engine] = result.dtype, result.numpy()
    assert found["native"][0] == found["jax"][0]
    np.testing.assert_array_equal(found["native"][1], found["jax"][1])
