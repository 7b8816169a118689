"""Several threads use one model, one function, one metric at the same time: nothing is lost, torn or made twice.

Threads are switched every few instructions, so that what can meet does.
"""

import gc
import multiprocessing
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.backends.native.onednn.library import library
from mlkit.core import garbage_collection

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 8)).astype("float32")


@pytest.fixture(autouse=True)
def quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def wait_until(done, seconds=10):
    """Let other threads run until something is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "the other threads have not come so far"
        time.sleep(1e-4)


def together(*works, seconds=60):
    """Run each function in a thread of its own, all at once; what they return. Raises what one of them raised."""
    start, results, failed = threading.Barrier(len(works)), [None] * len(works), []

    def run(i):
        try:
            start.wait()
            results[i] = works[i]()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(works))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(seconds)
    assert not any(t.is_alive() for t in threads), "threads wait for each other"
    if failed:
        raise failed[0]
    return results


def net():
    return mlkit.Sequential([layers.Input((8,)), layers.Dense(16, activation="tanh"), layers.Dense(1)])


# ---- updates -------------------------------------------------------------------------------------------------------------


def of_optimizer(make):
    def run():
        model, optimizer = net(), make()
        variables = model.trainable_variables
        gradients = [np.full(v.shape, 1e-3, "float32") for v in variables]

        def work():
            for _ in range(40):
                optimizer.apply(gradients, variables)

        together(*[work] * 6)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        return int(inner.iterations), 240

    return run


def sgd_moves_as_far_as_one_thread():
    model, optimizer = net(), mlkit.optimizers.SGD(0.5)
    v = model.trainable_variables[0]
    before, g = v.numpy(), np.ones(v.shape, "float32")
    together(*[lambda: [optimizer.apply([g], [v]) for _ in range(40)]] * 6)
    return float((before - v.numpy()).mean()), 120.0


def of_metric(make, update, wanted):
    def run():
        metric = make()
        together(*[lambda: [update(metric) for _ in range(40)]] * 6)
        return float(metric.result()), wanted

    return run


def mean_of_counts():
    metric = mlkit.metrics.MeanSquaredError()
    together(*[lambda: [metric.update_state(np.ones((4, 1)), np.zeros((4, 1))) for _ in range(40)]] * 6)
    return float(metric.count), 960.0


class Largest(mlkit.metrics.Metric):
    """As users write them: read, compute, assign."""

    def __init__(self):
        super().__init__(name="counted")
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, y):
        self.total.assign(self.total + y)

    def result(self):
        return self.total


def compiled_and_eager_updates():
    v = mlkit.Variable(np.zeros((64, 64), "float32"))
    add = mlkit.function(lambda: (v.assign(v + 1.0), None)[1])
    add()
    together(*[lambda: [add() for _ in range(40)]] * 3, *[lambda: [v.assign_add(ops.ones((64, 64))) for _ in range(40)]] * 3)
    return sorted(set(np.unique(v.numpy()))), [241.0]


UPDATES = {
    "adam": of_optimizer(lambda: mlkit.optimizers.Adam(1e-3)),
    "rmsprop": of_optimizer(lambda: mlkit.optimizers.RMSprop(1e-3)),
    "adamw, accumulated": of_optimizer(lambda: mlkit.optimizers.AdamW(1e-3, weight_decay=1e-3, use_ema=True)),
    "scaled": of_optimizer(lambda: mlkit.optimizers.LossScaleOptimizer(mlkit.optimizers.SGD(1e-3))),
    "sgd": sgd_moves_as_far_as_one_thread,
    "sum": of_metric(mlkit.metrics.Sum, lambda m: m.update_state(1.0), 240.0),
    "true positives": of_metric(mlkit.metrics.TruePositives, lambda m: m.update_state([1, 1], [1.0, 0.0]), 240.0),
    "own metric": of_metric(Largest, lambda m: m.update_state(1.0), 240.0),
    "count": mean_of_counts,
    "compiled and eager": compiled_and_eager_updates,
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.compiled("the update is a program")) if "compiled" in n else n for n in UPDATES]
)
def test_no_update_is_lost(name):
    got, wanted = UPDATES[name]()
    assert got == pytest.approx(wanted, rel=1e-4)


# ---- reads beside writes -------------------------------------------------------------------------------------------------


@pytest.mark.compiled("op by op, steps are not one")
def test_a_program_reads_weights_of_one_step():
    """All weights hold the number of the step. Whoever reads them beside a program that writes them where they lie sees one number."""
    size = 20_000
    weights = [mlkit.Variable(np.zeros(size, "float32")) for _ in range(6)]

    @mlkit.function
    def step():
        for w in weights:
            w.assign(w + 1.0)

    @mlkit.function
    def read():
        return [(ops.min(w), ops.max(w)) for w in weights]

    step(), read()
    seen, writing = set(), [1, 1]

    def writer():
        for readings in (1, 2):  # on a busy machine the readers may not have had their turn yet
            for _ in range(75):
                step()
            wait_until(lambda least=readings: len(seen) >= least)
        writing.pop()

    def reader():
        while writing:
            numbers = {float(x) for pair in read() for x in pair}
            assert len(numbers) == 1, numbers
            seen.update(numbers)

    def eager_reader():
        for _ in range(100):
            for w in weights:
                numbers = np.unique(w.value.numpy())
                assert len(numbers) == 1, numbers  # one array is of one step

    together(writer, writer, reader, reader, eager_reader, eager_reader)
    assert {float(w.numpy()[0]) for w in weights} == {301.0}
    assert len(seen) > 1


@pytest.mark.compiled("op by op, steps are not one")
def test_predictions_beside_training_are_those_of_some_step():
    """A linear model whose bias is minus its weight predicts 0, whatever the step."""
    w, b = mlkit.Variable(np.ones((512, 512), "float32")), mlkit.Variable(-np.ones(512, "float32") * 512)

    @mlkit.function
    def step():
        w.assign_add(0.5 * ops.ones_like(w))
        b.assign_sub(256.0 * ops.ones_like(b))

    @mlkit.function
    def predict(x):
        return ops.matmul(x, w) + b

    x = np.ones((4, 512), "float32")
    step(), predict(x)

    def reader():
        for _ in range(50):
            assert not predict(x).numpy().any()

    together(lambda: [step() for _ in range(100)], *[reader] * 3)


# ---- layers --------------------------------------------------------------------------------------------------------------


class Adds(layers.Layer):
    def call(self, x):
        self.add_loss(ops.sum(x))
        return x * 1.0


def test_losses_belong_to_the_thread_that_called():
    shared = mlkit.Sequential([layers.Input((2,)), Adds(), Adds()])
    other = layers.Dense(2)
    other(np.zeros((1, 2), "float32"))

    def caller(number):
        x = np.full((1, 2), number, "float32")

        def work():
            for _ in range(60):
                shared(x)
                assert [float(loss) for loss in shared.losses] == [2.0 * number] * 2

        return work

    together(*map(caller, (1, 2, 3)), lambda: [other(np.zeros((1, 2), "float32")) for _ in range(200)])


def test_losses_of_calls_in_a_name_scope_are_those_of_the_last():
    model = mlkit.Sequential([layers.Input((2,)), Adds()])
    with mlkit.name_scope("outer"):
        for number in (1.0, 2.0):
            model(np.full((1, 2), number, "float32"))
            assert [float(loss) for loss in model.losses] == [2.0 * number]


def test_losses_of_training_beside_other_calls():
    def model():
        m = mlkit.Sequential([layers.Input((8,)), layers.Dense(4), Adds()])
        m.compile(mlkit.optimizers.SGD(0.0), None, run_eagerly=True)
        return m

    m, other = model(), layers.Dense(1)
    other(X)
    wanted = m.train_on_batch(X)  # the rate is 0
    losses, _ = together(lambda: [m.train_on_batch(X) for _ in range(30)], lambda: [other(X) for _ in range(300)])
    np.testing.assert_allclose(losses, wanted, rtol=1e-4)


class Counted(layers.Layer):
    """Counts how often it is built, and is slow about it."""

    def __init__(self):
        super().__init__()
        self.builds = 0

    def build(self, shape):
        self.builds += 1
        super().build(shape)
        self.w = self.add_weight(shape=(shape[-1], 3), name="w")
        for _ in range(200):
            pass
        self.b = self.add_weight(shape=(3,), name="b")

    def call(self, x):
        return x @ self.w + self.b


class Nested(Counted):
    """Its base is built before it is."""

    def build(self, shape):
        super().build(shape)
        self.c = self.add_weight(shape=(3,), name="c")

    def call(self, x):
        return super().call(x) + self.c


LAZY = {
    "layer": lambda: (layer := Counted(), layer),
    "subclass": lambda: (layer := Nested(), layer),
    "sequential": lambda: (lambda layer: (mlkit.Sequential([layer, layers.Dense(2)]), layer))(Counted()),
    "compiled": lambda: (lambda layer: (mlkit.function(layer), layer))(Nested()),
    "predict": lambda: (lambda layer: (mlkit.Sequential([layer, layers.Dense(2)]).predict_on_batch, layer))(Counted()),
}


@pytest.mark.parametrize("name", LAZY)
def test_what_is_built_at_the_first_call_is_built_once(name):
    for _ in range(5):
        call, layer = LAZY[name]()
        outs = together(*[lambda: np.asarray(call(X))] * 6)  # noqa: B023
        assert layer.builds == 1
        assert len(layer.weights) == (3 if isinstance(layer, Nested) else 2)
        for out in outs:
            np.testing.assert_allclose(out, outs[0], rtol=1e-5, atol=1e-6)


@pytest.mark.compiled("eager functions are not traced")
def test_a_function_is_traced_once():
    for n in range(5):
        traces = []

        @mlkit.function
        def f(x):
            traces.append(1)  # noqa: B023
            return ops.tanh(x) * 2.0

        x = np.ones((n + 1, 3), "float32")
        for out in together(*[lambda: f(x).numpy()] * 6):  # noqa: B023
            np.testing.assert_allclose(out, np.tanh(1.0) * 2.0, rtol=1e-6)
        assert len(traces) == f.traces == 1


def test_models_trained_beside_one_another():
    """Each thread makes, trains and asks a model of its own; all agree with one that was alone."""

    def work():
        model = net()
        for i, v in enumerate(model.variables):
            v.assign(np.linspace(-0.5, 0.5, int(np.prod(v.shape)), dtype="float32").reshape(v.shape) + i / 10)
        model.compile(mlkit.optimizers.Adam(1e-2), "mse")
        for _ in range(10):
            model.train_on_batch(X, X[:, :1])
        return model.predict(X, verbose=0)

    wanted = work()
    for out in together(*[work] * 5):
        np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-5)


def test_one_model_predicts_for_all():
    model = mlkit.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    xs = [RNG.normal(size=(n, 12, 12, 3)).astype("float32") for n in (1, 2, 3, 5)]
    wanted = [model(x).numpy() for x in xs]

    def work():
        for _ in range(10):
            for x, y in zip(xs, wanted):
                np.testing.assert_allclose(model.predict_on_batch(x), y, rtol=1e-3, atol=1e-4)

    together(*[work] * 5)


# ---- names, garbage, numbers of threads ----------------------------------------------------------------------------------


def test_automatic_names_are_all_different():
    made = together(*[lambda: [layers.Dense(1).name for _ in range(300)]] * 6)
    assert len({name for names in made for name in names}) == 1800


def test_garbage_collection_comes_back():
    assert gc.isenabled()

    def work():
        for _ in range(300):
            with garbage_collection.uncollected():
                assert not gc.isenabled()

    together(*[work] * 6)
    assert gc.isenabled()


@pytest.mark.native("its threads")
def test_the_number_of_threads_changes_beside_programs():
    before = mlkit.config.num_threads()
    w = RNG.normal(size=(64, 64)).astype("float32")
    x = RNG.normal(size=(32, 64)).astype("float32")
    f = mlkit.function(lambda x: ops.tanh(ops.matmul(x, w)))
    wanted = np.tanh(x @ w)

    def work():
        for _ in range(40):
            np.testing.assert_allclose(f(x), wanted, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(ops.tanh(ops.matmul(x, w)), wanted, rtol=1e-3, atol=1e-3)

    try:
        together(*[work] * 4, lambda: [mlkit.config.set_num_threads(n) for _ in range(10) for n in (1, 2)])
    finally:
        mlkit.config.set_num_threads(before)


# ---- after a fork --------------------------------------------------------------------------------------------------------


def _fit(model):
    return model.fit(X, X[:, :1], verbose=0, shuffle=False).history["loss"][0]


CHILD_WORKS = {
    "predict": lambda model: float(model.predict(X, verbose=0).sum()),
    "fit": _fit,
    "eager": lambda model: float(ops.sum(ops.matmul(ops.ones((512, 512)), ops.ones((512, 512))))),
}


def _child(queue, work, model):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = [work(model) for _ in range(2)]
    queue.put((results[0], sum("was forked" in str(w.message) for w in said)))


@pytest.mark.native("what is said is of oneDNN, and a process with the threads of JAX at work cannot be forked")
@pytest.mark.cpu("what is said is of oneDNN")
@pytest.mark.compiled("small eager products do without oneDNN's threads")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore")  # of the fork, and that JAX has threads
@pytest.mark.parametrize("name", CHILD_WORKS)
def test_a_forked_child_computes_like_its_parent_though_other_threads_were_at_work(name):
    model = net()
    model.compile(mlkit.optimizers.SGD(0.0), "mse")
    work = CHILD_WORKS[name]
    wanted, context, stop = work(model), multiprocessing.get_context("fork"), threading.Event()

    def busy():
        n = 0
        while not stop.is_set():
            n += 1
            mlkit.function(lambda x: ops.tanh(x) * 2.0)(np.ones(n % 50 + 1, "float32"))

    threads = [threading.Thread(target=busy, daemon=True) for _ in range(2)]
    for t in threads:
        t.start()
    queue = context.Queue()
    process = context.Process(target=_child, args=(queue, work, model), daemon=True)
    process.start()
    try:
        result, said = queue.get(timeout=60)
    finally:
        stop.set()
        process.kill()
        for t in threads:
            t.join()
    assert result == pytest.approx(wanted, rel=1e-4)
    assert said == (library() is not None)  # without oneDNN there are no threads to lose
