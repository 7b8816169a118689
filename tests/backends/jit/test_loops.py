"""Loops as native code: the same results as in Python, whatever is carried, sliced and stacked; when they run so, and when not."""

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="the extra `jit` is not installed")

import mlkit
from mlkit import layers, ops
from mlkit.backends.native.jit import compiler
from mlkit.core import debug
from tests.backends.jit.as_native import results

RNG = np.random.default_rng(0)
XS, C = (ops.convert_to_tensor(RNG.normal(size=s).astype("float32")) for s in ((6, 2, 3), (2, 3)))
W = ops.convert_to_tensor(RNG.normal(size=(3, 3)).astype("float32") * 0.5)


@pytest.fixture
def waiting(monkeypatch):
    """Native code is there before the first run."""
    monkeypatch.setattr(debug, "JIT", "wait")


def leaves(structure):
    return [np.asarray(t) for t in mlkit.tree.flatten(structure) if t is not None]


def native_loops(fn, *args):
    """The native forms of the loops of a compiled function; None for those that stay in Python."""
    plan = mlkit.function(fn).program(*args).plan
    return [c.prepared.native for c in plan.choices if hasattr(c.prepared, "native")]


def same(fn, *args, loops=1):
    """Compare with what the function gives op by op; so many of its loops must be native."""
    found = native_loops(fn, *args)
    assert [n is not None and not n.code.failure for n in found] == [True] * loops
    for f, e in zip(leaves(mlkit.function(fn)(*args)), leaves(fn(*args)), strict=True):
        assert f.dtype == e.dtype
        np.testing.assert_allclose(f, e, 2e-6, 2e-6)


def gradients(fn, *args):
    return mlkit.grad(lambda *a: sum(ops.sum(ops.sin(t)) for t in mlkit.tree.flatten(fn(*a))), argnums=tuple(range(len(args))))(
        *args
    )


def swapped(c, xs):
    """What is carried goes round; one part of it stays, one is a view of another."""

    def step(state, x):
        a, b, still, turned = state
        return (b, a + ops.tanh(x), still, ops.flip(ops.transpose(turned))), (a, b - x, still)

    return ops.scan(step, (c, c * 2, c[0], ops.matmul(c, ops.transpose(c))), xs)


def rnn(w, c, xs):
    return ops.scan(lambda c, x: (ops.tanh(ops.matmul(c, w) + x), ops.softmax(c)), c, xs)


def turned(c, xs):
    return ops.scan(lambda c, x: (c * x + 1.0, x + c), c, ops.flip(ops.transpose(xs, (1, 0, 2)), 0))


def counting(c, xs):
    start = ops.zeros((), "int32"), ops.zeros((2, 3), "bool")
    return ops.scan(lambda s, x: ((s[0] + 1, s[1] | (x > s[0])), ops.where(s[1], x, -x)), start, xs)


def queued(c, xs):
    """A queue that is written and read at a place of its own in each step, and what is largest in it."""

    def step(state, x):
        k, queue = state
        place = k % 4
        old = ops.slice(queue, (place, 0), (1, 3))
        queue = ops.slice_update(queue, (place, 0), x[:1] + old)
        most = ops.argmax(queue, axis=0)
        picked = ops.take_along_axis(queue, most[None], axis=0)
        return (k + 1, queue), (picked, ops.take(x, most % 2 - 2, axis=0), most, ops.argmin(x > 0, axis=1))

    return ops.scan(step, (ops.zeros((), "int32"), ops.concatenate([c, c])), xs)


def counted(c, xs):
    """Updates to places that differ from step to step, equal ones among them."""

    def step(state, x):
        places = ops.cast(ops.abs(x[0]) * 2, "int32") % 2
        total = ops.segment_sum(ops.transpose(x), places, 2)
        return ops.scatter_update(state + total[:, :1], places[:1, None], x[:1]), total

    return ops.scan(step, c, xs)


SCANS = {
    "carried round": lambda: same(swapped, C, XS),
    "backwards": lambda: same(lambda c, xs: ops.scan(lambda c, x: (c * x, c), c, xs, reverse=True), C, XS),
    "a product": lambda: same(rnn, W, C, XS),
    "its gradient": lambda: same(lambda *a: gradients(rnn, *a), W, C, XS, loops=2),
    "of a transposed tensor": lambda: same(turned, XS[:, 0], XS),
    "one step": lambda: same(lambda c, xs: ops.scan(lambda c, x: (ops.exp(c) * x, c), c, xs), C, XS[:1]),
    "of booleans and integers": lambda: same(counting, C, XS),
    "by indices": lambda: same(queued, C, XS),
    "updates of places": lambda: same(counted, C, XS),
    "gradient by indices": lambda: same(lambda *a: gradients(lambda c, xs: queued(c, xs)[0][1], *a), C, XS, loops=2),
}  # fmt: skip


