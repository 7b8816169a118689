"""What a program takes grows with its size and not with the square: the work of making it, and its memory.

The work is counted in lines of Python that are run, which no other program on the machine can disturb.
"""

import functools
import sys

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops

pytestmark = [pytest.mark.native("plans"), pytest.mark.compiled("programs")]

SMALL, TIMES = 12, 4
IMAGE = np.zeros((100, 100), "float32")


def lines_run(work):
    """How many lines of Python a function runs."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def gradient_of(loss, x):
    with mlkit.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    return tape.gradient(value, x)


def depth(n):
    """A training step of so many layers."""
    weights = [mlkit.Variable(np.zeros((8, 8), "float32")) for _ in range(n)]

    def step(x):
        with mlkit.GradientTape() as tape:
            for w in weights:
                x = ops.relu(ops.matmul(x, w) + 1.0)
            loss = ops.sum(x)
        for w, g in zip(weights, tape.gradient(loss, weights)):
            w.assign_sub(0.1 * g)
        return loss

    return step, [np.zeros((4, 8), "float32")]


def calls(n):
    """Elementwise calls on large arrays, which form chains."""

    def f(x):
        for _ in range(n):
            x = ops.tanh(x) * 0.5 + x
        return x

    return f, [IMAGE]


def residuals(n):
    def loss(x):
        for _ in range(n):
            x = x + ops.gelu(ops.matmul(x, ops.transpose(x)))
        return ops.sum(x)

    return lambda x: gradient_of(loss, x), [IMAGE]


def slices(n):
    """An unrolled loop over the rows of an array, whose gradient is a sum of arrays of the size of the whole."""

    def loss(a):
        h = a[0]
        for i in range(1, n):
            h = ops.tanh(h + a[i])
        return ops.sum(h)

    return lambda a: gradient_of(loss, a), [np.zeros((n, 8192), "float32")]


def outputs(n):
    return lambda x: [ops.tanh(x * float(i)) for i in range(n)], [IMAGE]


def variables(n):
    weights = [mlkit.Variable(IMAGE) for _ in range(n)]

    def step(x):
        for w in weights:
            w.assign(w * 0.9 + x)

    return step, [IMAGE]


def dropouts(n):
    seeds = mlkit.random.SeedGenerator(1)

    def loss(x):
        for _ in range(n):
            x = ops.relu(mlkit.random.dropout(x * 1.1, 0.3, seed=seeds))
        return ops.sum(x)

    return lambda x: gradient_of(loss, x), [np.zeros((10, 10), "float32")]


def parts(n):
    """Many results that become one."""
    return lambda x: ops.sum(ops.stack([ops.sum(x * float(i), axis=0) for i in range(n)])), [IMAGE]


def images(n):
    """Convolutions with batch normalization."""
    stack = [
        layer for _ in range(n) for layer in (layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU())
    ]
    model = mlkit.Sequential([mlkit.Input((16, 16, 8)), *stack])
    return lambda x: gradient_of(lambda x: ops.sum(model(x, training=True)), x), [np.zeros((2, 16, 16, 8), "float32")]


FAMILIES = [
    depth,
    calls,
    residuals,
    slices,
    outputs,
    variables,
    pytest.param(
        dropouts, marks=pytest.mark.cpu("a GPU runs a dozen as one kernel, which keeps nothing of what is between them")
    ),
    parts,
    images,
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_work_and_memory_grow_with_the_size(family):
    work, memory, large = [], [], 0
    for n in (SMALL, TIMES * SMALL):
        f, args = family(n)
        traced = mlkit.function(f)
        work.append(lines_run(functools.partial(traced.program, *args)))
        plan = traced.program(*args).plan
        memory.append(plan.arena_bytes + plan.result_bytes + plan.constant_bytes)
        large = sum(a.nbytes for a in args)
    assert work[1] < 1.25 * TIMES * work[0], work
    assert memory[1] < 1.25 * TIMES * memory[0] + large, memory


def test_a_gradient_of_many_slices_takes_a_few_times_their_memory(all_passes):
    f, (a,) = slices(100)
    plan = mlkit.function(f).program(a).plan
    assert plan.peak_bytes < 6 * a.nbytes  # 100 times, where all slices' gradients live together


def test_chains_that_are_cut_compute_the_same():
    f, _ = slices(40)
    a = np.random.default_rng(0).normal(size=(40, 8192)).astype("float32")
    with mlkit.GradientTape() as tape:
        x = ops.convert_to_tensor(a)
        tape.watch(x)
        h = x[0]
        for i in range(1, 40):
            h = ops.tanh(h + x[i])
        total = ops.sum(h)
    np.testing.assert_allclose(mlkit.function(f)(a), tape.gradient(total, x), rtol=2e-4, atol=1e-6)
