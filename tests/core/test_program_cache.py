"""Programs that are kept: within a number of bytes, those used last; dropped ones are made anew. And the word about too many traces."""

import gc
import subprocess
import sys
import threading
import warnings
import weakref

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.core import debug, program_cache
from mlkit.core.program_cache import ALWAYS_KEPT, AT_FIRST

pytestmark = [
    pytest.mark.compiled("programs"),
    pytest.mark.native("of the cache, which is the same for all backends, and many programs are made for it"),
]


@pytest.fixture
def small():
    """Room for no program but those that are always kept."""
    before = mlkit.config.program_memory()
    mlkit.config.set_program_memory(0)
    yield
    mlkit.config.set_program_memory(before)


def count(f):
    return sum(map(len, f.programs.values()))


@pytest.mark.filterwarnings("ignore:.*has been traced")
def test_programs_used_longest_ago_are_dropped_and_made_anew(small):
    f = mlkit.function(lambda x: ops.cumsum(ops.tanh(x)) * 2.0)
    xs = [np.arange(n, dtype="float32") for n in range(1, 31)]
    first = [f(x).numpy() for x in xs]
    assert f.traces == 30
    assert count(f) == ALWAYS_KEPT
    f(xs[22])  # used again: now the last of them
    f(np.zeros(40, "float32"))
    f(xs[22])
    assert f.traces == 31
    for x, y in zip(xs, first):
        np.testing.assert_array_equal(f(x), y)
    assert count(f) == ALWAYS_KEPT
    assert f.traces > 31


class Sized:
    """A program of the cache as it sees them."""

    def __init__(self, nbytes):
        self.nbytes, self.used, self.dropped = nbytes, next(program_cache.uses), False

    def drop(self):
        self.dropped = True


def test_the_cache_holds_to_its_bytes():
    kept = program_cache.ProgramCache(limit=1600)  # 100 of them at first
    one = [Sized(10) for _ in range(30)]
    for p in one:
        kept.add(p)
    assert kept.nbytes == 1600 // AT_FIRST
    assert [p.dropped for p in one] == [True] * 20 + [False] * 10
    more = [Sized(10) for _ in range(10)]
    for p in more:
        kept.add(p, again=True)  # programs that come again get room
    assert kept.nbytes == 200
    assert not any(p.dropped for p in one[20:] + more)
    for p in (large := [Sized(10_000) for _ in range(ALWAYS_KEPT)]):
        kept.add(p, again=True)
    assert not any(p.dropped for p in large)
    assert all(p.dropped for p in one + more)
    del p, large
    assert kept.nbytes == 0  # it holds none of them


@pytest.mark.filterwarnings("ignore:.*has been traced")
def test_a_running_program_that_is_dropped_runs_to_its_end(small):
    """Two threads use far more programs than are kept, and keep dropping each other's."""
    f = mlkit.function(lambda x, w: ops.sum(ops.relu(ops.matmul(x, w)), axis=0))
    w = np.random.default_rng(0).normal(size=(32, 64)).astype("float32")
    xs = [np.random.default_rng(n).normal(size=(n, 32)).astype("float32") for n in range(1, 16)]
    wanted = [np.maximum(x @ w, 0).sum(0) for x in xs]
    failed = []

    def work(order):
        try:
            for i in order:
                np.testing.assert_allclose(f(xs[i], w), wanted[i], rtol=1e-4, atol=1e-4)
        except BaseException as error:
            failed.append(error)

    orders = [range(15), range(14, -1, -1)] * 2
    threads = [threading.Thread(target=work, args=(order,)) for order in orders]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[0]
    assert count(f) <= ALWAYS_KEPT


def test_functions_take_their_programs_with_them():
    f = mlkit.function(lambda x: x + 1.0)
    f(np.zeros(3, "float32"))
    program = weakref.ref(next(iter(f.programs.values()))[0])
    assert program() is not None
    del f
    gc.collect()
    assert program() is None


def test_a_line_says_what_is_dropped(small, monkeypatch, capsys):
    def twice(x):
        return x * 2.0

    f = mlkit.function(twice)
    f(np.zeros(3, "float32"))
    monkeypatch.setattr(debug, "LEVEL", 1)
    for n in range(10, 10 + ALWAYS_KEPT):
        f(np.zeros(n, "float32"))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "dropped" in line and "twice" in line]
    assert "twice(float32[3])" in line
    assert "are left" in line


@pytest.mark.parametrize("wrong", [-1, 1.5, "1 GB", True, None])
def test_wrong_numbers_of_bytes(wrong):
    before = mlkit.config.program_memory()
    with pytest.raises(ValueError, match="number of bytes"):
        mlkit.config.set_program_memory(wrong)
    assert mlkit.config.program_memory() == before


def test_the_environment_sets_the_bytes():
    code = "import mlkit; print(mlkit.config.program_memory())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MLKIT_PROGRAM_MEMORY": "12345", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "12345", done.stderr


# ---- the word about too many traces ------------------------------------------------------------------------------------------


def calls_with(f, calls):
    """The warnings of calls, each a pair (args, kwargs)."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for args, kwargs in calls:
            f(*args, **kwargs)
    return [str(w.message) for w in found if "traced" in str(w.message)]


def one(n=3, dtype="float32"):
    return np.zeros(n, dtype)


DIFFERENT = {
    "shapes": ([((one(n),), {}) for n in range(1, 30)], "x was float32[1], float32[2], float32[3], float32[4] and 17 more"),
    "python numbers": ([((one(),), {"rate": n / 10}) for n in range(30)], "rate was 0.0, 0.1, 0.2, 0.3 and 17 more"),
    "nested": ([(({"a": one(), "b": [one(n)]},), {}) for n in range(1, 30)], "x['b'][0] was float32[1]"),
    "structure": ([(([one()] * n,), {}) for n in range(1, 30)], "x[1] was there in some calls"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_function_traced_too_often_says_what_differed(what):
    calls, text = DIFFERENT[what]
    f = mlkit.function(lambda x, rate=1.0: [t * rate for t in mlkit.tree.flatten(x)])
    assert calls_with(f, calls[:20]) == []
    (message,) = calls_with(f, calls[20:])  # once
    assert text in message
    assert "traced 21 times" in message
    assert ("rate was" in message) == (what == "python numbers")


def test_a_model_says_which_batches_differed():
    model = mlkit.Sequential([mlkit.Input((None, 2)), layers.GlobalAveragePooling1D()], name="net")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for n in range(1, 25):
            model.predict(np.zeros((1, n, 2), "float32"), verbose=0)
    (message,) = [str(w.message) for w in found if "traced" in str(w.message)]
    assert message.startswith("predict_step of 'net' has been traced 21 times")
    assert "data was float32[1, 1, 2]" in message


# ---- growth --------------------------------------------------------------------------------------------------------------


GROWTH = """
import warnings; warnings.simplefilter("ignore")
import numpy as np, mlkit
from mlkit import layers

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

model = mlkit.Sequential([mlkit.Input((None, 16)), layers.Bidirectional(layers.LSTM(32)), layers.Dense(1)])
for n in (2, 5):
    model.predict(np.zeros((8, n, 16), "float32"), verbose=0)
before = resident()
for n in range(10, 110):
    model.predict(np.zeros((8, n, 16), "float32"), verbose=0)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hundred_lengths_take_little_memory():
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True
    )
    assert float(done.stdout) < 70, (
        done.stdout + done.stderr
    )  # MB; 225 where all are kept, each with a block of memory of its own