@pytest.mark.parametrize("case", SCANS)
def test_scans(case, waiting, all_passes):
    SCANS[case]()


def test_a_loop_of_no_steps_stays_in_python(waiting):
    fn = lambda c, xs: ops.scan(lambda c, x: (c * 2, c), c, xs)
    assert native_loops(fn, C, XS[:0]) == [None]
    np.testing.assert_array_equal(mlkit.function(fn)(C, XS[:0])[0], C)


@pytest.mark.parametrize("turns", [0, 1, 1000])
def test_while_loops(turns, waiting):
    limit = ops.convert_to_tensor(turns)
    fn = lambda n, x, w: ops.while_loop(
        lambda i, x, y: i < n, lambda i, x, y: (i + 1, y, ops.matmul(x, w) / 2), (ops.zeros((), "int32"), x, x * 2)
    )
    same(fn, limit, C, W)


def test_long_loops_are_run_in_parts(waiting, monkeypatch):
    """Between which the interpreter sees to signals."""
    monkeypatch.setattr("mlkit.backends.native.jit.loop.AT_ONCE", 100)
    same(lambda x: ops.while_loop(lambda i, x: i < 50, lambda i, x: (i + 1, x * 0.9), (ops.zeros((), "int32"), x)), C)
    same(rnn, W, C, XS)


@pytest.mark.parametrize("wrong", [2, -3, 1 << 30])
@pytest.mark.parametrize(
    "fn",
    [
        lambda table, places: ops.scan(lambda c, k: (c + ops.take(table, k, axis=0), c), table[0], places),
        lambda table, places: ops.scan(lambda c, k: (ops.scatter_update(c, k[None, None], c[:1]), k), table, places),
        lambda table, places: ops.while_loop(
            lambda i, t: i < 5, lambda i, t: (i + 1, t + ops.take(table, places[i], axis=0)), (ops.zeros((), "int32"), table[0])
        ),
    ],
)
def test_an_index_out_of_range_is_named_as_in_python(fn, wrong, waiting, monkeypatch):
    """And the next run is none the worse for it."""
    places = np.array([0, 1, 0, 1, 1], "int32")
    (native,) = native_loops(fn, C, places)
    assert native is not None
    run, bad = mlkit.function(fn), np.array([0, 1, wrong, 0, 1], "int32")
    with pytest.raises(IndexError) as as_native:
        run(C, bad)
    for f, e in zip(leaves(run(C, places)), leaves(fn(C, places)), strict=True):
        np.testing.assert_allclose(f, e, 2e-6)
    monkeypatch.setattr(debug, "JIT", "off")
    with pytest.raises(IndexError) as in_python:
        mlkit.function(fn)(C, bad)
    assert str(as_native.value) == str(in_python.value)


def test_a_recurrent_net_trains_alike(monkeypatch):
    def losses(mode):
        monkeypatch.setattr(debug, "JIT", mode)
        mlkit.utils.set_random_seed(1)
        model = mlkit.Sequential([mlkit.Input((5, 3)), layers.RNN([layers.GRUCell(4), layers.LSTMCell(9)]), layers.Dense(1)])
        model.compile("adam", "mse")
        x = np.random.default_rng(3).normal(size=(16, 5, 3)).astype("float32")
        return [model.train_on_batch(x, np.ones((16, 1), "float32")) for _ in range(4)]

    np.testing.assert_allclose(losses("wait"), losses("off"), 1e-5)


