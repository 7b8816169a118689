"""Loops in programs: scans split into what needs the loop and what does not, and bodies bound to memory once."""

import itertools
import threading

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.compiler.passes import PASSES, split_scans
from mlkit.core import debug
from mlkit.core.backend import get_backend
from mlkit.primitives.control import scan_op
from mlkit.primitives.linear import matmul

pytestmark = pytest.mark.native("plans and passes")

RNG = np.random.default_rng(0)
W, U, B = (ops.convert_to_tensor(RNG.normal(size=s).astype("float32") * 0.5) for s in ((3, 4), (4, 4), (4,)))
XS, C, H = (ops.convert_to_tensor(RNG.normal(size=s).astype("float32")) for s in ((6, 2, 3), (2, 4), (4,)))


def leaves(structure):
    return [t for t in mlkit.tree.flatten(structure) if t is not None]


def same(fn, *args, tolerance=2e-6):
    """The results of a function, if they are the same op by op and compiled, with and without the pass."""
    expected = leaves(fn(*args))
    for off in (set(), {"split_scans"}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(debug, "PASSES_OFF", off)
            found = leaves(mlkit.function(lambda *a: fn(*a))(*args))
        for e, f in zip(expected, found, strict=True):
            assert e.dtype == f.dtype
            np.testing.assert_allclose(f.numpy(), e.numpy(), tolerance, tolerance)
    return expected


def slopes(fn, *args):
    """The gradients of a sum of all results."""

    def total(*args):
        return sum(ops.sum(ops.sin(t)) for t in leaves(fn(*args)) if "float" in t.dtype)

    with mlkit.GradientTape() as tape:
        for a in args:
            tape.watch(a)
        value = total(*args)
    return tape.gradient(value, list(args))


def rnn(w, u, b, xs, h):
    return ops.scan(lambda h, x: (ops.tanh(ops.matmul(x, w) + ops.matmul(h, u) + b),) * 2, h, xs)


def scans(fn, *args):
    """The bodies of all scans of a compiled function after the passes, and the ops around them."""
    graph = mlkit.function(fn).program(*args).plan.graph
    return [c.params["body"] for c in graph.calls if c.op is scan_op], [c.op for c in graph.calls]


BODIES = {
    "two that change places": lambda c, x: ((c[1], c[0]), c[0] * x),
    "three that go round": lambda c, x: ((c[1], c[2] + x, c[0]), c[1]),
    "one that is what another was": lambda c, x: ((ops.tanh(c[0]) + x, c[0]), c[1]),
    "one that is a slice": lambda c, x: ((x, c[0]), x),
    "one that stays": lambda c, x: ((c[0], c[1] * x), None),
    "a sum": lambda c, x: ((c[0] + x * x, c[1] + 1.0 + x), c[1]),
    "a sum that is read": lambda c, x: ((c[0] + x, c[1] * c[0]), None),
    "one result twice": lambda c, x: ((c[0] * x,) * 2, (c[0] * x, c[0] * x)),
    "in place, and the old one": lambda c, x: ((c[0] * 0.5, c[1]), c[0]),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_what_is_carried(name, reverse):
    n = 3 if "three" in name else 2
    body = BODIES[name]

    def f(xs, *c):
        return ops.scan(lambda c, x: body(c, x), c, xs, reverse=reverse)

    args = [ops.convert_to_tensor(RNG.normal(size=(5, 3)).astype("float32"))]
    args += [ops.convert_to_tensor(RNG.normal(size=(3,)).astype("float32")) for _ in range(n)]
    same(f, *args)
    if name != "one that is a slice":  # of what a loop forgets it has gradients of zeros, and none op by op
        same(lambda *a: slopes(f, *a), *args, tolerance=2e-5)


def test_what_a_body_gives_twice_has_memory_of_its_own_each_time():
    """Who asked for the loop may write into one of its results."""
    graph = mlkit.function(lambda c: (c * 2.0, c * 2.0, ops.reshape(c * 2.0, (4, 1)))).program(H).graph
    found = get_backend("native").compile(graph, inner=True)([np.ones(4, "float32")])
    assert [a.shape for a in found] == [(4,), (4,), (4, 1)]
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(found, 2))


@pytest.mark.parametrize("dtype", ["int32", "bool", "float64", "float16", "bfloat16"])
def test_dtypes(dtype):
    xs = ops.cast(ops.convert_to_tensor(RNG.integers(0, 3, (4, 5))), dtype)
    either = ops.logical_or if dtype == "bool" else ops.add
    same(lambda xs: ops.scan(lambda c, x: (either(c, x), (c, either(x, x))), xs[0], xs), xs)


def test_scalars_and_nothing():
    same(lambda xs: ops.scan(lambda c, x: (c * 0.5 + x, c > x), 1.0, xs), ops.arange(5, dtype="float32"))
    same(lambda xs: ops.scan(lambda c, x: (c + x, ops.sum(x)), ops.zeros((0, 2)), xs), ops.zeros((3, 0, 2)))
    same(lambda x: ops.scan(lambda c, _: (c * 2.0, c), x, None, length=1), ops.ones((2,)))


def test_operands_that_lie_otherwise():
    def f(xs, w):
        turned, part = ops.transpose(xs, (1, 0, 2)), ops.transpose(w)[1:, ::2]
        return ops.scan(lambda c, x: (ops.matmul(c, part) + x[:, :2], ops.exp(x)), ops.zeros((6, 2)) + 1.0, turned[:, :, ::-1])

    same(f, XS, ops.convert_to_tensor(RNG.normal(size=(4, 3)).astype("float32")))


def test_loops_in_loops():
    def f(xs, h):
        def inner(h, x):
            return ops.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * x + h), (0, h))[1]

        def body(h, x):
            h, y = ops.scan(lambda a, b: (ops.tanh(a * b), a), inner(h, x), x)
            return ops.cond(ops.sum(h) > 0, lambda: h, lambda: -h), y

        return ops.scan(body, h, xs)

    same(f, ops.convert_to_tensor(RNG.normal(size=(3, 4)).astype("float32")), ops.ones((4,)))


