"""oneDNN's recurrent nets against the reference rows."""

import numpy as np
import pytest

import mlkit
from mlkit.backends.native.onednn import library, recurrent, recurrent_primitives
from tests.backends.test_onednn import check, compare, drawn, reference, row_of

pytestmark = pytest.mark.skipif(library.library() is None, reason="oneDNN is not installed")
SIZES = [
    (4, 3, 4, 5),
    (6, 1, 3, 2),
    (5, 4, 1, 3),
    (1, 3, 4, 5),
    (1, 1, 1, 1),
    (3, 7, 33, 17),
    (33, 2, 5, 64),
]  # batch, time, ...
NETS = dict(lstm=(4, 2), gru=(3, 1), rnn=(1, 1))  # gates, states
KINDS = [("lstm", {}), ("lstm", dict(reverse=True))]
KINDS += [("gru", dict(reset_after=a, reverse=r)) for a in (True, False) for r in (False, True)]
KINDS += [("rnn", dict(activation=a, reverse=r)) for a, r in (("tanh", False), ("sigmoid", True), ("relu", False))]
kinds = pytest.mark.parametrize("name, options", KINDS, ids=str)


def arguments(name, sizes, with_bias, reset_after=True, **_):
    """x, *states, kernel, recurrent kernel, bias; and gradients of all results."""
    (batch, time, features, units), (gates, states) = sizes, NETS[name]
    first = [drawn(batch, units, seed=i) for i in range(1, 1 + states)]
    kernels = [drawn(n, gates * units, seed=3 + i) / n**0.5 for i, n in enumerate((features, units))]
    rows = (2,) if name == "gru" and reset_after else ()
    bias = drawn(*rows, gates * units, seed=5) if with_bias else None
    g = [drawn(batch, time, units, seed=6), *(drawn(batch, units, seed=7 + i) for i in range(states))]
    return [drawn(batch, time, features), *first, *kernels, bias], g


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("with_bias", [False, True])
@kinds
def test_results_and_gradients(name, options, sizes, with_bias):
    args, g = arguments(name, sizes, with_bias, **options)
    check(name, *args, **options)
    for given in (g, [g[0], *[None] * (len(g) - 1)], [None, *g[1:]]):
        check(f"{name}_grad", *given, *args, **options)


@pytest.mark.parametrize("parts", [1, 2, 3])
@kinds
def test_gradients_of_what_is_kept_for_any_number_of_threads(name, options, parts, monkeypatch):
    args, g = arguments(name, (7, 4, 3, 5), True, **options)
    monkeypatch.setattr(recurrent, "number_of_parts", lambda *_: parts)
    keep = row_of(name).keeps(*args[:2], **options)
    assert keep.shape[0] == parts
    monkeypatch.undo()
    assert row_of(name).accepts(*args, keep=keep, **options)
    *results, kept = row_of(name)(*args, keep=keep, **options)
    compare(tuple(results), reference(name, args, options), 2e-5)
    args += *results[1:], kept
    assert row_of(f"{name}_grad").accepts(*g, *args, **options)
    found = row_of(f"{name}_grad")(*g, *args, **options)
    compare(found, reference(f"{name}_grad", [*g, *args[: -len(results)]], options), 2e-5)


@kinds
def test_weights_that_no_cache_holds_are_shared_by_all_threads(name, options, monkeypatch):
    monkeypatch.setattr(recurrent_primitives, "CACHED", 0)
    args, g = arguments(name, (5, 3, 4, 6), True, **options)
    assert row_of(name).keeps(*args[:2], **options).shape[0] == 1
    check(name, *args, **options)
    check(f"{name}_grad", *g, *args, **options)


@pytest.mark.parametrize("name", NETS)
def test_reversed_and_repeated_operands(name):
    """Views that oneDNN has no descriptors for, in a program of which they are inputs, and of which they are results."""
    args, _ = arguments(name, (3, 4, 5, 6), True)
    layer = dict(lstm=mlkit.layers.LSTM, gru=mlkit.layers.GRU, rnn=mlkit.layers.SimpleRNN)[name](
        6, return_sequences=True, go_backwards=True
    )
    x = mlkit.ops.convert_to_tensor(args[0])
    layer(x)

    def step(x):
        with mlkit.GradientTape() as tape:
            tape.watch(x)
            total = mlkit.ops.sum(layer(x)) + mlkit.ops.sum(layer(mlkit.ops.broadcast_to(x[:1] * 2.0, x.shape)))
        return total, *tape.gradient(total, [x, *layer.trainable_variables])

    for a, b in zip(mlkit.function(step)(x), step(x)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-5, atol=2e-5)