def test_the_first_runs_do_not_wait(monkeypatch):
    """Results are the same before the code is there and after, and in all threads."""
    go_on = threading.Event()
    make = compiler.Code.make
    monkeypatch.setattr(compiler.Code, "make", lambda code: (go_on.wait(30), make(code)))
    fn = mlkit.function(rnn)
    before = leaves(fn(W, C, XS))
    (native,) = [c.prepared.native for c in fn.program(W, C, XS).plan.choices if hasattr(c.prepared, "native")]
    assert native.code.function is None
    go_on.set()
    assert compiler.wait(60)
    assert native.code.function is not None
    found = []
    threads = [threading.Thread(target=lambda: found.extend(leaves(fn(W, C, XS)) for _ in range(20))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 80
    for given in found:
        for a, b in zip(given, before, strict=True):
            np.testing.assert_allclose(a, b, 2e-6, 2e-6)


def test_what_is_not_known_stays_in_python_and_says_why(waiting, monkeypatch, capsys):
    monkeypatch.setattr(debug, "LEVEL", 1)
    fn = lambda c, xs: ops.scan(lambda c, x: (ops.sort(c) + x, c), c, xs)
    assert native_loops(fn, C, XS) == [None]
    assert "a loop stays in Python: no native code for sort of float32" in capsys.readouterr().err
    np.testing.assert_allclose(mlkit.function(fn)(C, XS)[0], fn(C, XS)[0], 1e-6)


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(debug, "JIT", "off")
    assert native_loops(rnn, W, C, XS) == [None]


def test_what_llvm_refuses_stays_in_python(waiting, monkeypatch, capsys):
    monkeypatch.setattr(debug, "LEVEL", 1)
    monkeypatch.setattr("mlkit.backends.native.jit.module.of_scan", lambda *_: "no module")
    (native,) = native_loops(rnn, W, C, XS)
    assert native.code.function is None
    assert "RuntimeError" in native.code.failure
    assert "no native code for a loop" in capsys.readouterr().err
    np.testing.assert_allclose(mlkit.function(rnn)(W, C, XS)[0], rnn(W, C, XS)[0], 1e-5)


@pytest.mark.parametrize("content", [b"", b"half of it", None])
def test_code_is_kept_and_damaged_files_are_written_anew(content, waiting, tmp_path, monkeypatch):
    same(rnn, W, C, XS)
    (path,) = tmp_path.glob("loops/*.o")
    good = path.read_bytes()
    path.write_bytes(good[:-1] if content is None else content)
    same(rnn, W, C, XS)
    assert path.read_bytes() == good
    monkeypatch.setattr(compiler, "_compiled", None)
    same(rnn, W, C, XS)


def test_a_folder_that_cannot_be_written_costs_time_only(waiting, tmp_path):
    (tmp_path / "loops").write_text("a file where the folder would be")
    same(rnn, W, C, XS)


def test_parts_of_no_elements_are_passed_over():
    """A loop of machine code that is tested at its end would run once."""
    graph = mlkit.function(lambda a, b, c: ops.concatenate([a, b, c], 1)).graph(C, ops.zeros((2, 0)), C)
    (found,) = results(graph, [np.asarray(C), np.zeros((2, 0), "float32"), np.asarray(C)])
    np.testing.assert_array_equal(found, np.concatenate([C, C], 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes can be forked")
def test_a_process_that_is_forked_meanwhile_compiles_too():
    """In a process of its own, whose thread compiles, or waits to, when it forks: the child has all that its parent wanted."""
    lines = """
        import os, mlkit
        from mlkit import ops
        from mlkit.backends.native.jit import compiler
        x, natives = ops.ones((5, 3)), []

        def run(factor):
            f = mlkit.function(lambda c, xs: ops.scan(lambda c, x: (ops.tanh(c * factor + x), c), c, xs))
            f(x[0], x)
            natives.extend(c.prepared.native for c in f.program(x[0], x).plan.choices if hasattr(c.prepared, "native"))
            return f

        for k in range(4):
            run(k)
        compiler._thread is not None or os._exit(3)
        child = os.fork()
        last = run(0.7)
        assert compiler.wait(60)
        assert len(natives) == 5 and all(n.code.function is not None and not n.code.failure for n in natives)
        last(x[0], x)
        assert not child or os.waitpid(child, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(lines)], check=True, timeout=120)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes can be forked")
def test_who_compiles_may_fork():
    """A signal's handler, say, that comes while a module is made for one who waits."""
    lines = """
        import os
        from mlkit.backends.native.jit import compiler

        with compiler._compiling:
            child = os.fork()
        assert compiler.wait(1)
        assert not child or os.waitpid(child, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(lines)], check=True, timeout=60)


def test_code_that_is_let_go_while_another_thread_compiles_is_given_back_later(waiting):
    """Nothing of LLVM's is touched but by who holds its lock, for which a fork waits."""

    class Engine:
        closed = False

        def close(self):
            self.closed = True

    held, done, engines = threading.Event(), threading.Event(), [Engine(), Engine()]

    def compiling():
        with compiler._compiling:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=compiling)
    thread.start()
    held.wait(30)
    compiler._let_go(engines[0])
    assert not engines[0].closed
    done.set()
    thread.join()
    same(rnn, W, C, XS)
    assert engines[0].closed
    compiler._let_go(engines[1])
    assert engines[1].closed