def test_while_loops_change_places():
    same(lambda a, b: ops.while_loop(lambda i, a, b: i < 5, lambda i, a, b: (i + 1, b, a * 2.0 + b), (0, a, b)), H, B)
    same(lambda a: ops.while_loop(lambda i, a: i < 0, lambda i, a: (i + 1, a), (0, a)), H)


def test_an_index_out_of_range_is_an_error():
    f = mlkit.function(lambda i: ops.scan(lambda c, k: (c, ops.take(H, k, axis=0)), 0.0, i))
    f(ops.array([0, 3]))
    with pytest.raises(IndexError):
        f(ops.array([0, 4]))[1].numpy()  # a GPU tells it when something is read


@pytest.mark.usefixtures("all_passes")
class TestSplit:
    def test_products_of_inputs_are_one_before_the_loop(self):
        (body,), around = scans(rnn, W, U, B, XS, C)
        assert sum(c.op is matmul for c in body.calls) == 1
        assert len(around) > 1
        same(rnn, W, U, B, XS, C)

    def test_a_gradient_runs_its_step_again_at_once_and_adds_up_behind(self):
        def f(*args):
            return slopes(rnn, *args)

        (_, back), _ = scans(f, W, U, B, XS, C)
        ops_within = [c.op for c in back.calls]
        assert ops_within.count(matmul) == 1
        assert back.outputs[0].shape == C.shape
        assert all(v.shape in ((2, 4), (4, 4)) for v in back.inputs)  # no gradient of W or B is carried
        same(f, W, U, B, XS, C, tolerance=2e-5)

    def test_a_map_is_no_loop(self):
        found, _ = scans(lambda xs: ops.map(lambda x: ops.tanh(ops.matmul(x, W)), xs), XS)
        assert not found
        same(lambda xs: ops.map(lambda x: ops.tanh(ops.matmul(x, W)), xs), XS)

    def test_results_that_nobody_reads_are_not_made(self):
        (body,), _ = scans(lambda xs, h: ops.scan(lambda h, x: (h * x, ops.exp(h)), h, xs)[0], XS[:, 0], XS[0, 0])
        assert len(body.calls) == 1
        assert len(body.outputs) == 1

    def test_random_numbers_differ_from_step_to_step(self):
        seed = mlkit.random.SeedGenerator(1)

        def f(xs):
            return ops.scan(lambda c, x: (c, x + mlkit.random.uniform(x.shape, seed=seed)), 0.0, xs)[1]

        ys = mlkit.function(f)(ops.zeros((5, 3))).numpy()
        assert len(np.unique(ys)) == 15

    def test_large_steps_stay_in_the_loop(self, monkeypatch):
        monkeypatch.setattr(split_scans, "OF_A_STEP", 7)
        (body,), _ = scans(rnn, W, U, B, XS, C)
        assert sum(c.op is matmul for c in body.calls) == 2
        assert "split_scans" in PASSES


def test_numbers_too_small_are_zero_in_loops_only():
    tiny = ops.convert_to_tensor(np.array([1e-30], "float32"))
    f = mlkit.function(lambda x: (ops.scan(lambda c, _: (c * 1e-5, None), x, None, length=2)[0], x * 1e-10))
    within, outside = f(tiny)
    assert float(within[0]) == 0.0 or not get_backend("native").device.name.startswith("cpu")
    assert float(outside[0]) != 0.0
    assert np.float32(1e-30) * np.float32(1e-10) != 0


