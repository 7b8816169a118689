"""Products with activations around them in training, as cuDNN's graphs: what the pass puts together, and that it computes the same."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.backends.native.cuda.cudnn import activation
from mlkit.core import debug
from tests.cuda.cudnn_double import PlansOfDouble
from tests.cuda.test_kernels import f

FUSED = {"matmul_bias_act", "matmul_act_kept", "matmul_act_grad", "conv_bias_act", "conv_input_act_grad"}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(activation, "SMALLEST", 0)


def dense(act):
    return [mlkit.Input((6,)), layers.Dense(8, act), layers.Dense(7, act), layers.Dense(1)]


def convolutions():
    return [
        mlkit.Input((6, 6, 2)), layers.Conv2D(3, 3, activation="relu", padding="same"),
        layers.Conv2D(4, 3, activation="relu", strides=2), layers.Flatten(), layers.Dense(1),
    ]  # fmt: skip


def steps(backend, use, make, monkeypatch):
    """(losses and weights after three steps, names of the fused calls in a step)"""
    use(backend)
    programs, compile = [], backend.compile
    monkeypatch.setattr(backend, "compile", lambda *args, **kwargs: programs.append(compile(*args, **kwargs)) or programs[-1])
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential(make())
    model.compile("sgd", "mse")
    x, y = f(5, *model.input_shape[1:]), f(5, 1, seed=1)
    losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
    plan = max((p.plan for p in programs), key=lambda plan: len(plan.choices))
    names = sorted(call.op.name for call in plan.graph.calls if call.op.name in FUSED)
    return [np.array(losses), *(w.numpy() for w in model.weights)], names


CASES = {
    "relu": (lambda: dense("relu"), ["matmul_act_grad"] * 2 + ["matmul_bias_act"] * 3),
    "gelu": (lambda: dense("gelu"), ["matmul_act_grad"] * 2 + ["matmul_act_kept"] * 2 + ["matmul_bias_act"]),
    "tanh": (lambda: dense("tanh"), ["matmul_bias_act"] * 3),
    "convolutions": (convolutions, ["conv_bias_act"] * 2 + ["conv_input_act_grad", "matmul_bias_act"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_step_computes_the_same(name, gpu, reference, use, small, monkeypatch):
    make, wanted = CASES[name]
    found, fused = steps(gpu, use, make, monkeypatch)
    for a, b in zip(found, steps(reference, use, make, monkeypatch)[0]):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert fused[: len(wanted)] == wanted or sorted(fused) == sorted(
        wanted + ["matmul_act_grad"]
    )  # relu before the last product


def declining(write, values):
    return write.__name__ in ("gradient", "gradient_behind_activation", "forward_kept")


def test_without_a_plan_the_parts_stay_apart(gpu, use, small, monkeypatch):
    monkeypatch.setattr(gpu.device, "cudnn", PlansOfDouble(declining))
    assert steps(gpu, use, lambda: dense("gelu"), monkeypatch)[1] == ["matmul_bias_act"] * 3


def test_small_results_are_not_worth_compiling_for(gpu, use, monkeypatch):
    assert steps(gpu, use, lambda: dense("gelu"), monkeypatch)[1] == ["matmul_bias_act"] * 3


def test_a_product_that_is_one_launch(gpu, use, small, monkeypatch):
    from tests.cuda import fake_cupy

    use(gpu)
    monkeypatch.setattr(debug, "CAPTURE", False)
    run = mlkit.function(lambda x, w, b: ops.relu(ops.matmul(x, w) + b))
    x, w, b = map(ops.convert_to_tensor, (f(4, 5), f(5, 6, seed=1), f(6, seed=2)))
    run(x, w, b)
    fake_cupy.counts.clear()
    found = run(x, w, b)
    assert fake_cupy.counts.launches == 1
    np.testing.assert_allclose(found, np.maximum(x.numpy() @ w.numpy() + b.numpy(), 0), rtol=1e-5)
