"""The axes of `vmap`: those of parts of arguments and results, as `jax.vmap` takes them."""

import collections

import jax
import numpy as np
import pytest

import mlkit
from mlkit import ops, tree
from mlkit.core.interpreter import EAGER
from mlkit.core.state import state

RNG = np.random.default_rng(0)


def f(*shape):
    return RNG.normal(size=shape).astype("float32")


Point = collections.namedtuple("Point", "x y")
ORDERED = collections.OrderedDict(w=f(3, 2), b=f(5, 2))  # its keys are not sorted

# function of a namespace's functions -> function to map; arguments; in_axes; out_axes
CASES = {
    "negative": (lambda np: lambda a, b: np.matmul(a, b), (f(3, 5), f(3, 2, 5)), (-1, -1), -1),
    "none for all": (lambda np: lambda a, b=0.0: np.sum(a) + b, (f(3),), None, 0),
    "a list": (lambda np: lambda a, b: a * b, (f(5, 3), f(3)), [0, None], 0),
    "a part of a dict": (
        lambda np: lambda p, x: np.matmul(x, p["w"]) + p["b"],
        ({"w": f(3, 2), "b": f(5, 2)}, f(3, 5)),
        ({"w": None, "b": 0}, 1),
        0,
    ),
    "one for a whole dict": (
        lambda np: lambda p, x: p["a"] * x + p["b"][0],
        ({"a": f(5, 3), "b": (f(5, 3),)}, f(3)),
        (0, None),
        0,
    ),
    "deep": (
        lambda np: lambda p, x: p["layers"][0]["w"] * p["layers"][1]["w"] + x,
        ({"layers": [{"w": f(5, 3)}, {"w": f(3, 5)}]}, f(3)),
        ({"layers": [{"w": 0}, {"w": 1}]}, None),
        1,
    ),
    "none for a part": (lambda np: lambda p: p[0] + p[1][0] * p[1][1], ((f(5, 3), (f(3), f(3))),), ((0, None),), 0),
    "a named tuple": (lambda np: lambda p: p.x - p.y, (Point(f(3, 5), f(3)),), (Point(1, None),), 0),
    "an ordered dict": (lambda np: lambda p: np.matmul(p["w"], p["b"]), (ORDERED,), (collections.OrderedDict(w=None, b=0),), 0),
    "a tuple of results": (lambda np: lambda a, b: (a * b, np.sum(a), b), (f(5, 3, 2), f(3, 2)), (0, None), (2, 0, None)),
    "a dict of results": (lambda np: lambda a: {"s": a, "t": (a, np.sum(a))}, (f(5, 3),), 0, {"s": -1, "t": (1, 0)}),
    "one axis for a part of the results": (lambda np: lambda a: (a, [a, a + 1]), (f(5, 3),), 0, (0, 1)),
    "a result that is the same for all": (
        lambda np: lambda a, b: {"a": a, "b": b * 2},
        (f(5, 3), f(3)),
        (0, None),
        {"a": 0, "b": None},
    ),
    "spread": (lambda np: lambda a, b: (a, b), (f(5, 3), f(3)), (0, None), 1),
}


@pytest.mark.parametrize("how", ["eager", "compiled"])
@pytest.mark.parametrize("case", CASES)
def test_as_jax(case, how):
    make, args, in_axes, out_axes = CASES[case]
    kwargs = {"b": f(5)} if case == "none for all" else {}
    want = jax.vmap(make(jax.numpy), in_axes, out_axes)(*args, **kwargs)
    mapped = mlkit.vmap(make(ops), in_axes, out_axes)
    run = mlkit.function(mapped) if how == "compiled" else mapped
    found = run(*args, **kwargs)
    tree.assert_same_structure(tree.map_structure(np.asarray, found), want)
    for a, b in zip(tree.flatten(found), tree.flatten(want)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


REFUSED = {
    "a dict": (lambda a: a, ({"a": f(5, 3)},), {"a": 0}, 0, TypeError, "must be an axis, None, or a tuple with an entry"),
    "too many": (lambda a: a, (f(5, 3),), (0, 0), 0, ValueError, "`in_axes` has 2 entries, but .* 1 arguments"),
    "other keys": (lambda p: p["a"], ({"a": f(5, 3)},), ({"b": 0},), 0, ValueError, "`in_axes` does not fit"),
    "another kind": (lambda p: p["a"], ({"a": f(5, 3), "b": f(5)},), ((0, 0),), 0, ValueError, "`in_axes` does not fit"),
    "axes for a leaf": (lambda a: a, (f(5, 3),), ((0, 1),), 0, ValueError, "`in_axes` does not fit"),
    "fewer results": (lambda a: (a, a), (f(5, 3),), 0, (0,), ValueError, "`out_axes` does not fit"),
    "a result that differs": (lambda a: (a, a), (f(5, 3),), 0, (0, None), ValueError, "must have an axis in `out_axes`"),
    "nothing": (lambda p: p["a"], ({"a": f(5, 3)},), ({"a": None},), 0, ValueError, "nothing to map over"),
    "sizes": (lambda p: p["a"], ({"a": f(5, 3), "b": f(4)},), 0, 0, ValueError, "one size"),
    "out of range": (lambda a: a, (f(5, 3),), 0, 2, ValueError, "axis 2 is out of range"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    function, args, in_axes, out_axes, kind, message = REFUSED[case]
    with pytest.raises((TypeError, ValueError, IndexError)):
        jax.vmap(function, in_axes, out_axes)(*args)
    with pytest.raises(kind, match=message):
        mlkit.vmap(function, in_axes, out_axes)(*args)
    assert state.top is EAGER


def test_gradients_of_parts():
    """A gradient of shared weights for each sample, and its sum, are those of a loop."""
    params, x = {"w": f(3, 2), "b": f(2)}, f(5, 3)
    slope = lambda p, a: mlkit.grad(lambda p: ops.sum(ops.tanh(ops.matmul(a, p["w"]) + p["b"])))(p)
    found = mlkit.vmap(slope, in_axes=({"w": None, "b": None}, 0), out_axes={"w": 2, "b": 0})(params, x)
    for k, axis in (("w", 2), ("b", 0)):
        np.testing.assert_allclose(found[k], np.stack([slope(params, row)[k].numpy() for row in x], axis), rtol=1e-5)


def test_where_only_specs_are_known():
    mapped = mlkit.vmap(lambda p, a: (p["w"] * a, p["w"]), ({"w": None}, 0), (1, None))
    y, w = mlkit.layers.Lambda(lambda rows: mapped({"w": ops.ones(3)}, rows))(mlkit.Input((3,)))
    assert (y.shape, w.shape) == ((3, None), (3,))
