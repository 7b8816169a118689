"""Tensors: operators, indexing, exchange with NumPy, errors of symbolic ones; state and devices."""

import ast
import copy
import inspect
import operator
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.core import typing
from mlkit.core.backend import backend, device, get_backend, set_backend, using
from mlkit.core.interpreter import EAGER
from mlkit.core.spec import Spec
from mlkit.core.state import state
from mlkit.core.tensor import Tensor

A = np.array([[1.5, -2.0, 3.0], [0.5, 4.0, -1.0]], "float32")
B = np.array([[2.0, 1.0, -3.0], [4.0, 0.5, 1.0]], "float32")
I, J = np.array([5, 6, 7], "int32"), np.array([2, 3, 4], "int32")


def t(x):
    return ops.convert_to_tensor(x)


class TestOperators:
    @pytest.mark.parametrize("name", "add sub mul truediv floordiv mod pow eq ne lt le gt ge".split())
    def test_binary(self, name):
        f = getattr(operator, name)
        a, b = (abs(A), B) if name == "pow" else (A, B)
        np.testing.assert_allclose(f(t(a), t(b)).numpy(), f(a, b), rtol=1e-6)
        np.testing.assert_allclose(f(t(a), 2.0).numpy(), f(a, 2.0), rtol=1e-6)
        np.testing.assert_allclose(f(a, t(b)).numpy(), f(a, b), rtol=1e-6)
        assert type(f(a, t(b))) is Tensor

    @pytest.mark.parametrize("name", "and_ or_ xor lshift rshift".split())
    def test_bits(self, name):
        f = getattr(operator, name)
        np.testing.assert_array_equal(f(t(I), t(J)).numpy(), f(I, J))
        np.testing.assert_array_equal(f(t(I), 1).numpy(), f(I, 1))

    def test_unary(self):
        np.testing.assert_array_equal((-t(A)).numpy(), -A)
        np.testing.assert_array_equal(abs(t(A)).numpy(), abs(A))
        np.testing.assert_array_equal((~t(I)).numpy(), ~I)
        assert +t(A) is not None
        assert round(t(2.6)).item() == 3.0

    def test_matmul(self):
        np.testing.assert_allclose((t(A) @ t(B.T)).numpy(), A @ B.T, rtol=1e-6)
        np.testing.assert_allclose((A @ t(B.T)).numpy(), A @ B.T, rtol=1e-6)

    def test_scalars_are_weak(self):
        assert (t(I) * 2).dtype == "int32"
        assert (t(I) * 2.0).dtype == "float32"
        assert (ops.cast(A, "float16") * 2.5).dtype == "float16"

    def test_comparison_with_none_is_python(self):
        assert (t(A) == None) is False  # noqa: E711
        assert (t(A) != None) is True  # noqa: E711


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(1, None), (slice(None), 1), (Ellipsis, 0), (None, 0), (slice(None, None, -1),), (1, slice(0, 3, 2))],
    ids=str,
)
def test_indexing(key):
    np.testing.assert_array_equal(t(A)[key].numpy(), A[key])


def test_shape_and_kind():
    x = t(A)
    assert x.shape == (2, 3)
    assert x.ndim == 2
    assert x.size == 6
    assert len(x) == 2
    assert x.dtype == "float32"
    assert x.device == get_backend(backend()).device_name
    assert x.T.shape == (3, 2)
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == (3, 2)
    assert [row.shape for row in x] == [(3,), (3,)]
    assert x.tolist() == A.tolist()
    assert repr(t(2.5)) == "<Tensor float32[] 2.5>"
    assert "float32[2, 3]" in repr(x)


def test_python_numbers():
    x = t(2.5)
    assert float(x) == x.item() == 2.5
    for use in (float, int, bool, complex, lambda x: x.item()):
        with pytest.raises(ValueError, match=r"a tensor of one element.*this has shape \(2,\)"):
            use(t([1.0, 2.0]))
    assert int(x) == 2
    assert bool(x)
    assert complex(x) == 2.5
    assert f"{x:.2f}" == "2.50"
    assert [10, 20, 30][t(1)] == 20
    with pytest.raises(TypeError, match="without dimensions"):
        len(x)


def test_values_cannot_be_written_from_outside():
    x = t(A.copy())
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 1
    own = ops.convert_to_numpy(x)
    own[0] = 7
    assert x[0, 0] == 1.5
    assert np.array(x, "float64").dtype == np.float64


@pytest.mark.cpu("NumPy takes memory of the CPU alone")
def test_dlpack():
    np.testing.assert_array_equal(np.from_dlpack(t(A)), A)
    assert float(np.from_dlpack(ops.sum(t(A)))) == A.sum()


