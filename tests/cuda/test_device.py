"""Tensors of a GPU among others: where they are, how they come to NumPy, what moves and what is refused."""

import threading

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.core import debug
from mlkit.core.backend import choose_default, register_arrays
from mlkit.core.state import state, swapped
from mlkit.primitives import movement
from mlkit.primitives.foreign import foreign_call
from tests.cuda import fake_cuda, fake_cupy
from tests.cuda.double import DoubleOfGpu, backend_of


@pytest.fixture
def beside(gpu, monkeypatch):
    """The CPU in force, and the GPU to be had by its name."""
    from mlkit.backends.native import cuda

    monkeypatch.setattr(cuda, "names", lambda: ["cuda:0"])
    monkeypatch.setattr(cuda, "backend", lambda name, host: gpu)
    return gpu


@pytest.fixture
def two(gpu, monkeypatch):
    """The CPU in force, and two GPUs to be had by their names: name -> backend."""
    from mlkit.backends.native import cuda

    monkeypatch.setattr(fake_cuda.runtime, "getDeviceCount", lambda: 2)
    found = {f"cuda:{k}": backend_of(DoubleOfGpu(number=k)) for k in range(2)}
    monkeypatch.setattr(cuda, "names", lambda: list(found))
    monkeypatch.setattr(cuda, "backend", lambda name, host: found[name])
    yield found
    register_arrays(fake_cupy.ndarray, gpu)


def test_devices_are_listed_and_named_in_all_ways(beside):
    assert state.backend.devices() == ["cuda:0", "cpu:0"]
    for name in ("cuda:0", "gpu:0", "cuda", "GPU"):
        with mlkit.device(name):
            assert ops.ones(2).device == "cuda:0"
            with mlkit.device("cpu"):
                assert ops.ones(2).device == "cpu:0"
    with pytest.raises(ValueError, match="no 'cuda:1' on backend 'native'. Devices: cuda:0, cpu:0"), mlkit.device("cuda:1"):
        pass


@pytest.mark.parametrize("asked, chosen", [("", "cuda:0"), ("cpu", "cpu:0"), ("gpu:0", "cuda:0")])
def test_the_gpu_is_the_default_and_the_environment_chooses_another(asked, chosen, beside, use, monkeypatch):
    use(state.backend)
    monkeypatch.setattr(debug, "DEVICE", asked)
    choose_default()
    assert ops.ones(2).device == chosen


def test_a_device_is_set_for_all_threads(beside, use):
    use(state.backend)
    mlkit.config.set_device("gpu")
    assert ops.ones(2).device == "cuda:0"
    mlkit.config.set_device("cpu")
    assert ops.ones(2).device == "cpu:0"


def test_tensors_know_their_device_and_values_outside_of_the_block(beside):
    with mlkit.device("cuda:0"):
        x = ops.arange(3.0) * 2
    assert x.device == "cuda:0"
    np.testing.assert_array_equal(x.numpy(), [0, 2, 4])
    assert x.numpy().flags.writeable is False
    assert x.tolist() == [0, 2, 4]
    assert float(x[1]) == 2


def test_arrays_of_numpy_go_where_the_op_runs(beside):
    with mlkit.device("cuda:0"):
        assert (ops.ones(3) + np.arange(3.0, dtype="float32")).device == "cuda:0"
        assert ops.add(np.ones(3), 1).device == "cuda:0"


def test_values_of_two_devices_in_one_op_are_named(beside):
    with mlkit.device("cuda:0"):
        x = ops.ones((2, 3))
    with pytest.raises(ValueError, match="cpu:0 computes, but argument 0 is on cpu:0, argument 1 is on cuda:0"):
        ops.matmul(ops.ones((4, 2)), x)


@pytest.mark.parametrize("computes", ["cpu:0", "cuda:0", "cuda:1"])
@pytest.mark.parametrize("first, second", [("cuda:0", "cuda:1"), ("cpu:0", "cuda:1"), ("cuda:0", "cpu:0")])
def test_any_two_devices_in_one_op_are_named(computes, first, second, two):
    with mlkit.device(first):
        x = ops.ones((2, 3))
    with mlkit.device(second):
        y = ops.ones((2, 3))
    assert (x.device, y.device) == (first, second)
    both = f"add: {computes} computes, but argument 0 is on {first}, argument 1 is on {second}. Compute where they are"
    with mlkit.device(computes), pytest.raises(ValueError, match=both):
        ops.add(x, y)
    np.testing.assert_array_equal((x.numpy(), y.numpy()), np.ones((2, 2, 3)))  # wherever they are


