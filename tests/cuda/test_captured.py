"""Programs as CUDA graphs, on a GPU that is not there: results as on the CPU, and what breaks captures elsewhere."""

import gc
import threading
import weakref

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.core import debug
from mlkit.core.state import swapped
from tests.cuda import fake_cuda, fake_cupy
from tests.cuda.double import make_gpu
from tests.cuda.test_steps import READS, workloads


@pytest.fixture
def here(gpu, use):
    """The GPU in force."""
    use(gpu)
    return gpu


def program_of(function):
    """What runs the last program of a compiled function."""
    *_, programs = function.programs.values()
    return programs[-1].run.current()._local.bound.run


def dense(units=3, optimizer="adam"):
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.3), layers.Dense(units)])
    model.compile(optimizer, "mse")
    return model, np.random.default_rng(0).normal(size=(6, 4)).astype("float32"), np.ones((6, units), "float32")


def losses_of(backend, use, steps, change=None):
    use(backend)
    model, x, y = dense()
    found = []
    for i in range(steps):
        if change is not None:
            change(i, model)
        found.append(model.train_on_batch(x, y))
    return found, [w.numpy() for w in model.weights]


def compare(gpu, reference, use, steps, change=None):
    wanted, weights = losses_of(reference, use, steps, change)
    found, own = losses_of(gpu, use, steps, change)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for a, b in zip(own, weights):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    fake_cupy.counts.clear()


def test_a_graph_is_one_launch_and_computes_what_kernels_do(gpu, reference, use, monkeypatch):
    compare(gpu, reference, use, steps=50)
    graph, _ = losses_of(gpu, use, 5)
    assert fake_cupy.counts.replays == 4
    monkeypatch.setattr(debug, "CAPTURE", False)
    kernels, _ = losses_of(gpu, use, 5)
    assert fake_cupy.counts.replays == 4
    assert graph == kernels


@pytest.mark.parametrize(
    "name, policy",
    [
        ("mlp", "float32"),
        ("convnet", "mixed_bfloat16"),
        ("lstm", "mixed_bfloat16"),
        ("cifar_resnet", "float32"),
        ("transformer", "mixed_bfloat16"),
    ],
)
def test_steps_are_captured_and_use_no_default_stream(name, policy, here):
    mlkit.config.set_dtype_policy(policy)
    mlkit.utils.set_random_seed(0)
    model, x, y, compiled = getattr(workloads, name)(mlkit)
    model.compile(**compiled)
    for _ in range(3):
        fake_cupy.counts.clear()
        model.train_on_batch(x[:2], y[:2])
    assert fake_cupy.counts.replays == 1
    assert fake_cupy.counts.on_default_stream == 0
    assert fake_cupy.counts.launches <= 20  # copies of the batch in, of results out, and of metrics that were reset


@pytest.mark.parametrize("epochs", [1, 3])
def test_fit_waits_for_the_logs_of_an_epoch_and_for_no_step(epochs, here):
    waits = []
    for batches in (5, 20):
        model, x, y = dense()
        x, y = (np.concatenate([a] * batches) for a in (x, y))
        model.fit(x, y, batch_size=6, verbose=0, check=False)
        fake_cupy.counts.clear()
        model.fit(x, y, batch_size=6, epochs=epochs, verbose=0, check=False)
        assert fake_cupy.counts.replays == batches * epochs  # metrics that begin anew are copied to where the graph has them
        waits.append(sum(fake_cupy.counts.waits.values()))
    assert waits[0] == waits[1] <= 4 * epochs + 4


def test_results_that_are_kept_never_change(here):
    f = mlkit.function(lambda x: (x, ops.exp(x), ops.reshape(x * 2, (-1,))))
    kept = [f(ops.full((2, 2), float(i))) for i in range(5)]
    assert fake_cupy.counts.replays == 4
    for i, (same, grown, flat) in enumerate(kept):
        np.testing.assert_array_equal(same.numpy(), np.full((2, 2), i))
        np.testing.assert_allclose(grown.numpy(), np.full((2, 2), np.exp(i)), rtol=1e-6)
        np.testing.assert_array_equal(flat.numpy(), [2 * i] * 4)


def test_a_learning_rate_of_each_step_and_the_count_of_steps_lie_on_the_device(gpu, reference, use):
    def change(i, model):
        model.optimizer.learning_rate = 0.1 / (i + 1)

    compare(gpu, reference, use, 8, change)
    losses_of(gpu, use, 6, change)
    assert fake_cupy.counts.replays == 5


def test_the_scale_of_a_loss_and_whether_gradients_are_finite_lie_on_the_device(here):
    mlkit.config.set_dtype_policy("mixed_float16")
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([mlkit.Input((4,)), layers.Dense(8, "relu"), layers.Dense(3, dtype="float32")])
    model.compile("sgd", "mse")  # with a LossScaleOptimizer around it
    scale, weights = [], []
    for factor in (1, 1, 1e38, 1):
        fake_cupy.counts.clear()
        model.train_on_batch(np.full((6, 4), 0.5, "float32"), np.full((6, 3), factor, "float32"))
        assert [w for w in fake_cupy.counts.waits if not READS.match(w)] == []
        scale.append(float(model.optimizer.dynamic_scale.numpy()))
        weights.append(model.weights[0].numpy())
    assert fake_cupy.counts.replays == 1
    assert scale == [2.0**15, 2.0**15, 2.0**14, 2.0**14]
    assert (weights[1] != weights[0]).any()
    np.testing.assert_array_equal(weights[2], weights[1])  # the step with gradients that are not finite is left out


