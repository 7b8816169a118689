"""NCCL between two ranks, threads that each have a double of a GPU: the calls, their streams, and what comes of it."""

import gc
import inspect
import sys
import threading

import numpy as np
import pytest

import mlkit
from mlkit import distribution, layers
from mlkit.backends.native import processes
from mlkit.backends.native.cuda.nccl import NcclCommunicator
from mlkit.core.communicator import Communicator
from mlkit.core.state import swapped
from tests.cuda import fake_cupy, fake_nccl
from tests.cuda.two_ranks import in_two_ranks

pytestmark = pytest.mark.native("the GPU's own communicator, on the double of CuPy")


@pytest.fixture(autouse=True, scope="module")
def _watches_end():
    """The threads that watch what is under way end with the communicators."""
    yield
    gc.collect()
    watches = [t for t in threading.enumerate() if t.name == "mlkit NCCL"]
    for thread in watches:
        thread.join(5)
    assert not any(t.is_alive() for t in watches)


@pytest.fixture
def ranks(monkeypatch):
    """A function that has two ranks call ``do(communicator, gpu)``, each in a thread, and returns what they return."""
    monkeypatch.setitem(sys.modules, "cupy.cuda.nccl", fake_nccl)
    monkeypatch.setattr(fake_nccl, "_groups", {})
    return lambda do: in_two_ranks(
        lambda gpu, host: do(NcclCommunicator(gpu.device, host, timeout=60), gpu.device), monkeypatch
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "uint8"])
@pytest.mark.parametrize("reduction, found", [("sum", [4, 6]), ("max", [3, 4]), ("min", [1, 2])])
def test_all_reduce(ranks, dtype, reduction, found):
    def do(nccl, gpu):
        x = gpu.xp.asarray(np.array([1, 2], dtype) + np.array(2 * nccl.rank, dtype))
        nccl.all_reduce(x, reduction)
        return x.get()

    for array in ranks(do):
        np.testing.assert_array_equal(array, np.array(found, dtype))


@pytest.mark.parametrize("dtype", ["float64", "bool", "int16"])  # some of which NCCL has no name for
def test_gather_and_broadcast(ranks, dtype):
    def do(nccl, gpu):
        x = gpu.xp.asarray(np.array([[1 - nccl.rank, 1]], dtype))
        every = nccl.all_gather(x)
        nccl.broadcast(x, root=1)
        return every.get(), x.get()

    for every, x in ranks(do):
        np.testing.assert_array_equal(every, np.array([[[1, 1]], [[0, 1]]], dtype))
        np.testing.assert_array_equal(x, np.array([[0, 1]], dtype))


def test_what_nccl_does_not_add_is_said(ranks):
    with pytest.raises(TypeError, match="NCCL does not reduce tensors of int16"):
        ranks(lambda nccl, gpu: nccl.all_reduce(gpu.xp.asarray(np.ones(2, "int16"))))


def test_arrays_travel_on_a_stream_of_their_own_which_the_computing_one_waits_for(ranks):
    def do(nccl, gpu):
        gpu.enter()
        computing, waited = gpu.streams.computing, []
        computing.wait_event = waited.append
        x = gpu.xp.asarray(np.ones(3, "float32"))
        nccl.start(x)
        assert not waited  # it goes on
        nccl.wait(x)
        nccl.wait(x)  # once is enough
        return len(waited), set(nccl._comm.streams) == {nccl._stream.ptr}, nccl._stream.ptr != computing.ptr

    assert ranks(do) == [(1, True, True)] * 2


def test_arrays_of_the_host_go_by_the_host(ranks):
    def do(nccl, gpu):
        x = np.array([1.0 + nccl.rank])
        nccl.start(x)
        nccl.wait(x)
        nccl.free(x)
        return x[0], nccl.all_gather(x).shape, nccl.all_gather_values(nccl.rank), nccl._comm.streams

    assert ranks(do) == [(3.0, (2, 1), [0, 1], [])] * 2


def test_what_is_under_way_for_too_long_ends_the_process(ranks, monkeypatch, capsys):
    ended = []
    monkeypatch.setattr("os._exit", ended.append)

    def do(nccl, gpu):
        class Never:
            done = False

        nccl._under_way.append((Never(), "all_reduce of bucket 3", -1e9))
        nccl._look()
        nccl._under_way.clear()
        nccl._comm.error = RuntimeError("unhandled system error")
        nccl._look()
        nccl._comm.error = None  # its own thread looks too, when this test is over

    ranks(do)
    assert ended == [124] * 4
    said = capsys.readouterr().err
    assert "rank 1 has waited more than 60 s for the all_reduce of bucket 3 among GPUs" in said
    assert "NCCL has failed on rank 0: unhandled system error" in said


