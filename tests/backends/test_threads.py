"""The number of threads: set, honoured, and what depends on it."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mlkit
from mlkit import ops
from mlkit.backends.native.onednn.library import library


def test_setting():
    before = mlkit.config.num_threads()
    f = mlkit.function(lambda x, w: ops.relu(ops.conv(x, w, padding="same")))
    x, w = np.ones((2, 8, 8, 3), "float32"), np.ones((3, 3, 3, 8), "float32")
    wanted = f(x, w).numpy()
    try:
        for n in (1, 2):
            mlkit.config.set_num_threads(n)
            assert mlkit.config.num_threads() == n
            np.testing.assert_allclose(f(x, w), wanted)
            np.testing.assert_allclose(ops.conv(x, w, padding="same"), wanted)
    finally:
        mlkit.config.set_num_threads(before)


@pytest.mark.parametrize("wrong", [0, -1, 1.0, "2", True])
def test_wrong_numbers(wrong):
    with pytest.raises(ValueError, match="positive int"):
        mlkit.config.set_num_threads(wrong)


def test_environment():
    code = "import mlkit; print(mlkit.config.num_threads())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ, OMP_NUM_THREADS="3"), capture_output=True, text=True
    )
    assert done.stdout.strip() == "3", done.stderr


def test_same_seed_same_bits():
    def weights():
        mlkit.utils.set_random_seed(0)
        net = mlkit.Sequential(
            [
                mlkit.Input((8, 8, 3)),
                mlkit.layers.Conv2D(8, 3, activation="relu"),
                mlkit.layers.BatchNormalization(),
                mlkit.layers.Dropout(0.3),
                mlkit.layers.Flatten(),
                mlkit.layers.Dense(4, activation="softmax"),
            ]
        )
        net.compile("adam", "sparse_categorical_crossentropy")
        rng = np.random.default_rng(0)
        net.fit(rng.random((128, 8, 8, 3), "float32"), rng.integers(0, 4, 128), batch_size=16, epochs=5, verbose=0)
        return [w.numpy().copy() for w in net.weights]

    for a, b in zip(weights(), weights()):
        np.testing.assert_array_equal(a, b)


ONE_THREAD = """
import threading, time, warnings
import numpy as np, mlkit
from mlkit import layers, ops

def busy_threads():
    'Threads of this process that take processor time while work is done, besides this one.'
    import os
    own = threading.get_native_id()
    return {
        t: sum(map(int, open(f"/proc/self/task/{t}/stat").read().rsplit(")", 1)[1].split()[11:13]))
        for t in os.listdir("/proc/self/task") if int(t) != own
    }

def others(run):
    'Ticks that other threads took while `run` ran for a while.'
    before, end = busy_threads(), time.process_time() + 0.25
    while time.process_time() < end:
        run()
    return sum(ticks - before.get(t, 0) for t, ticks in busy_threads().items())

x, w = np.ones((512, 512), "float32"), np.ones((512, 512), "float32")
image, kernel = np.ones((4, 32, 32, 32), "float32"), np.ones((3, 3, 32, 32), "float32")
product = mlkit.function(lambda x, w: ops.tanh(ops.matmul(x, w)))
conv = mlkit.function(lambda x, w: ops.relu(ops.conv(x, w, padding="same")))
net = mlkit.Sequential([mlkit.Input((16, 32)), layers.Bidirectional(layers.LSTM(64)), layers.Dense(1)])
sequences = np.zeros((32, 16, 32), "float32")


def gradient(x, w):
    with mlkit.GradientTape() as tape:
        tape.watch((x, w))
        loss = ops.sum(ops.relu(ops.conv(x, w, padding="same")))
    return tape.gradient(loss, [x, w])


gradients = mlkit.function(gradient)
works = {
    "gradients": lambda: gradients(image, kernel),
    "product": lambda: product(x, w), "conv": lambda: conv(image, kernel), "eager": lambda: ops.matmul(x, w),
    "net": lambda: net.predict_on_batch(sequences), "sum": lambda: ops.sum(ops.exp(x), axis=0),
}
if %(before)r:
    mlkit.config.set_num_threads(2)
    for run in works.values():
        run()
mlkit.config.set_num_threads(1)
for run in works.values():
    run()
