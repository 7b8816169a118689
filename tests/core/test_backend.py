"""The registry of backends: by name, by `register_backend`, by the entry points of installed packages."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.config import register_backend, set_backend
from mlkit.core import backend as registry
from mlkit.core.backend import Backend, device, get_backend, using
from mlkit.core.state import state, swapped
from mlkit.primitives.catalogue import OPS

THIRD = """
import numpy as np
from mlkit.core.backend import Backend

class Third(Backend):
    name, kernels = "third", {"add": np.add, "exp": np.exp}

    def asarray(self, host, dtype, owned=False):
        return np.array(host, dtype)
"""


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    """What a test registers is forgotten after it."""
    for name in ("_makers", "_backends"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))


@pytest.fixture
def Third():
    space = {}
    exec(THIRD, space)
    return space["Third"]


def test_a_backend_of_few_lines(Third):
    register_backend("third", Third)
    x = np.ones(3, "float32")
    with using("third"):
        doubled = mlkit.function(lambda x: mlkit.ops.exp(x + x))
        np.testing.assert_allclose(doubled(x), np.exp(x + x))
        program = doubled.program(x)
        assert program.nbytes > 0
        with pytest.raises(NotImplementedError, match="third backend does not plan memory"):
            doubled.memory_report(x)
        with device("cpu"):
            assert mlkit.ops.add(x, x).device == "cpu:0"
        with pytest.raises(NotImplementedError, match="third backend has no kernel for 'sin'"):
            mlkit.ops.sin(x)
        with pytest.raises(NotImplementedError, match="third backend manages its threads"):
            mlkit.config.num_threads()
        with pytest.raises(NotImplementedError, match="third backend manages its threads"):
            mlkit.config.set_num_threads(1)
        state.backend.synchronize()
        assert state.backend.libraries() == {}


def test_constants_among_the_outputs_become_arrays(Third):
    register_backend("third", Third)
    with using("third"):
        constant = mlkit.ops.convert_to_tensor(np.ones(3, "float32"))
        first, second = mlkit.function(lambda x: (constant, x))(np.zeros(3, "float32"))
        assert first.numpy().tolist() == [1.0] * 3
        assert second.numpy().tolist() == [0.0] * 3


def test_a_name_may_be_given_anew(Third):
    register_backend("third", Third)
    first = get_backend("third")
    register_backend("third", Third)
    assert get_backend("third") is not first


@pytest.mark.parametrize("name", ["", "a b", "native,jax", None, 3])
def test_names(name, Third):
    with pytest.raises(ValueError, match="identifier"):
        register_backend(name, Third)


def test_our_own_stay_what_they_are(Third):
    with pytest.raises(ValueError, match="'native' is one of mlkit's own"):
        register_backend("native", Third)


def test_what_makes_it_is_called(Third):
    with pytest.raises(TypeError, match="a function that makes the backend 'third'"):
        register_backend("third", Third())


def test_what_is_no_backend_is_refused(Third):
    register_backend("third", dict)
    with pytest.raises(TypeError, match="must be a mlkit.core.backend.Backend"):
        set_backend("third")
    register_backend("third", type("NoKernels", (Third,), dict(__getattribute__=_without_kernels)))
    with pytest.raises(TypeError, match="has no 'kernels'"):
        set_backend("third")
    register_backend("fourth", Third)
    with pytest.raises(ValueError, match="registered as 'fourth' says that its name is 'third'"):
        set_backend("fourth")
    assert mlkit.config.backend() not in ("third", "fourth")


def _without_kernels(self, name):
    if name == "kernels":
        raise AttributeError(name)
    return object.__getattribute__(self, name)


def test_an_abstract_one_cannot_be_made():
    with pytest.raises(TypeError, match="asarray"):
        type("Half", (Backend,), dict(name="half", kernels={}))()


def test_unknown_names(Third):
    register_backend("third", Third)
    with pytest.raises(ValueError, match=r"Unknown backend 'fith'. There are: native, jax, third"):
        set_backend("fith")


def test_arguments_have_the_names_of_keras(Third):
    set_backend(backend="native")
    with device(device_name="cpu:0"):
        pass


def test_a_backend_of_an_installed_package(tmp_path):
    (tmp_path / "third_backend.py").write_text(THIRD)
    info = tmp_path / "third-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[mlkit.backends]\nthird = third_backend:Third\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import mlkit, numpy as np\n"
        "assert mlkit.config.backend() == 'third'\n"
        "print(mlkit.ops.add(np.ones(2, 'float32'), 1.0))\n"
        "try: mlkit.config.set_backend('fourth')\n"
        "except ValueError as error: print(error)\n"
    )
    env = os.environ | {"MLKIT_BACKEND": "third"}
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert "[2. 2.]" in done.stdout
    assert "There are: native, jax, third" in done.stdout


class Borrowed(Backend):
    """The native arrays and kernels, but for control flow."""

    name = "borrowed"

    def __init__(self):
        self.native = get_backend("native")
        self.kernels = {name: kernel for name, kernel in self.native.kernels.items() if name not in ("cond", "while", "scan")}

    def asarray(self, host, dtype, owned=False):
        return self.native.asarray(host, dtype, owned)


def total_of_powers(x, n):
    """A loop, a condition within it, and its gradient."""
    step = lambda total, t: (total + ops.cond(ops.sum(t) > 0, lambda: t**2, lambda: t * 3), total * t)
    total, steps = ops.scan(step, ops.zeros((3,)), x, reverse=n % 2 == 1)
    times, _ = ops.while_loop(lambda i, t: i < n, lambda i, t: (i + 1, t * 1.5), (0, ops.stop_gradient(total)))
    return (ops.sum(total) + ops.sum(steps)) * ops.cast(times, "float32")


def test_control_flow_on_another_device():
    class TwoDevices(Borrowed):
        name, devices = "borrowed", lambda self: ["cpu:0", "cpu:1"]

        def on(self, device):
            return TwoDevices()

    register_backend("borrowed", TwoDevices)
    with using("borrowed"), device("cpu:1"):
        assert ops.cond(ops.convert_to_tensor(True), lambda: ops.ones(2), lambda: ops.zeros(2)).numpy().tolist() == [1.0, 1.0]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_control_flow_of_no_ones_own(n):
    register_backend("borrowed", Borrowed)
    x = np.random.default_rng(0).normal(size=(n, 3)).astype("float32") if n else np.zeros((0, 3), "float32")
    found = {}
    for name in ("native", "borrowed"):
        with using(name):
            program = mlkit.function(lambda x: mlkit.value_and_grad(lambda x: total_of_powers(x, n))(x))
            found[name] = [t.numpy() for t in program(x)]
    for a, b in zip(*found.values()):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "LSTM", "LayerNormalization"]
)
def test_models_of_unknown_sizes_need_no_fused_kernels(name):
    """A size that is unknown may stand in a parameter of a fused op, of one that draws numbers for instance."""
    arguments = {"LSTM": (3,), "LayerNormalization": ()}.get(name, (0.5,))
    plain = {k: kernel for k, kernel in state.kernels.items() if OPS[k].fallback is None}
    x = mlkit.Input((None, 3))
    with swapped(kernels=plain):
        y = getattr(mlkit.layers, name)(*arguments)(x, training=True)
    assert y.shape[-1] == 3