def test_copies_and_pickles():
    x = t(A)
    assert copy.copy(x) is x
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other is not x
        assert other.dtype == x.dtype
        assert np.array_equal(other, x)
    assert pickle.loads(pickle.dumps(ops.cast(A, "bfloat16"))).dtype == "bfloat16"


class TestSymbolic:
    x = Tensor(Spec((2, 3), "float32"))

    def test_infers(self):
        y = ops.matmul(self.x, Tensor(Spec((3, 4), "float32")))
        assert y.spec == Spec((2, 4), "float32")
        assert repr(y) == "<Tensor float32[2, 4]>"
        assert not y.is_concrete

    @pytest.mark.parametrize("use", [float, bool, np.asarray, lambda x: x.item(), lambda x: [0][x]], ids=range(5))
    def test_has_no_value(self, use):
        with pytest.raises(TypeError, match="has no value"):
            use(self.x)


class TestDevices:
    def test_block(self):
        with device("cpu:0"):
            assert ops.ones(2).device == "cpu:0"
            assert state.device == "cpu:0"
        with mlkit.device("cpu"):
            assert ops.ones(2).device == "cpu:0"
        assert state.device is None

    def test_absent_device_names_those_there_are(self):
        with (
            pytest.raises(ValueError, match=f"there is no 'gpu:7' on backend '{backend()}'. Devices: .*cpu:0"),
            device("gpu:7"),
        ):
            pass

    def test_unknown_backend(self):
        with pytest.raises(ValueError, match="Unknown backend 'torch'. There are: native, jax"):
            get_backend("torch")


def test_backend_set_after_a_block_holds_in_this_thread_too():
    with using("native"):
        pass
    try:
        set_backend("jax")
        assert backend() == "jax"
        assert ops.ones(2).device == "cpu:0"
        assert type(ops.ones(2).data).__module__.startswith("jax")
    finally:
        set_backend("native")
    assert backend() == "native"


def test_state_is_each_threads_own():
    seen = {}

    def other():
        seen["top"] = state.top
        seen["value"] = float(ops.sum(t(A)))

    with mlkit.GradientTape(), using("native"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == {"top": EAGER, "value": float(A.sum())}


@pytest.mark.cpu("what lies on a GPU is copied")
def test_numpy_is_told_whether_it_gets_a_copy():
    for x in (mlkit.ops.convert_to_tensor(A.copy()), mlkit.Variable(A)):
        view, own = x.__array__(copy=False), x.__array__(copy=True)
        assert not np.shares_memory(own, view)
        assert own.flags.writeable
        assert np.shares_memory(np.asarray(x), view)
        wide = x.__array__("float64")
        assert wide.dtype == "float64"
        assert x.__array__("float64", copy=True).dtype == "float64"
        with pytest.raises(ValueError, match="float32 cannot be an array of float64 without a copy"):
            x.__array__("float64", copy=False)
        own[:] = 0
        np.testing.assert_array_equal(np.array(x), A)


def test_without_reference_counts_all_memory_is_held(monkeypatch):
    from mlkit.core import ownership

    alone = [np.zeros(3)]
    assert not ownership.held_elsewhere(alone, 0)
    monkeypatch.setattr(ownership, "_COUNTED", False)
    monkeypatch.setattr(ownership, "_counts", None)
    assert ownership.held_elsewhere(alone, 0)


@pytest.mark.parametrize(
    "text",
    [
        "mlkit.Variable([1.0, 2.0]) + 1", "mlkit.function(lambda x: x + x)(np.ones(2))", "mlkit.KerasTensor((2,)) + 1",
        "mlkit.random.normal((2,)) + 1", "mlkit.random.SeedGenerator(1).state + 1", "mlkit.Input((2,)) + 1",
    ],
)  # fmt: skip
def test_what_is_met_first_has_its_operators(text):
    """Names are imported when they are asked for: none may come without what attaches the operators."""
    subprocess.run([sys.executable, "-c", f"import numpy as np, mlkit\n{text}"], check=True)


@pytest.mark.parametrize("cls", [mlkit.Tensor, mlkit.Variable, mlkit.KerasTensor])
def test_type_checkers_are_told_of_all_operators(cls):
    """What is attached is declared, and nothing else is."""
    tree = ast.parse(inspect.getsource(typing))
    declared = {
        c.name: {f.name for f in ast.walk(c) if isinstance(f, ast.FunctionDef)}
        for c in tree.body
        if isinstance(c, ast.ClassDef)
    }
    attached = {name for name, f in vars(cls).items() if "operators" in str(getattr(getattr(f, "fget", f), "__module__", ""))}
    wanted = declared["Operators"] | (declared["Methods"] if issubclass(cls, typing.Methods) else set())
    assert attached == wanted - ({"__iter__"} if cls is mlkit.KerasTensor else set())
    assert not vars(typing.Operators).keys() & (wanted - {"__eq__"})
