"""Chains of elementwise ops as oneDNN primitives against the same ops one by one."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlkit
from mlkit import Variable, ops
from mlkit.backends.native.onednn import library
from mlkit.backends.native.onednn.kernel import Kernel

pytestmark = [
    pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed"),
    pytest.mark.usefixtures("all_passes"),
]


@pytest.fixture(autouse=True)
def small_chains(monkeypatch):
    monkeypatch.setattr(sys.modules["mlkit.compiler.passes.fuse_chains"], "SMALLEST", 0)


def drawn(*shape, seed=0):
    return ops.convert_to_tensor(np.random.default_rng(seed).uniform(0.5, 2.0, shape).astype("float32"))


def chains_of(f):
    """(chain, whether oneDNN runs it) for each chain of a compiled function."""
    plan = next(iter(f.programs.values()))[0].run.plan
    pairs = [(call, c) for call, c in zip(plan.graph.calls, plan.choices) if call.op.name == "fused_elementwise"]
    return [(call.params["chain"], isinstance(choice.prepared, Kernel)) for call, choice in pairs]


BINARY = [ops.add, ops.subtract, ops.multiply, ops.divide]
UNARY = [
    ops.relu,
    ops.relu6,
    ops.negative,
    ops.abs,
    ops.sigmoid,
    lambda x: ops.sqrt(ops.abs(x) + 0.1),
    lambda x: ops.rsqrt(x * x + 0.5),
]


@st.composite
def programs(draw):
    """Functions of three tensors, made of random steps on random earlier results."""
    steps = []
    for i in range(draw(st.integers(2, 9))):
        a = draw(st.integers(0, i + 2))
        kind = draw(st.sampled_from(["two", "two", "number", "one"]))
        if kind == "two":
            steps.append((draw(st.sampled_from(BINARY)), a, draw(st.integers(0, i + 2))))
        elif kind == "number":
            steps.append((draw(st.sampled_from(BINARY)), a, draw(st.sampled_from([0.5, 2.0, -3.0])), draw(st.booleans())))
        else:
            steps.append((draw(st.sampled_from(UNARY)), a))
    returned = draw(st.sets(st.integers(3, len(steps) + 2), max_size=2)) | {len(steps) + 2}

    def run(*xs):
        env = list(xs)
        for f, a, *rest in steps:
            if len(rest) == 2:
                env.append(f(rest[0], env[a]) if rest[1] else f(env[a], rest[0]))
            else:
                env.append(f(env[a], *(env[b] for b in rest)))
        return [env[i] for i in sorted(returned)]

    return run


@settings(max_examples=40, deadline=None, derandomize=True)
@given(programs())
def test_random_chains(run):
    xs = [drawn(3, 5, seed=i) for i in range(3)]
    with np.errstate(all="ignore"):
        for a, b in zip(run(*map(np.float64, xs)), mlkit.function(run)(*xs)):
            np.testing.assert_allclose(np.asarray(b), np.asarray(a, "float32"), rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize(
    "shapes", [((4, 6), (6,), ()), ((2, 3, 4), (4,), (1,)), ((2, 3, 4), (3, 1), (2, 3, 1)), ((50,), (), (50,))]
)
def test_broadcasting(shapes):
    args = [drawn(*s, seed=i) for i, s in enumerate(shapes)]
    fn = lambda x, y, z: (z - x * y + 1.0, (y - x) / (z + x))
    f = mlkit.function(fn)
    for a, b in zip(fn(*args), f(*args)):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert all(by_onednn for _, by_onednn in chains_of(f))


def test_adam_is_three_passes_in_place():
    w, m, v = (Variable(drawn(8, 9, seed=i)) for i in range(3))
    before = [a.numpy().astype("float64") for a in (w, m, v)]

    @mlkit.function
    def step(g, rate):
        m.assign(m + (g - m) * 0.1)
        v.assign(v + (ops.square(g) - v) * 0.01)
        w.assign_sub(rate * m / (ops.sqrt(v) + 1e-7))

    g, rate = drawn(8, 9, seed=7), ops.convert_to_tensor(0.3)
    step(g, rate)
    program = next(iter(step.programs.values()))[0].run
    assert all(by_onednn for _, by_onednn in chains_of(step))
    assert len(program.plan.overwrites) == 3
    assert sum(len(c.prepared._steps) for c in program.plan.choices if c.prepared) == 3
    assert not program.plan.workspaces
    x, (w0, m0, v0) = np.float64(g.numpy()), before
    m0, v0 = m0 + (x - m0) * 0.1, v0 + (x * x - v0) * 0.01
    for a, b in zip((m, v, w), (m0, v0, w0 - 0.3 * m0 / (np.sqrt(v0) + 1e-7))):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-5)


def test_gradient_of_relu():
    def f(x, w):
        with mlkit.GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(ops.relu(x * w - 1.0) * w + ops.relu6(x * 5.0))
        return tape.gradient(loss, x)

    x, w = drawn(3, 4) - 1.0, drawn(3, 4, seed=1)
    g = mlkit.function(f)
    np.testing.assert_allclose(g(x, w), f(x, w), rtol=1e-6)
    assert all(by_onednn for _, by_onednn in chains_of(g))


@pytest.mark.parametrize("shape", [(6, 7), (6, 1), (1, 7)])
def test_masks(shape):
    from mlkit.primitives.fused import masked_scale, relu_grad

    keep = ops.convert_to_tensor(np.random.default_rng(0).random(shape) < 0.7)
    fn = lambda x, keep, y: (relu_grad(masked_scale(x * y, keep, scale=1.25), y - 1.0), masked_scale(y, keep, scale=2.0))
    f, x, y = mlkit.function(fn), drawn(6, 7), drawn(6, 7, seed=1)
    for a, b in zip(fn(x, keep, y), f(x, keep, y)):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert all(by_onednn for _, by_onednn in chains_of(f))


def test_large_calls_are_chains_of_their_own():
    f = mlkit.function(lambda x, y: ops.matmul(x + y, y))
    x = drawn(300, 300)
    np.testing.assert_allclose(f(x, x), np.matmul(x.numpy() * 2, x.numpy()), rtol=1e-5)
    assert [by_onednn for _, by_onednn in chains_of(f)] == [True]


def test_other_ops_run_block_by_block():
    f = mlkit.function(lambda x: ops.exp(x) * 2.0 + ops.maximum(x, 1.0))
    np.testing.assert_allclose(f(drawn(3, 4)), np.exp(drawn(3, 4)) * 2 + np.maximum(drawn(3, 4), 1), rtol=1e-6)
    assert [by_onednn for _, by_onednn in chains_of(f)] == [False]


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "rmsprop"])
@pytest.mark.parametrize("shape", [(), (7,), (40, 30)])
def test_updates_work_in_place(name, shape):
    """An optimizer's step, compiled, is the step run op by op, and it writes weights and slots where they lie."""
    w = mlkit.optimizers.SGD(momentum=0.9, nesterov=True) if name == "nesterov" else mlkit.optimizers.get(name)
    variables = [Variable(drawn(*shape, seed=s)) for s in range(2)]
    optimizers = [w, type(w).from_config(w.get_config())]
    for optimizer, variable in zip(optimizers, variables):
        optimizer.build([variable])
    variables[1].assign(variables[0].numpy())
    compiled = mlkit.function(lambda g: optimizers[0].apply([g], [variables[0]]))
    for step in range(3):
        g = drawn(*shape, seed=10 + step)
        compiled(g)
        optimizers[1].apply([g], [variables[1]])
    for a, b in zip([variables[0], *optimizers[0].variables], [variables[1], *optimizers[1].variables]):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-6)
    plan = next(iter(compiled.programs.values()))[0].run.plan
    (choice,) = [c for call, c in zip(plan.graph.calls, plan.choices) if call.op.name.endswith("_update")]
    assert isinstance(choice.prepared, Kernel)
    slots = len(optimizers[0].variables) - 2  # the others count steps and hold the learning rate
    assert len(plan.overwrites) >= 1 + slots


@pytest.mark.parametrize("shape", [(3, 8), (96, 96)])
def test_signs_of_zero_and_overflow_are_those_of_the_ops(shape):
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -2.5, 3e38, -3e38, 1e-38]
    x = ops.convert_to_tensor(np.resize(np.array(special, "float32"), shape))

    def formulas(x):
        y = ops.abs(x)  # makes a chain of what follows
        return (
            -y,
            -y * 2,
            y * -2,
            0.5 - y,
            y - x,
            x - y,
            y * 3 * 0.25,
            y * 0.25 * 8,
            y * 2 * 2,
            (0.0 - y) * 3,
            ops.negative(x) - y,
        )

    for k, (found, expected) in enumerate(zip(mlkit.function(formulas)(x), formulas(x))):
        found, expected = found.numpy(), expected.numpy()
        np.testing.assert_array_equal(found, expected, err_msg=str(k))
        zeros = expected == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]), err_msg=str(k))