time.sleep(0.3)  # threads that have had work spin for a while
print({name: ticks for name, run in works.items() if (ticks := others(run)) > 4})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("before", [False, True], ids=["from the start", "later"])
def test_one_thread_is_one_thread(before):
    """No other thread takes processor time: what was made for more threads is made anew."""
    done = subprocess.run(
        [sys.executable, "-c", ONE_THREAD % dict(before=before)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "{}", done.stdout + done.stderr


WAITING = """
import os, time
import numpy as np, mlkit
from mlkit import layers, ops

x = np.ones((512, 512), "float32")
product = mlkit.function(lambda x: ops.matmul(x, x))
inputs = mlkit.Input((32,))
y = inputs
for _ in range(10):
    y = layers.Dense(32, activation="relu")(y)
small = mlkit.Model(inputs, layers.Dense(1)(y))
small.compile("adam", "mse")
data = np.ones((32, 32), "float32"), np.ones((32, 1), "float32")

def others_are_idle():
    'Processor time of all threads, less that of this one, in one second.'
    total, own = time.process_time(), time.thread_time()
    yield
    print((time.process_time() - total) - (time.thread_time() - own) < 0.15, flush=True)

def seconds(run):
    end = time.perf_counter() + 1
    while time.perf_counter() < end:
        run()

mlkit.config.set_num_threads(2)
for run in (lambda: small.train_on_batch(*data), lambda: (product(x), time.sleep(0.02))):
    run()
    counter = others_are_idle()
    next(counter)
    seconds(run)
    next(counter, None)
print("GOMP_SPINCOUNT" in os.environ)
"""


@pytest.mark.skipif(library() is None, reason="the threads are those of oneDNN")
def test_threads_without_work_leave_the_processor_to_others():
    """What is small runs on one thread, and threads that have had work do not look for more for long."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", WAITING], env={**environment, "PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "True", "False"], done.stdout + done.stderr


@pytest.mark.skipif(library() is None, reason="the threads are those of oneDNN")
def test_neighbours_that_are_small_are_left_to_one_thread_together():
    def net(x, w, image, kernel, last):
        for _ in range(3):
            x = ops.relu(ops.matmul(x, w) + last)
        y = ops.conv(image, kernel, padding="same")
        for _ in range(2):
            x = ops.relu(ops.matmul(x, w) + ops.sum(y))
        return x, ops.cond(ops.sum(x) > 0, lambda: ops.exp(ops.conv(image, kernel)), lambda: ops.conv(image, kernel))

    rng = np.random.default_rng(0)
    shapes = (8, 16), (16, 16), (4, 32, 32, 32), (3, 3, 32, 32), (16,)
    arrays = [ops.convert_to_tensor(rng.standard_normal(s).astype("float32") / 16) for s in shapes]
    before, threads = mlkit.config.num_threads(), library().function("omp_get_max_threads")
    mlkit.config.set_num_threads(2)
    try:
        run = mlkit.function(net)
        found = run(*arrays)
        lines = [line.strip() for line in run.program(*arrays).run.source.splitlines()]
        switches = [line.split(";")[0] for line in lines if line.startswith("parts.")]
        assert switches[:3] == ["parts.one()", "parts.all()", "parts.one()"]
        assert next(line for line in lines if "cond" in line).startswith("parts.all()")
        assert threads() == 2
        mlkit.config.set_num_threads(1)
        for a, b in zip(found, mlkit.function(net)(*arrays)):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)
    finally:
        mlkit.config.set_num_threads(before)


@pytest.mark.skipif(library() is None, reason="the threads are those of oneDNN")
def test_the_number_of_threads_is_given_back_after_an_error():
    from mlkit.backends.native.onednn.kernel_steps import Threads

    before, threads = mlkit.config.num_threads(), library().function("omp_get_max_threads")
    mlkit.config.set_num_threads(2)
    try:
        ops.matmul(np.ones((300, 300), "float32"), np.ones((300, 300), "float32"))  # which has the number set
        with pytest.raises(KeyError), Threads() as parts:
            parts.one()
            assert threads() == 1
            raise KeyError
        assert threads() == 2
    finally:
        mlkit.config.set_num_threads(before)
