"""Optimizers of mlkit and of Keras, side by side: the same weights and gradients go in."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np

from mlkit import constraints, optimizers
from mlkit.core.function import function
from mlkit.objects.variable import Variable

to_numpy = keras.ops.convert_to_numpy
SHAPES = {"kernel": (4, 3), "bias": (3,), "conv": (2, 2, 3, 2), "wide": (2, 5), "gain": ()}


def random_arrays(seed):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=shape), "float32") for shape in SHAPES.values()]


def weights(make, **attributes):
    """A list of variables of one library, with equal values in both."""
    variables = [make(value, name=name) for value, name in zip(random_arrays(0), SHAPES)]
    for name, values in attributes.items():
        for v, value in zip(variables, values):
            setattr(v, name, value)
    return variables


def both(cls, options, prepare=None, **attributes):
    """(optimizer, weights) in mlkit, then in Keras.

    A callable among the options is called with the `optimizers` module; prepare with the optimizer, the weights, `constraints`.
    """
    pair = []
    for module, limits, make in (optimizers, constraints, Variable), (keras.optimizers, keras.constraints, keras.Variable):
        given = {k: v(module) if callable(v) else v for k, v in options.items()}
        optimizer, variables = getattr(module, cls)(**{"name": "opt", **given}), weights(make, **attributes)
        if prepare:
            prepare(optimizer, variables, limits)
        pair.append((optimizer, variables))
    return pair


def gradients(step):
    return random_arrays(100 + step)


def keras_step(judge, judged, step):
    """One step of a Keras optimizer."""
    with jax.disable_jit():  # else each of its conditionals is compiled anew
        judge.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], judged)


def run(build_pair, steps=5, rtol=2e-5, atol=1e-5):
    """Take steps with Keras, then the same at once and traced here: equal weights after each, equal state at the end.

    build_pair: called for a new pair ((optimizer, weights), (the same in Keras)).
    """
    _, (judge, judged) = build_pair()
    trail = []
    for step in range(steps):
        keras_step(judge, judged, step)
        trail.append([to_numpy(v) for v in judged])
    for traced in (False, True):
        (optimizer, variables), _ = build_pair()
        optimizer.build(variables)
        update = lambda *grads: optimizer.apply(list(grads))  # noqa: B023
        update = function(update) if traced else update
        for step, expected in enumerate(trail):
            update(*gradients(step))
            for name, a, b in zip(SHAPES, variables, expected):
                message = f"{name}, step {step}, {'traced' if traced else 'eager'}"
                np.testing.assert_allclose(a.numpy(), b, rtol=rtol, atol=atol, err_msg=message)
        assert len(optimizer.variables) == len(judge.variables)
        for a, b in zip(optimizer.variables, judge.variables):
            np.testing.assert_allclose(a.numpy(), to_numpy(b), rtol=rtol, atol=atol, err_msg=b.path)
