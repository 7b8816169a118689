"""Compiled functions under a tape: run compiled, with the gradients of the function run op by op."""

import contextlib

import numpy as np
import pytest

import mlkit
from mlkit import ops

X = np.linspace(-1, 2, 12, dtype="float32").reshape(3, 4)


def of(fn, *args, second=False):
    """Value and gradient for the first argument, taken with a tape; second: the gradient of the gradient's squares too."""
    x = ops.convert_to_tensor(args[0])
    with mlkit.GradientTape() if second else contextlib.nullcontext() as outer:
        if second:
            outer.watch(x)
        with mlkit.GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(fn(x * 1.5, *args[1:]) ** 2)
        g = tape.gradient(y, x)
        total = ops.sum(g * g)
    return [t.numpy() for t in ((y, g, outer.gradient(total, x)) if second else (y, g))]


class Counted:
    def __init__(self, fn):
        self.fn, self.runs = fn, 0

    def __call__(self, *args):
        self.runs += 1
        return self.fn(*args)


def scanned(x):
    return ops.scan(lambda c, row: (c * 0.5 + row, ops.sin(c)), x[0], x)[1]


FUNCTIONS = [
    lambda x: ops.tanh(x) * x,
    lambda x: ops.matmul(x, ops.transpose(x)),
    lambda x: ops.softmax(ops.relu(x)) + ops.logsumexp(x),
    lambda x: ops.cond(ops.sum(x) > 0, lambda: x * 3.0, lambda: x * x),
    scanned,
    lambda x: ops.stop_gradient(x) * x,
    lambda x: x,
]


@pytest.mark.compiled("it counts how often the function is traced")
@pytest.mark.parametrize("fn", FUNCTIONS)
@pytest.mark.parametrize("second", [False, True])
def test_gradients_are_those_of_the_function(fn, second):
    counted = Counted(fn)
    compiled = mlkit.function(counted)
    for expected, *found in zip(of(fn, X, second=second), *(of(compiled, X, second=second) for _ in range(3))):
        for f in found:
            np.testing.assert_allclose(f, expected, rtol=2e-5, atol=1e-5)
    if not second:
        assert counted.runs == 1


def test_variables_have_gradients_and_keep_what_is_assigned():
    w, steps = mlkit.Variable(X), mlkit.Variable(0.0, trainable=False)

    def fn(x):
        steps.assign_add(1.0)
        return ops.sin(x * w) * steps

    compiled, found = mlkit.function(fn), []
    for f in (fn, compiled, compiled):
        steps.assign(1.0)
        with mlkit.GradientTape() as tape:
            y = ops.sum(f(X))
        w_before = w.numpy()
        w.assign(w * 0.0)  # what the gradient needs is kept, whatever is assigned meanwhile
        found.append(tape.gradient(y, w).numpy())
        w.assign(w_before)
        assert float(steps) == 2.0
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-6)


def test_a_frozen_variable_is_given_no_gradient():
    w = mlkit.Variable(2.0)
    f = mlkit.function(lambda x: x * w)
    for trainable in (True, False, True):
        w.trainable = trainable
        with mlkit.GradientTape() as tape:
            y = f(3.0)
        assert (tape.gradient(y, w) is not None) is trainable


def test_structures_integers_and_other_arguments_pass():
    f = mlkit.function(lambda pair, n, scale: {"y": pair[0] * scale, "n": ops.sum(n), "z": (pair[1] * pair[0], None)})
    a, b = ops.ones(3), ops.ones(3) * 2
    with mlkit.GradientTape() as tape:
        tape.watch([a, b])
        out = f((a, b), np.arange(4), scale=5.0)
        y = ops.sum(out["y"]) + ops.sum(out["z"][0]) * ops.cast(out["n"], "float32")
    assert [g.tolist() for g in tape.gradient(y, [a, b])] == [[17.0] * 3, [6.0] * 3]
    assert out["z"][1] is None


def test_only_what_is_asked_for_has_a_gradient():
    f = mlkit.function(lambda x, y: x * y)
    a, b = ops.ones(3), ops.ones(3) * 2
    with mlkit.GradientTape() as tape:
        tape.watch(a)
        y = ops.sum(f(a, b))
    assert tape.gradient(y, [a, b])[1] is None


def test_an_array_may_be_written_afterwards():
    f = mlkit.function(lambda w, x: w * x)
    w, x = ops.ones(3), np.ones(3, "float32")
    with mlkit.GradientTape() as tape:
        tape.watch(w)
        y = ops.sum(f(w, x))
    x[:] = 100
    assert tape.gradient(y, w).tolist() == [1.0, 1.0, 1.0]


def test_dropout_drops_the_same_both_ways():
    layer = mlkit.layers.Dropout(0.5, seed=3)
    x = ops.ones((64,))
    with mlkit.GradientTape() as tape:
        tape.watch(x)
        y = mlkit.function(lambda x: layer(x, training=True))(x)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), y.numpy())


def test_a_training_step_by_hand():
    def losses(compile_it):
        mlkit.utils.set_random_seed(1)
        model = mlkit.Sequential(
            [mlkit.layers.Dense(8, activation="relu"), mlkit.layers.BatchNormalization(), mlkit.layers.Dense(1)]
        )
        model.build((None, 4))
        optimizer = mlkit.optimizers.SGD(0.05)
        forward = lambda x: ops.mean((model(x, training=True) - 1.0) ** 2)
        forward, found = mlkit.function(forward) if compile_it else forward, []
        for _ in range(5):
            with mlkit.GradientTape() as tape:
                loss = forward(X)
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            found.append(float(loss))
        return found, [v.numpy() for v in model.non_trainable_variables]

    (eager, state), (compiled, own) = losses(False), losses(True)
    np.testing.assert_allclose(compiled, eager, rtol=1e-4)
    for a, b in zip(own, state):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_gradient_on_one_persistent_tape():
    f, x = mlkit.function(lambda x: x**3), ops.convert_to_tensor(2.0)
    with mlkit.GradientTape(persistent=True) as tape:
        tape.watch(x)
        slope = tape.gradient(f(x), x)
    assert float(tape.gradient(slope, x)) == 12.0
