"""Control flow: eager = staged in values and gradients, variables in bodies, symbolic shapes, messages."""

import numpy as np
import pytest

import mlkit
from mlkit import KerasTensor, Variable, ops
from mlkit.core import tree
from tests.core.programs import array


def t(x):
    return ops.convert_to_tensor(x)


def both(fn, *args):
    """The eager result, after comparison with the staged one."""
    args = [t(a) for a in args]
    eager, staged = fn(*args), mlkit.function(fn)(*args)
    tree.assert_same_structure(tree.map_structure(lambda x: 0, eager), tree.map_structure(lambda x: 0, staged))
    for a, b in zip(tree.flatten(eager), tree.flatten(staged)):
        if a is not None:
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-6)
    return eager


X = array(4, 3)


class TestCond:
    f = staticmethod(lambda p, x: ops.cond(p > 0, lambda: x * x * x, lambda: ops.sin(x)))

    @pytest.mark.parametrize("p", [1.0, -1.0])
    def test_values_and_gradients(self, p):
        loss = lambda p, x: ops.sum(self.f(p, x))
        both(self.f, p, X)
        g = both(mlkit.grad(loss, argnums=1), p, X)
        np.testing.assert_allclose(g, 3 * X.numpy() ** 2 if p > 0 else np.cos(X), rtol=1e-5)
        second = lambda p, x: ops.sum(mlkit.grad(loss, argnums=1)(p, x) ** 2)
        both(mlkit.grad(second, argnums=1), p, X)

    def test_only_the_chosen_branch_runs(self):
        ran = []
        assert ops.cond(True, lambda: 0, lambda: ran.append(1)) == 0
        assert not ran
        assert ops.cond(False, lambda: None, lambda: None) is None
        assert float(ops.cond(t(0.0), lambda: 1.0, lambda: 2.0)) == 2.0

    def test_structures_and_nesting(self):
        def f(p, x):
            inner = lambda: ops.cond(p > 2, lambda: {"a": x, "b": (x * 2,)}, lambda: {"a": x * 3, "b": (x,)})
            return ops.cond(p > 0, inner, lambda: {"a": -x, "b": (x * 0,)})

        for p in (3.0, 1.0, -1.0):
            both(f, p, X)
            both(mlkit.grad(lambda x, p=p: ops.sum(f(t(p), x)["a"] ** 2)), X)

    def test_gradient_where_a_branch_does_not_use_the_tensor(self):
        for p in (1.0, -1.0):
            both(mlkit.grad(lambda x, p=p: ops.cond(t(p) > 0, lambda: ops.sum(x * x), lambda: 1.0)), X)

    def test_variables(self):
        for p in (True, False):
            v, w = Variable(2.0), Variable(5.0)

            def f(p, v=v, w=w):
                def yes():
                    v.assign(v * w)
                    return v.value

                def no():
                    w.assign_add(1.0)
                    return v * 1.0

                return ops.cond(p, yes, no), v.value

            staged = [float(x) for x in mlkit.function(f)(t(p))] + [float(v), float(w)]
            v.assign(2.0), w.assign(5.0)
            assert staged == [float(x) for x in f(t(p))] + [float(v), float(w)]

    def test_gradient_of_variables_read_only_in_a_branch(self):
        v = Variable([1.0, 2.0])

        def f(p):
            with mlkit.GradientTape() as tape:
                y = ops.cond(p, lambda: ops.sum(v * v), lambda: ops.sum(v))
            return tape.gradient(y, v)

        assert both(f, True).tolist() == [2, 4]
        assert both(f, False).tolist() == [1, 1]

    @pytest.mark.compiled("an eager condition runs one of the two functions")
    def test_results_that_differ(self):
        staged = mlkit.function(lambda p: ops.cond(p, lambda: ops.ones(2), lambda: ops.ones(3)))
        with pytest.raises(ValueError, match="results of `true_fn` and `false_fn` must agree"):
            staged(t(True))

    def test_messages(self):
        with pytest.raises(ValueError, match="must agree"):
            ops.cond(KerasTensor((), "bool"), lambda: ops.ones(2), lambda: (ops.ones(2),))
        with pytest.raises(TypeError, match="`true_fn` should be a callable"):
            ops.cond(True, 1, lambda: 2)
        with pytest.raises(ValueError, match="cond: a condition must be one number"):
            ops.cond(KerasTensor((2,), "bool"), lambda: 1, lambda: 2)

    @pytest.mark.parametrize(
        "choose, words",
        [
            (lambda p: ops.cond(p, lambda: 1, lambda: 2), "cond: a condition"),
            (lambda p: ops.while_loop(lambda i: ops.logical_and(p, i < 1), lambda i: i + 1, 0), "while_loop: a condition"),
            (lambda p: ops.while_loop(lambda i: p, lambda i: i + 1, 0, maximum_iterations=1), "while_loop: a condition"),
            (lambda p: ops.switch(ops.cast(p, "int32"), [lambda: 2, lambda: 1]), "switch: the index"),
        ],
        ids=["cond", "while_loop", "while_loop of an array", "switch"],
    )
    def test_what_decides_is_one_number(self, choose, words):
        for run in (choose, mlkit.function(choose)):
            assert int(run(np.array([[True]]))) == 1
            with pytest.raises(ValueError, match=rf"{words} must be one number, but this has shape \(2,\)"):
                run(np.array([True, False]))

    def test_symbolic(self):
        assert ops.cond(KerasTensor((), "bool"), lambda: ops.ones((1, 3)), lambda: ops.zeros((1, 3))).shape == (1, 3)