@pytest.mark.parametrize("made, used", [("cuda:0", "cuda:1"), ("cpu:0", "cuda:1"), ("cuda:1", "cpu:0")])
@pytest.mark.parametrize("eagerly", [False, True])
def test_weights_and_the_state_of_the_optimizer_move_to_the_device_that_trains(made, used, eagerly, two):
    x, y = np.random.default_rng(0).normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")

    def trained(devices):
        mlkit.utils.set_random_seed(0)
        with mlkit.device(devices[0]):
            model = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(4, "relu"), layers.Dropout(0.2), layers.Dense(1)])
            model.compile("adam", "mse", run_eagerly=eagerly)
        for device in devices:
            with mlkit.device(device):
                model.fit(x, y, epochs=2, verbose=0)
                assert {v.value.device for v in model.trainable_variables + model.optimizer.variables} == {device}
        return [w.numpy() for w in model.weights]

    for moved, stayed in zip(trained([made, used, made]), trained([made] * 3)):
        np.testing.assert_allclose(moved, stayed, rtol=1e-5, atol=1e-6)


def test_a_value_that_somebody_holds_stays_on_its_gpu_when_the_variable_is_trained_on_another(two):
    step = mlkit.function(lambda x: v.assign_add(x))
    with mlkit.device("cuda:0"):
        v = mlkit.Variable([1.0, 2.0])
        held = v.value
    for count in range(1, 4):
        with mlkit.device("cuda:1"):
            step(ops.ones(2))
            assert v.value.device == "cuda:1"
            assert v.numpy().tolist() == [1 + count, 2 + count]
    assert (held.device, held.tolist()) == ("cuda:0", [1, 2])


def test_a_gpu_that_takes_an_array_of_another_waits_for_it_and_holds_it_meanwhile(two, monkeypatch):
    waits = []
    monkeypatch.setattr(fake_cuda.Stream, "wait_event", lambda self, event: waits.append(self))
    with mlkit.device("cuda:0"):
        v = mlkit.Variable([1.0, 2.0])
    held = []
    monkeypatch.setattr(two["cuda:1"].device.streams, "hold", lambda thing: held.append(thing.tolist()))
    with mlkit.device("cuda:1"):
        assert (v + 1).device == "cuda:1"
    assert waits == [two["cuda:1"].device.streams.computing]
    assert held == [[1, 2]]


def test_a_model_made_on_the_cpu_trains_on_the_gpu(beside):
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(4, "relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    x, y = np.random.default_rng(0).normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")
    before = model.predict(x, verbose=0)
    with mlkit.device("gpu"):
        np.testing.assert_allclose(model.predict(x, verbose=0), before, rtol=1e-6)
        model.fit(x, y, epochs=2, verbose=0)
        assert {v.value.device for v in model.trainable_variables + model.optimizer.variables} == {"cuda:0"}
    assert model.predict(x, verbose=0).shape == (8, 1)  # on the CPU again, where its weights move to


def test_variables_move_to_where_they_are_read(beside):
    with mlkit.device("gpu"):
        v = mlkit.Variable([1.0, 2.0])
        mlkit.random.uniform((2,))  # draws from the global seed, a variable
        assert v.value.device == "cuda:0"
    assert (v + 1).device == "cpu:0"
    mlkit.random.uniform((2,))
    with mlkit.device("gpu"):
        v.assign_add([1.0, 1.0])
        assert v.value.device == "cuda:0"
    np.testing.assert_array_equal(v.numpy(), [2, 3])


@pytest.mark.parametrize("staged", [False, True])
def test_an_index_out_of_range_is_said_when_a_result_is_read(gpu, staged):
    take = mlkit.function(lambda x, i: movement.take(x, i, axis=0)) if staged else lambda x, i: movement.take(x, i, axis=0)
    with swapped(backend=gpu, kernels=gpu.kernels):
        x = ops.arange(3.0)
        fake_cupy.counts.clear()
        wrong = take(x, ops.convert_to_tensor(np.array([0, 3])))
        assert not fake_cupy.counts.waits
        with pytest.raises(IndexError, match="take: an index is out of range for size 3"):
            wrong.numpy()
        np.testing.assert_array_equal(take(x, ops.convert_to_tensor(np.array([2, 0]))).numpy(), [2, 0])


