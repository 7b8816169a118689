"""Several threads change the same variables: nothing is lost. A forked child computes like its parent."""

import multiprocessing
import sys
import threading

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops


def together(work, count=4):
    """Run `work` in several threads that start at the same time; raises what one of them raised."""
    start, failed = threading.Barrier(count), []

    def run():
        start.wait()
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def test_no_compiled_update_is_lost():
    model = mlkit.Sequential([layers.Input((8,)), layers.Dense(16, activation="tanh"), layers.Dense(1)])
    optimizer = mlkit.optimizers.RMSprop(1e-3)
    optimizer.build(model.trainable_variables)
    x = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")

    @mlkit.function
    def step(x):
        with mlkit.GradientTape() as tape:
            loss = ops.mean(model(x) ** 2)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    step(x)
    before = int(optimizer.iterations)
    together(lambda: [step(x) for _ in range(60)])
    assert int(optimizer.iterations) - before == 240


def test_programs_that_share_some_variables_do_not_wait_for_each_other_for_ever():
    a, b = mlkit.Variable(0.0), mlkit.Variable(0.0)

    def add(first, second):
        first.assign_add(1.0)
        second.assign_add(1.0)

    forward, backward = mlkit.function(lambda: add(a, b)), mlkit.function(lambda: add(b, a))
    forward(), backward()
    together(lambda: [(forward(), backward()) for _ in range(100)])
    assert float(a) == float(b) == 802.0


def test_eager_additions_and_draws_are_not_lost():
    v, seeds, keys = mlkit.Variable(0.0), mlkit.random.SeedGenerator(1), []
    together(lambda: [(v.assign_add(1.0), keys.append(int(seeds.next().numpy()[1]))) for _ in range(100)])
    assert float(v) == 400.0
    assert len(set(keys)) == 400


def _predict_into(queue, model, x):
    queue.put(model.predict(x, verbose=0))


@pytest.mark.native("a process with the threads of JAX at work cannot be forked")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore")  # of the fork, and that JAX has threads
def test_a_forked_child_predicts_like_its_parent():
    model = mlkit.Sequential([layers.Input((64,)), layers.Dense(512, activation="relu"), layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(256, 64)).astype("float32")
    wanted, context = model.predict(x, verbose=0), multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_predict_into, args=(queue, model, x), daemon=True)
    process.start()
    try:
        np.testing.assert_allclose(queue.get(timeout=60), wanted, atol=1e-5)
    finally:
        process.kill()