def test_weights_that_are_set_or_held_are_those_that_count(gpu, reference, use):
    held = []

    def change(i, model):
        if i == 3:
            model.set_weights([np.full(w.shape, 0.1 * (i + 1), "float32") for w in model.weights])
        if i in (5, 6, 7):  # as somebody who compares weights of steps
            held.append([(w.value, w.numpy()) for w in model.weights])

    compare(gpu, reference, use, 12, change)
    for tensors in held:
        for tensor, then in tensors:
            np.testing.assert_array_equal(tensor.numpy(), then)


def test_much_that_lies_elsewhere_each_time_is_captured_anew(here):
    big = mlkit.Variable(np.zeros((600, 600), "float32"))
    f = mlkit.function(lambda: ops.sum(big))
    for i in range(7):
        big.assign(np.full((600, 600), i, "float32"))
        assert float(f()) == 360000 * i
    for _ in range(3):
        assert float(f()) == 360000 * 6


def test_training_and_predicting_take_turns(gpu, reference, use):
    def run(backend):
        use(backend)
        mlkit.config.set_dtype_policy("mixed_bfloat16")  # weights are cast before the step, once for each change of them
        model, x, y = dense()
        found = []
        for _ in range(4):
            found.append(model.predict(x, verbose=0))
            model.fit(x, y, epochs=2, batch_size=4, verbose=0)  # the last batch is a program of its own
        mlkit.config.set_dtype_policy("float32")
        return found

    for a, b in zip(run(gpu), run(reference)):
        np.testing.assert_allclose(a.astype("float32"), b.astype("float32"), rtol=3e-2, atol=3e-2)


def test_what_goes_on_as_values_tell_is_launched_kernel_by_kernel(here):
    f = mlkit.function(lambda x: ops.cond(ops.sum(x) > 0, lambda: x + 1, lambda: x - 1))
    for value, wanted in [(1.0, 2.0), (-1.0, -2.0), (1.0, 2.0), (-1.0, -2.0)]:
        assert float(f(ops.convert_to_tensor(value))) == wanted
    assert fake_cupy.counts.replays == 0


def test_a_capture_that_fails_is_undone_and_never_tried_again(here, monkeypatch, capsys):
    monkeypatch.setattr(debug, "LEVEL", 1)
    total = mlkit.Variable(np.zeros(3, "float32"))
    f = mlkit.function(lambda x: (total.assign(total + x), total * 2)[1])
    f(ops.ones(3))
    program = program_of(f)
    run, pool = program._run, weakref.ref(program._pool)

    def waiting(arrays):
        results = run(arrays)
        results[0].get()  # as a kernel does that must know a value
        return results

    program._run = waiting
    for i in range(4):
        assert f(ops.ones(3)).tolist() == [2 * i + 4] * 3
    assert total.numpy().tolist() == [5, 5, 5]
    assert capsys.readouterr().err.count("runs kernel by kernel, for it cannot be captured: cudaErrorStreamCapture") == 1
    assert fake_cupy.counts.replays == 0
    assert not here.device.streams.recording.is_capturing()
    assert pool() is None  # its memory is free
    g = mlkit.function(lambda x: x + 1)
    assert [float(g(ops.convert_to_tensor(1.0))) for _ in range(3)] == [2, 2, 2]
    assert fake_cupy.counts.replays == 2


def test_an_error_of_ctrl_c_leaves_the_stream_as_it_was(here):
    f = mlkit.function(lambda x: x * 3)
    f(ops.ones(2))
    program = program_of(f)
    run = program._run

    def interrupted(arrays):
        run(arrays)
        raise KeyboardInterrupt

    program._run = interrupted
    with pytest.raises(KeyboardInterrupt):
        f(ops.ones(2))
    program._run = run
    assert not here.device.streams.recording.is_capturing()
    assert f(ops.ones(2)).tolist() == [3, 3]


def test_a_larger_program_takes_the_arena_and_smaller_ones_are_captured_anew(gpu, use):
    own = make_gpu()
    use(own)
    try:
        small, large = (mlkit.function(lambda x: ops.sum(ops.sort(x @ x) @ x)) for _ in range(2))
        x, y = ops.ones((8, 8)) * 0.1, ops.ones((64, 64)) * 0.01
        before = [float(small(x)) for _ in range(3)]
        first = weakref.ref(program_of(small))
        for _ in range(3):
            float(large(y))
        assert [float(small(x)) for _ in range(4)] == before + before[:1]
        gc.collect()
        assert first() is None
    finally:
        use(gpu)
        mlkit.core.backend.register_arrays(fake_cupy.ndarray, gpu)