@pytest.mark.parametrize("index", [-5, 0, 1, 2, 9])
def test_switch(index):
    f = lambda i, x: ops.switch(i, [lambda x: x, lambda x: x * 2, lambda x: x * 3], x)
    np.testing.assert_allclose(both(f, np.int32(index), X), X * [1, 2, 3][min(max(index, 0), 2)])
    both(mlkit.grad(lambda x: ops.sum(f(t(np.int32(index)), x) ** 2)), X)
    with pytest.raises(ValueError, match="at least one"):
        ops.switch(0, [])


class TestWhile:
    def test_values(self):
        f = lambda n: ops.while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x * 2), (0, 1.0))
        assert [float(v) for v in both(f, np.int32(5))] == [5.0, 32.0]
        assert [float(v) for v in both(f, np.int32(0))] == [0.0, 1.0]

    def test_limit_and_structures(self):
        f = lambda x: ops.while_loop(lambda d: d["a"] < 10, lambda d: {"a": d["a"] + 1, "b": d["b"] * 2}, {"a": 0, "b": x}, 3)
        assert float(both(f, 1.0)["b"]) == 8.0
        assert type(both(lambda x: ops.while_loop(lambda a: a < 5, lambda a: [a + 1], [x]), 0.0)) is list

    @pytest.mark.parametrize("turns", range(1, 5))
    def test_values_that_change_places(self, turns):
        """In the memory that all turns share, too."""
        round_ = lambda a, b, c: ops.while_loop(lambda i, *_: i < turns, lambda i, a, b, c: (i + 1, b, c, a), (0, a, b, c))
        found = both(round_, *(np.arange(3.0) + 10 * k for k in range(3)))[1:]
        assert [float(t[0]) for t in found] == [10 * ((k + turns) % 3) for k in range(3)]
        swapped = lambda a, b: ops.while_loop(lambda i, *_: i < turns, lambda i, a, b: (i + 1, b, a), (0, a, b))
        assert float(both(swapped, 1.0, 2.0)[1]) == 1.0 + turns % 2

    def test_variables_are_state(self):
        v = Variable(0.0)
        f = lambda: ops.while_loop(lambda i: v < 7, lambda i: (v.assign_add(2.0), i + 1)[1], (0,))
        assert int(mlkit.function(f)()[0]) == 4
        assert float(v) == 8.0

    @pytest.mark.compiled("a trace must not write what another one reads")
    def test_condition_must_not_assign(self):
        v = Variable(0.0)
        with pytest.raises(ValueError, match=r"`cond` must not assign variables"):
            mlkit.function(lambda: ops.while_loop(lambda i: (v.assign_add(1.0), i < 3)[1], lambda i: i + 1, (0,)))()

    @pytest.mark.compiled("eager loops are unrolled, which have gradients")
    def test_no_gradient(self):
        f = mlkit.function(mlkit.grad(lambda x: ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), (0, x))[1]))
        with pytest.raises(NotImplementedError, match="while_loop has no gradient.*fori_loop"):
            f(t(2.0))

    def test_no_gradient_is_asked_for_behind_stop_gradient(self):
        def f(x):
            with mlkit.GradientTape() as tape:
                tape.watch(x)
                y = ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), (0, ops.stop_gradient(x)))[1]
                z = y * x
            return tape.gradient(z, x)

        assert float(both(f, t(2.0))) == 16.0

    def test_state_must_keep_its_kind(self):
        for f in (
            lambda: ops.while_loop(lambda i: i < 3, lambda i: i + 1.0, (0,)),
            lambda: ops.while_loop(lambda i: i < 3, lambda i: (i, i), (0,)),
        ):
            for run in (f, mlkit.function(f)):
                with pytest.raises(ValueError, match="`loop_vars` and what `body` makes of them must agree"):
                    run()

    def test_symbolic(self):
        shape = ops.while_loop(lambda x: True, lambda x: x + 1, KerasTensor((None, 3))).shape
        assert shape == (None, 3)