def test_checks_of_a_program_are_read_at_once(gpu):
    @mlkit.function
    def look_up(x, i, j):
        return movement.take(x, i, axis=0), movement.take(x, j, axis=1), movement.take(x, j, axis=0)

    with swapped(backend=gpu, kernels=gpu.kernels):
        x, fine, wrong = ops.ones((4, 5)), ops.convert_to_tensor(np.array([0, 3])), ops.convert_to_tensor(np.array([0, 4]))
        for i, j, message in [(fine, fine, None), (fine, wrong, "size 4"), (wrong, fine, "size 4"), (fine, fine, None)] * 2:
            results = look_up(x, i, j)
            fake_cupy.counts.clear()
            if message is None:
                results[0].numpy()
                assert sum(fake_cupy.counts.waits.values()) == 2  # the result and all checks
            else:
                with pytest.raises(IndexError, match=message):
                    results[0].numpy()


def test_a_singular_matrix_raises_as_on_the_cpu(gpu):
    singular, fine = np.array([[1.0, 2.0], [2.0, 4.0]], "float32"), np.eye(2, dtype="float32")
    compiled = mlkit.function(ops.inv)
    with swapped(backend=gpu, kernels=gpu.kernels):
        for invert in (ops.inv, compiled, compiled):
            np.testing.assert_array_equal(invert(ops.convert_to_tensor(fine)).numpy(), fine)
        for invert in (ops.inv, compiled):
            with pytest.raises(ValueError, match="solve: matrix a is singular"):
                invert(ops.convert_to_tensor(singular))
        with pytest.raises(ValueError, match="cholesky: a matrix is not positive definite"):
            ops.cholesky(ops.convert_to_tensor(-fine))


def test_many_checks_have_room(gpu):
    from mlkit.backends.native.cuda.doubts import AT_ONCE, Doubts

    doubts = Doubts(gpu.xp)
    assert not doubts
    for i in range(AT_ONCE + 3):
        doubts.fine(f"check {i}")
    assert doubts.fine("check 0").data.ptr == doubts.fine("check 0").data.ptr
    assert doubts.first() is None
    doubts.fine(f"check {AT_ONCE + 1}").fill(False)
    assert doubts.first() == f"check {AT_ONCE + 1}"
    assert doubts.first() is None


def test_a_function_of_another_library_may_use_the_gpu_from_other_threads(gpu, use):
    """The lock of the device is not held while it runs, and what others compute meanwhile is not written over what the program keeps."""
    from tests.ops.samples.foreign import PRODUCT

    use(gpu)
    other = mlkit.function(lambda x: ops.sum(ops.sin(x) * ops.cos(x)) + ops.sum(ops.exp(x)))
    big = ops.ones((50, 60))
    done = [float(other(big))]  # a program is made while no other is: the thread would wait for ours

    class Asking(type(PRODUCT)):
        def run(self, *arrays):
            def ask():
                with swapped(backend=gpu, kernels=gpu.kernels):
                    done.append(float(other(big)))

            thread = threading.Thread(target=ask, daemon=True)
            thread.start()
            thread.join(30)
            assert not thread.is_alive(), "it waits for us"
            return super().run(*arrays)

    function = Asking(PRODUCT.fn)
    step = mlkit.function(lambda a, b: foreign_call(ops.tanh(a), b, function=function)[0] + ops.tanh(a) * 2)
    a, b = (np.random.default_rng(i).normal(size=(2, 3)).astype("float32") for i in range(2))
    for _ in range(3):
        found = step(ops.convert_to_tensor(a), ops.convert_to_tensor(b))
        plain = PRODUCT.run(np.tanh(a), b)[0] + np.tanh(a) * 2
        np.testing.assert_allclose(found.numpy(), plain, rtol=1e-5)
    assert len(done) >= 4  # and once to learn the shapes


def test_random_numbers_are_those_of_the_cpu(gpu):
    def draw():
        return [f((5, 7), seed=3).numpy() for f in (mlkit.random.uniform, mlkit.random.normal)] + [
            mlkit.random.randint((9,), 0, 100, seed=4).numpy(), mlkit.random.binomial((6,), 5, 0.5, seed=5).numpy(),
        ]  # fmt: skip

    on_cpu = draw()
    with swapped(backend=gpu, kernels=gpu.kernels):
        for a, b in zip(draw(), on_cpu):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_who_takes_an_array_in_a_new_thread_waits_for_our_stream(beside):
    from tests.cuda import fake_cuda

    with mlkit.device("cuda:0"):
        x = ops.ones(3)
    seen = []

    class Taken(type(x.data)):
        __slots__ = ()

        def __dlpack__(self, **kwargs):
            seen.append(fake_cuda.current_stream())

    def take():
        with swapped(backend=beside, kernels=beside.kernels):
            beside.export(Taken.around(x.data._host)).__dlpack__()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert seen == [beside.device.streams.computing]