def test_memory_is_held_until_the_device_has_come_past_a_graph(here):
    """Dropped while it runs: CUDA would free memory that is still written."""
    f = mlkit.function(lambda x: ops.exp(x) + 1)
    for _ in range(3):
        f(ops.ones(4))
    late = here.device.streams._late
    recording = weakref.ref(program_of(f)._recording[0])
    event = fake_cuda.Event
    try:
        fake_cuda.Event = type("Unfinished", (event,), {"done": property(lambda self: False, lambda self, value: None)})
        fake_cuda.cuda.Event = fake_cuda.Event
        del f
        gc.collect()
        assert recording() is not None
    finally:
        fake_cuda.cuda.Event = fake_cuda.Event = event
    late.clear()
    gc.collect()
    assert recording() is None


def test_a_program_that_is_dropped_while_another_is_captured_disturbs_nothing(here):
    """As garbage is collected at any time: what it holds is put by, and the events of that are looked at."""
    other = mlkit.function(lambda x: ops.exp(x) - 1)
    f = mlkit.function(lambda x: ops.sin(x) + x)
    for _ in range(2):
        other(ops.ones(4))
    f(ops.ones(4))
    program, held = program_of(f), [other]
    del other
    run = program._run

    def dropping(arrays):
        held.clear()
        gc.collect()
        return run(arrays)

    program._run = dropping
    fake_cupy.counts.clear()
    for _ in range(3):
        np.testing.assert_allclose(f(ops.ones(4)).numpy(), np.sin(1) + 1, rtol=1e-6)
    assert fake_cupy.counts.replays == 3


def test_two_threads_run_the_same_program(here):
    f = mlkit.function(lambda x: ops.sum(ops.sort(x @ x) @ x) + x[0, 0])
    inputs = [np.full((5, 5), i, "float32") for i in range(6)]
    wanted = [float(f(x)) for x in inputs]
    found = {}

    def run(k):
        with swapped(backend=here, kernels=here.kernels):
            found[k] = [float(f(x)) for x in inputs[k:] + inputs[:k]]

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {k: wanted[k:] + wanted[:k] for k in range(4)}
    assert fake_cupy.counts.on_default_stream == 0


def test_an_index_out_of_range_in_a_graph_is_said_when_something_is_read(here):
    from mlkit.primitives import movement

    f = mlkit.function(lambda x, i: movement.take(x, i, axis=0))
    x = ops.arange(3.0)
    for _ in range(3):
        assert f(x, ops.convert_to_tensor(np.array([2, 0]))).tolist() == [2, 0]
    wrong = f(x, ops.convert_to_tensor(np.array([2, 5])))
    right = f(x, ops.convert_to_tensor(np.array([1, 1])))  # the next call does not hide it
    with pytest.raises(IndexError, match="take: an index is out of range for size 3"):
        wrong.numpy()
    assert right.tolist() == [1, 1]
    assert f(x, ops.convert_to_tensor(np.array([0, 1]))).tolist() == [0, 1]


# ---- what the double refuses, as CUDA does --------------------------------------------------------------------------------


def captured(action):
    xp = fake_cupy.module
    stream = xp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            action(xp)
        finally:
            with pytest.raises(xp.cuda.runtime.CUDARuntimeError, match="Invalidated"):
                stream.end_capture()
    assert not stream.is_capturing()


@pytest.mark.parametrize(
    "action",
    [
        lambda xp: xp.cuda.Stream.null.use().__class__ and xp.add(DEVICE, 1),
        lambda xp: DEVICE.get(),
        lambda xp: xp.asarray(np.ones(3)),
        lambda xp: xp.cuda.alloc_pinned_memory(10),
        lambda xp: xp.cuda.get_current_stream().synchronize(),
        lambda xp: xp.cuda.get_current_stream().record(),
        lambda xp: xp.empty((1_048_583,), "float64"),  # of a size that no other test leaves free
    ],
    ids=["default stream", "copy to the host", "copy from the host", "pinned memory", "wait", "event", "memory"],
)
def test_what_is_refused_while_a_stream_is_captured(action):
    before = fake_cuda.current_stream()
    try:
        with pytest.raises(fake_cuda.CUDARuntimeError, match="Unsupported"):
            captured(action)
    finally:
        before.use()


DEVICE = fake_cupy.module.asarray(np.zeros(3))


def test_the_double_has_only_names_that_cupy_has():
    for kind in (fake_cuda.Stream, fake_cuda.Event, fake_cuda.Graph, fake_cuda.MemoryPool, fake_cuda.Device):
        own = {n for n in vars(kind) if not n.startswith("_")} - {"refuse", "take", "give"}
        assert own <= set(fake_cupy.NAMES[f"cupy.cuda.{kind.__name__}"])
    assert set(vars(fake_cupy.module._core._routines_linalg)) <= set(fake_cupy.NAMES["cupy._core._routines_linalg"])
    assert set(vars(fake_cuda.cuda)) <= set(fake_cupy.NAMES["cupy.cuda"])
    assert {n for n in vars(fake_cuda.runtime) if not n.startswith("_")} - {"free", "total"} <= set(
        fake_cupy.NAMES["cupy.cuda.runtime"]
    )