def test_fori_loop():
    f = lambda n: ops.fori_loop(0, n, lambda i, x: x + ops.cast(i, "float32"), 0.0)
    assert float(both(f, np.int32(5))) == 10.0
    g = lambda x: ops.fori_loop(1, 4, lambda i, y: y * x, 1.0)
    assert float(both(mlkit.grad(g), 2.0)) == 12.0
    assert float(ops.fori_loop(3, 1, lambda i, y: y * 2, 1.0)) == 1.0


class TestScan:
    def loss(self, reverse=False, unroll=1):
        def f(x, w):
            step = lambda c, r: (ops.tanh(ops.matmul(c[None], w)[0] + r), {"y": c * r, "none": None})
            last, ys = ops.scan(step, ops.zeros(3), x, reverse=reverse, unroll=unroll)
            return ops.sum(last * last) + ops.sum(ys["y"] ** 3)

        return f

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("unroll", [1, True, 99])
    def test_values_and_gradients(self, reverse, unroll):
        f, w = self.loss(reverse, unroll), array(3, 3, seed=1)
        both(f, X, w)
        first = mlkit.grad(f, argnums=(0, 1))
        both(first, X, w)
        both(mlkit.grad(lambda x, w: ops.sum(first(x, w)[1] ** 2), argnums=(0, 1)), X, w)

    def test_staged_scan_is_one_call(self):
        graph = mlkit.function(self.loss()).graph(X, array(3, 3))
        assert [c.op.name for c in graph.calls].count("scan") == 1

    def test_integers_ride_along(self):
        def f(x):
            step = lambda c, r: ((c[0] + 1, c[1] * r), c[0])
            (n, p), ns = ops.scan(step, (0, t(1.0)), x)
            return ops.sum(p), n, ns

        both(f, array(5))
        both(mlkit.grad(lambda x: f(x)[0]), array(5))

    def test_without_xs_and_without_steps(self):
        f = lambda a: ops.scan(lambda c, _: ((c[1], c[0] + c[1]), None), (a, t(1.0)), length=6)
        assert [float(v) for v in both(f, 0.0)[0]] == [8.0, 13.0]
        carry, ys = both(lambda x: ops.scan(lambda c, r: (c + r, c * 2), t(1.5), x), np.zeros((0,), "float32"))
        assert float(carry) == 1.5
        assert ys.shape == (0,)

    def test_variables_are_state(self):
        v, w = Variable(1.0), Variable(3.0)

        def f(x):
            def step(c, r):
                v.assign(v * 2 + r)
                return c + w, v.value

            return ops.scan(step, t(0.0), x)

        carry, ys = mlkit.function(f)(ops.ones(3))
        assert float(carry) == 9.0
        assert ys.tolist() == [3, 7, 15]
        assert float(v) == 15.0

    def test_training_steps_in_a_loop(self):
        """A tape inside the body: several steps of gradient descent as one call."""
        v = Variable(np.zeros(3, "float32"))

        def run(xs):
            def step(c, x):
                with mlkit.GradientTape() as tape:
                    loss = ops.sum((v - x) ** 2)
                v.assign_sub(0.1 * tape.gradient(loss, v))
                return c, loss

            return ops.scan(step, 0, xs)[1]

        eager = run(X).tolist(), v.numpy().tolist()
        v.assign(np.zeros(3))
        np.testing.assert_allclose(mlkit.function(run)(X), eager[0], rtol=1e-5)
        np.testing.assert_allclose(v.numpy(), eager[1], rtol=1e-5)

    def test_messages(self):
        f = lambda c, x: (c + x, c)
        with pytest.raises(TypeError, match="`f` should be a callable"):
            ops.scan(1, 0.0, X)
        with pytest.raises(ValueError, match="must be an positive integer or boolean"):
            ops.scan(f, 0.0, X, unroll=0)
        with pytest.raises(ValueError, match="no `xs` to scan over and"):
            ops.scan(f, 0.0)
        with pytest.raises(ValueError, match="same first size"):
            ops.scan(f, 0.0, (t([1.0, 2.0]), t([1.0])))
        with pytest.raises(ValueError, match="same first size"):
            ops.scan(f, 0.0, X, length=7)
        with pytest.raises(ValueError, match="the carry before and after a step must agree"):
            ops.scan(lambda c, x: (c + 1.5, c), 0, t([1, 2]))
        with pytest.raises(ValueError, match="must return a pair"):
            ops.scan(lambda c, x: c, 0, t([1, 2]))

    def test_symbolic(self):
        carry, ys = ops.scan(lambda c, x: (c + x, {"y": c}), KerasTensor((None,)), KerasTensor((6, None)))
        assert carry.shape == (None,)
        assert ys["y"].shape == (6, None)
        assert ops.map(lambda x: x**2, KerasTensor((None, 5))).shape == (None, 5)