def test_without_nccl_it_says_how_to_get_it(ranks, monkeypatch):
    monkeypatch.setattr(fake_nccl, "available", False)
    with pytest.raises(ImportError, match=r'rank 0, 1 does not find. Install it with: pip install "mlkit-engine\[cuda-nccl\]"'):
        ranks(lambda nccl, gpu: None)


# ---- who computes where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment, name",
    [
        ({}, "cuda:0"),
        ({"MPI_LOCALRANKID": "1"}, "cuda:1"),
        ({"SLURM_LOCALID": "1"}, "cuda:1"),
        ({"MPI_LOCALRANKID": "2"}, "cuda:0"),
    ],
)
def test_a_rank_computes_on_the_gpu_of_its_number_on_the_host(monkeypatch, environment, name):
    for variable in processes._LOCAL:
        monkeypatch.delenv(variable, raising=False)
    for variable, number in environment.items():
        monkeypatch.setenv(variable, number)
    assert processes.own_device(["cuda:0", "cuda:1", "cpu:0"]) == name
    assert processes.own_device(["cpu:0"]) == "cpu:0"


class Answers(Communicator):
    """A host's communicator whose ranks bring what is given."""

    def __init__(self, *every):
        self.rank, self.size, self._every = 0, len(every), list(every)

    def all_gather_values(self, value, label=""):
        return self._every

    all_reduce = all_gather = broadcast = None


@pytest.mark.parametrize(
    "every, words",
    [
        (
            [("a", "cuda:0", "01:00"), ("a", "cuda:0", "01:00")],
            "rank 0 and rank 1 compute on the same GPU of a, 01:00. Start one process",
        ),
        (
            [("a", "cuda:0", "01:00"), ("b", "cpu:0", None)],
            "on GPUs, or none, but they compute on cuda:0, cpu:0. MLKIT_DEVICE=cpu",
        ),
    ],
)
def test_ranks_that_cannot_train_together_on_their_devices(gpu, every, words):
    with pytest.raises(RuntimeError, match=words):
        processes._require_devices(Answers(*every), gpu.device)


@pytest.mark.parametrize(
    "every", [[("a", "cuda:0", "01:00"), ("a", "cuda:1", "02:00"), ("b", "cuda:0", "01:00")], [("a", "cpu:0", None)] * 2]
)
def test_ranks_that_can(gpu, every):
    processes._require_devices(Answers(*every), gpu.device)


# ---- training ----------------------------------------------------------------------------------------------------------


def net():
    mlkit.utils.set_random_seed(4)
    model = mlkit.Sequential(
        [mlkit.Input((6,)), layers.Dense(9, "relu"), layers.BatchNormalization(synchronized=True), layers.Dense(3)]
    )
    model.compile(
        mlkit.optimizers.Adam(0.01), mlkit.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    return model


def trained(model):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(26, 6)), rng.integers(0, 3, 26)
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return model.get_weights(), history, model.predict(x, batch_size=9, verbose=0)


@pytest.fixture
def float64():
    mlkit.config.set_dtype_policy("float64")
    yield
    mlkit.config.set_dtype_policy("float32")


def test_two_ranks_train_to_what_one_process_comes_to(ranks, reference, use, float64):
    use(reference)
    alone = trained(net())
    models = [net(), net()]

    def do(nccl, gpu):
        with swapped(communicator=nccl):
            distributed = distribution.DataParallel()
            with swapped(distribution=distributed):
                found = trained(models[nccl.rank])
        return *found, nccl._comm.calls

    one, other = ranks(do)
    for a, b, c in zip(alone[0], one[0], other[0]):
        np.testing.assert_array_equal(b, c)
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one[2], alone[2], rtol=1e-9)
    np.testing.assert_array_equal(one[2], other[2])
    for name, values in alone[1].items():
        np.testing.assert_allclose(one[1][name], values, rtol=2e-6)
    assert len(one[3]) > 8  # the gradients of eight steps, at least, went by NCCL
    assert one[3] == other[3]


def test_the_double_has_the_names_and_parameters_of_the_real_one():
    real = fake_cupy.NAMES["cupy.cuda.nccl"]
    own = {name for name in vars(fake_nccl) if name.startswith(("NCCL_", "get_", "av"))}
    assert own <= set(real)
    for name, parameters in fake_cupy.NAMES["cupy.cuda.nccl.NcclCommunicator"].items():
        double = getattr(fake_nccl.NcclCommunicator, name, None)
        assert double is None or list(inspect.signature(double).parameters)[1:] == parameters, name
