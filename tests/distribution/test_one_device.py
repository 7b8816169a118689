"""On the native backend, which keeps each array on one device; and what `initialize` refuses."""

import sys
import types
from importlib import metadata

import jax
import numpy as np
import pytest

import mlkit
from mlkit import distribution, layers
from mlkit.core.state import state
from mlkit.distribution import launch, processes


@pytest.fixture(autouse=True)
def _none_left_over():
    mlkit.config.set_backend("native")
    yield
    distribution.set_distribution(None)


def fitted():
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    history = model.fit(x, x[:, :1], batch_size=8, epochs=2, verbose=0).history["loss"]
    return history, model.predict(x, verbose=0)


def test_data_parallel_on_one_device_changes_nothing():
    alone = fitted()
    distribution.set_distribution(distribution.DataParallel(devices=["cpu:0"]))
    spread = fitted()
    assert spread[0] == alone[0]
    np.testing.assert_array_equal(spread[1], alone[1])


def test_scopes_are_of_one_thread_and_end():
    one, two = (distribution.DataParallel(devices=["cpu:0"]) for _ in range(2))
    distribution.set_distribution(one)
    with pytest.raises(KeyError), two.scope():
        assert distribution.distribution() is two
        raise KeyError
    assert distribution.distribution() is one
    distribution.set_distribution(None)
    assert distribution.distribution() is None


def test_model_parallel_needs_jax():
    mesh = distribution.DeviceMesh((1,), ["model"], ["cpu:0"])
    with pytest.raises(NotImplementedError, match=r"native backend keeps each array whole.*set_backend\(\"jax\"\)"):
        distribution.ModelParallel(layout_map=distribution.LayoutMap(mesh))
    with pytest.raises(ValueError, match=r"there is no cpu:1 on backend 'native', which has 1 device"):
        distribution.DeviceMesh((2,), ["model"], ["cpu:0", "cpu:1"])


def test_devices():
    assert "cpu:0" in distribution.list_devices("cpu")
    assert distribution.get_device_count("CPU") == 1
    assert distribution.list_devices("tpu") == []
    with pytest.raises(ValueError, match="must be one of"):
        distribution.get_device_count("abacus")


def test_tensors_stay_where_they_are():
    mesh = distribution.DeviceMesh((1,), ["a"], ["cpu:0"])
    x = mlkit.ops.ones((2, 3))
    layout = distribution.TensorLayout(("a",), mesh)
    for f in (
        lambda t: distribution.distribute_tensor(t, layout),
        mlkit.function(lambda t: distribution.distribute_tensor(t, layout)),
    ):
        np.testing.assert_array_equal(f(x), np.ones((2, 3)))
    v = mlkit.Variable([1.0, 2.0], layout=layout)
    v.assign_add([1.0, 1.0])
    np.testing.assert_array_equal(v, [2.0, 3.0])


@pytest.mark.parametrize(
    "given, environment, message",
    [
        (("a:1,b:2", 3, 0), {}, "has 2 addresses, a:1,b:2, but `num_processes` is 3"),
        (("a:1", 2, 2), {}, r"`process_id` must be in 0 \.\.\. 1, but is 2"),
        ((None, None, None), {"NUM_PROCESSES": "two"}, "NUM_PROCESSES must be a whole number, but is 'two'"),
        ((None, None, None), {"JOB_ADDRESSES": "a:1,b:2", "PROCESS_ID": "5"}, r"must be in 0 \.\.\. 1, but is 5"),
    ],
)
def test_numbers_of_processes_that_do_not_fit(given, environment, message, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with pytest.raises(ValueError, match=message):
        distribution.initialize(*given)


def test_the_number_of_processes_that_jax_sees_is_checked(monkeypatch):
    """As where JAX computed before it was told, and every process trains for itself."""
    mlkit.config.set_backend("jax")
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_: None)
    with pytest.raises(RuntimeError, match="2 processes were to compute together, but JAX sees 1"):
        distribution.initialize("localhost:1", 2, 0)


class _Answers:
    """A communicator of ranks that bring what is given."""

    rank, size = 0, 2

    def __init__(self, every):
        self._every = every

    def all_gather_values(self, value, label=""):
        return self._every


@pytest.mark.parametrize(
    "every, message",
    [
        ([("a:1", None), ("b:1", None)], "`job_addresses` must be the same on all ranks, but is"),
        ([(None, 1), (None, 0)], "`process_id` must be the number that MPI has given"),
    ],
)
def test_ranks_that_say_different_things(every, message, monkeypatch):
    mpi = types.SimpleNamespace(world_size=lambda: 2, stop_all_on_error=lambda: None, MpiCommunicator=lambda: _Answers(every))
    monkeypatch.setitem(sys.modules, "mlkit.backends.native.mpi", mpi)
    monkeypatch.setenv("PMI_RANK", "0")
    with pytest.raises(ValueError, match=message):
        state.backend.join(every[0][0], 2, None)


def test_packages_that_are_missing_are_said_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "mlkit.backends.native.mpi", raising=False)
    monkeypatch.setenv("PMI_RANK", "0")
    with pytest.raises(ImportError, match=r'needs mpi4py and an MPI library .*pip install "mlkit-engine\[mpi\]"'):
        state.backend.join(None, None, None)
    monkeypatch.setattr(launch, "is_installed", lambda package: False)
    with pytest.raises(ImportError, match=r'launch: there is no \w+. Install MPI with: pip install "mlkit-engine\[mpi\]"'):
        launch.launch(["script.py"], 2)


@pytest.mark.parametrize("engine, package", [("ray", "ray"), ("spark", "pyspark")])
def test_engines_that_are_missing(engine, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"mlkit.distribution.{engine}_engine", raising=False)
    with pytest.raises(ImportError, match=rf'engine="{engine}" needs .*pip install "mlkit-engine\[{engine}\]"'):
        distribution.run(print, num_workers=2, engine=engine)


def test_show_config_lists_what_is_there(monkeypatch, capsys):
    def version(name):
        if name == "mpi4py":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    known = metadata.version
    monkeypatch.setattr(metadata, "version", version)
    mlkit.show_config()
    said = capsys.readouterr().out
    assert 'none (pip install "mlkit-engine[mpi]")' in said
    assert [line.split()[0] for line in said.splitlines() if line.startswith(("ray", "pyspark"))] == ["ray", "pyspark"]


def test_initialize_twice(monkeypatch):
    monkeypatch.setattr(processes, "_joined", ["native"])
    with pytest.raises(RuntimeError, match="has joined the others already"):
        distribution.initialize()