def test_threads_run_one_program_at_once():
    f, results = mlkit.function(lambda x: ops.scan(lambda c, t: (ops.tanh(c + t), c), x[0], x)), [None] * 4
    xs = [ops.convert_to_tensor(RNG.normal(size=(50, 8)).astype("float32")) for _ in results]

    def work(i):
        for _ in range(5):
            results[i] = f(xs[i])[1].numpy()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, found in zip(xs, results):
        np.testing.assert_allclose(found, ops.scan(lambda c, t: (ops.tanh(c + t), c), x[0], x)[1].numpy(), 1e-5, 1e-6)


class Penalized(layers.GRUCell):
    def call(self, inputs, states, training=False):
        out, states = super().call(inputs, states, training)
        self.add_loss(ops.sum(out * out))
        return out, states


class TestRecurrentLayers:
    def test_steps_are_one_call_unless_they_are_unrolled(self):
        x = ops.convert_to_tensor(RNG.normal(size=(2, 30, 3)).astype("float32"))
        cell = layers.GRUCell(4)
        rolled, unrolled = layers.RNN(cell, return_sequences=True), layers.RNN(cell, return_sequences=True, unroll=True)
        expected = rolled(x).numpy()
        counts = []
        for layer in (rolled, unrolled):
            f = mlkit.function(layer)
            np.testing.assert_allclose(f(x).numpy(), expected, 1e-5, 1e-6)
            counts.append(len(f.graph(x).calls))
        assert counts[0] < 20
        assert counts[1] > 300

    @pytest.mark.parametrize("compiled", [False, True])
    def test_losses_of_steps(self, compiled):
        x = ops.convert_to_tensor(RNG.normal(size=(2, 5, 3)).astype("float32"))
        layer = layers.RNN(Penalized(4), return_sequences=True)

        def f(x):
            return layer(x), sum(layer.losses)

        ys, loss = (mlkit.function(f) if compiled else f)(x)
        np.testing.assert_allclose(float(loss), np.square(ys.numpy()).sum(), 1e-5)

    def test_states_of_another_shape_are_refused(self):
        class Grows(layers.Layer):
            state_size = 2

            def call(self, x, states):
                return x, [ops.concatenate([states[0], x], axis=1)]

        with pytest.raises(ValueError, match="states of the shapes that it is given"):
            layers.RNN(Grows())(ops.ones((2, 3, 2)))

    @pytest.mark.parametrize("back", [False, True])
    @pytest.mark.parametrize("zero", [False, True])
    @pytest.mark.parametrize("make", [lambda: layers.LSTMCell(3, dropout=0.2), lambda: [layers.GRUCell(2), layers.LSTMCell(3)]])
    def test_masks_in_loops(self, make, zero, back):
        x = ops.convert_to_tensor(RNG.normal(size=(4, 6, 5)).astype("float32"))
        mask = ops.convert_to_tensor(RNG.integers(0, 2, (4, 6)).astype(bool))
        options = {"return_sequences": True, "return_state": True, "go_backwards": back, "zero_output_for_mask": zero}
        layer = layers.RNN(make(), **options)
        unrolled = layers.RNN(layer.cell, unroll=True, **options)
        expected = leaves(layer(x, mask=mask))
        for one in (layer, unrolled):
            found = leaves(mlkit.function(lambda x, one=one: one(x, mask=mask))(x))
            for e, f in zip(expected, found, strict=True):
                np.testing.assert_allclose(f.numpy(), e.numpy(), 1e-5, 1e-6)


class TestSums:
    """What is only added to in a loop is summed outside of it, in a compiled function."""

    @pytest.mark.parametrize("length", [0, 1, 4, 200])
    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "float16", "float32", "float64"])
    @pytest.mark.parametrize("what", ["number", "constant", "operand", "turn", "two", "itself"])
    def test_as_turn_by_turn(self, what, dtype, length):
        outer = ops.convert_to_tensor(np.asarray([[1], [0]], dtype))
        added = {
            "number": lambda k, x, y: x + (True if dtype == "bool" else 3),
            "constant": lambda k, x, y: x + outer,
            "operand": lambda k, x, y: y + x,
            "turn": lambda k, x, y: x + ops.cast(k, dtype),
            "two": lambda k, x, y: (x + y) + ops.cast(k % 2, dtype),
            "itself": lambda k, x, y: x + x,
        }[what]

        def f(x, y):
            return ops.fori_loop(0, length, lambda k, x: added(k, x, y), x)

        x = ops.convert_to_tensor(np.asarray([[0, 1, 1], [1, 0, 1]], dtype))
        y = ops.convert_to_tensor(np.asarray([1, 0, 1], dtype))
        with np.errstate(all="ignore"):
            eager, compiled = f(x, y), mlkit.function(f)(x, y)
        assert compiled.dtype == eager.dtype == dtype
        near = {"float16": 1e-2}.get(dtype, 1e-6)
        np.testing.assert_allclose(compiled.numpy().astype("float64"), eager.numpy().astype("float64"), near)