HUGE = 3e38


def unused_state(x):
    return ops.scan(lambda c, r: ((c + r) * (c + r), ops.tanh(r)), x[0], x)[1]


def state_that_only_another_state_reaches(x):
    step = lambda c, r: ((c[0] * r, c[0] * c[0], ops.exp(c[2])), c[0])
    return ops.scan(step, (x[0] * 0 + 0.5, x[0], x[0]), x * 0 + 0.5)[0][0]


def state_that_is_forgotten(x):
    return ops.scan(lambda c, r: (ops.tanh(r), None), ops.exp(x[0]), x)[0]


def shared_behind_stop_gradient(x):
    y = ops.exp(x)
    return ops.scan(lambda c, r: (c + ops.tanh(r) + ops.stop_gradient(ops.minimum(y[0], 1.0)), None), 0.0, x)[0]


def inner_state(x):
    inner = lambda r: ops.scan(lambda c, q: ((c + q) * c, ops.tanh(q)), r * r, x)[1]
    return ops.scan(lambda c, r: (c + ops.sum(inner(r)), c), 0.0, x[:2])[0]


def branches_behind_stop_gradient(x):
    y = ops.exp(x)
    stopped = ops.stop_gradient
    return ops.cond(x[1] > 0, lambda: (ops.tanh(x) + stopped(y), y), lambda: (x - stopped(y), y))[0]


def branch_with_an_unused_output(x):
    return ops.cond(x[1] > 0, lambda: (ops.tanh(x), ops.exp(x)), lambda: (x, ops.exp(x)))[0]


def nothing_reached(x):
    ys = ops.scan(lambda c, r: (c * c, ops.stop_gradient(r)), x[0], x)[1]
    return x + ops.cond(x[1] > 0, lambda: ops.stop_gradient(ys), lambda: ys * 0.0 + ops.stop_gradient(x))


@pytest.mark.parametrize(
    "f",
    [
        unused_state, state_that_only_another_state_reaches, state_that_is_forgotten, shared_behind_stop_gradient, inner_state,
        branches_behind_stop_gradient, branch_with_an_unused_output, nothing_reached,
    ],
)  # fmt: skip
def test_no_zeros_flow_where_no_gradient_does(f):
    """Zero times an infinite derivative is NaN: what no gradient reaches must not be given a gradient of zeros."""
    x = np.array([HUGE, 0.5, 2.0, 1e20], "float32")
    with np.errstate(all="ignore"):
        g = both(mlkit.grad(lambda x: ops.sum(f(x))), x)
        assert np.isfinite(g).all()
        second = both(mlkit.grad(lambda x: ops.sum(mlkit.grad(lambda x: ops.sum(f(x)))(x)[1:3])), x)
        assert np.isfinite(second).all()


def test_map():
    f = lambda x: ops.map(lambda d: (ops.sum(d["a"]), d["b"] * 2), {"a": x, "b": x[:, 0]})
    sums, _doubled = both(f, X)
    np.testing.assert_allclose(sums, X.numpy().sum(1), rtol=1e-5)
    both(mlkit.grad(lambda x: ops.sum(f(x)[0] ** 2)), X)
    assert both(lambda x: ops.vectorized_map(lambda r: ops.stack([r, r]), x), X).shape == (4, 2, 3)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan(n, reverse):
    x = array(2, n)
    f = lambda x: ops.associative_scan(lambda a, b: a + b, x, reverse=reverse, axis=1)
    expected = np.cumsum(x.numpy()[:, ::-1], 1)[:, ::-1] if reverse else np.cumsum(x, 1)
    np.testing.assert_allclose(both(f, x), expected, rtol=1e-4, atol=1e-5)
    both(mlkit.grad(lambda x: ops.sum(f(x) ** 2)), x)


def test_associative_scan_of_pairs():
    """Composition of affine maps, which is associative but not commutative."""
    a, b = array(6), array(6, seed=1)
    f = lambda a, b: ops.associative_scan(lambda p, q: (p[0] * q[0], p[1] * q[0] + q[1]), (a, b))
    x = 0.0
    for ai, bi, yi in zip(a.numpy(), b.numpy(), both(f, a, b)[1].numpy()):
        x = ai * x + bi
        assert abs(x - yi) < 1e-4
    with pytest.raises(ValueError, match="first dimension"):
        ops.associative_scan(lambda p, q: p, (t([1.0, 2.0]), t([1.0])))
    assert ops.associative_scan(lambda p, q: p, (KerasTensor((5, None)),), axis=1)[0].shape == (5, None)
