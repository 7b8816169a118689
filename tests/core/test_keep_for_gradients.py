"""The pass that lets recurrent ops keep what their gradients need."""

import functools

import numpy as np
import pytest

import mlkit
from mlkit.compiler.cost import call_flops
from mlkit.compiler.passes import optimize
from mlkit.core import debug
from mlkit.core.backend import get_backend
from mlkit.primitives import fused

pytestmark = [pytest.mark.usefixtures("all_passes"), pytest.mark.native("a pass")]

OPS = dict(  # op, gates, states, rows of the bias
    lstm=(fused.lstm, 4, 2, ()),
    gru=(fused.gru, 3, 1, (2,)),
    rnn=(functools.partial(fused.rnn, activation="tanh"), 1, 1, ()),
    before=(functools.partial(fused.gru, reset_after=False, reverse=True), 3, 1, ()),
)


def arguments(name, batch=3, time=4, features=5, units=6, dtype="float32"):
    _, gates, states, rows = OPS[name]
    rng = np.random.default_rng(0)
    bias = (*rows, gates * units)
    shapes = (batch, time, features), *[(batch, units)] * states, (features, gates * units), (units, gates * units), bias
    return [mlkit.ops.convert_to_tensor(rng.normal(size=s).astype("float32"), dtype) for s in shapes]


def step(op):
    """Results and gradients."""

    def run(*args):
        with mlkit.GradientTape() as tape:
            for a in args:
                tape.watch(a)
            results = op(*args)
            loss = sum(mlkit.ops.sum(r * r) for r in results)
        return (*results, *tape.gradient(loss, list(args)))

    return run


@pytest.mark.parametrize("name", OPS)
def test_programs_with_and_without_it_agree(name, monkeypatch):
    args = arguments(name)
    kept = mlkit.function(step(OPS[name][0]))(*args)
    monkeypatch.setattr(debug, "PASSES_OFF", ("keep_for_gradients",))
    for a, b in zip(kept, mlkit.function(step(OPS[name][0]))(*args)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", OPS)
def test_gates_of_half_floats_are_kept_unrounded(name, dtype, monkeypatch):
    """Near 1 they would become 1, and their derivatives 0."""
    args = [a * 4 for a in arguments(name, dtype=dtype)]
    kept = mlkit.function(step(OPS[name][0]))(*args)
    monkeypatch.setattr(debug, "PASSES_OFF", ("keep_for_gradients",))
    for a, b in zip(kept, mlkit.function(step(OPS[name][0]))(*args)):
        assert a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("name", OPS)
def test_gradients_get_all_results(name):
    graph = mlkit.function(step(OPS[name][0])).graph(*arguments(name))
    plain = {c.op.name: c for c in graph.calls}
    calls = {c.op.name: c for c in optimize(graph, get_backend("native").target).check().calls}
    gradient = next(n for n in calls if n in ("lstm_grad", "gru_grad", "rnn_grad"))
    forward = gradient.removesuffix("_grad")
    kept = get_backend("native").target.keeps(plain[forward])
    assert calls[forward].outs[-1].spec == calls[forward].params["keep"] == kept
    given = calls[forward].outs[1:]
    assert calls[gradient].args[-len(given) :] == given
    for n in (forward, gradient):  # what the work is does not depend on who does it
        assert call_flops(calls[n]) == call_flops(plain[n])
    assert call_flops(plain[gradient]) > 1.5 * call_flops(plain[forward])


@pytest.mark.parametrize("name", OPS)
def test_inference_keeps_nothing(name):
    graph = mlkit.function(OPS[name][0]).graph(*arguments(name))
    (call,) = optimize(graph, get_backend("native").target).calls
    assert "keep" not in call.params
