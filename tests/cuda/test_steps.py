"""Training steps of the networks that are measured, on a GPU that is not there: as on the CPU, without a wait, with few launches."""

import collections
import datetime
import pathlib
import re
import sys

import numpy as np
import pytest

import mlkit
from mlkit.core import debug
from tests.cuda import fake_cupy

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))
import workloads  # benchmarks is no package

sys.path.pop(0)

CALLS = {"mlp": 50, "convnet": 52, "lstm": 32, "cifar_resnet": 220, "transformer": 250}  # of a plan that start kernels, at most
# Kernels that `train_on_batch` starts today in either policy, among them up to four that set metrics back; a call of cuDNN's is one.
LAUNCHES = {
    "float32": {"mlp": 38, "convnet": 39, "lstm": 28, "cifar_resnet": 181, "transformer": 238},
    "mixed_bfloat16": {"mlp": 39, "convnet": 40, "lstm": 33, "cifar_resnet": 184, "transformer": 211},
}
READS = re.compile(r"(get|bool) at .*cuda/(backend|doubts)\.py:\d+")  # of a result, and whether indices were in range


# Deep networks, of which each day has one: they take seconds here.
IN_TURN = ("cifar_resnet", "transformer", "finetune", "mobilenetv2")
TODAY = IN_TURN[datetime.date.today().toordinal() % len(IN_TURN)]


def first_steps(name, backend, use, count=3):
    """(losses, weights)"""
    use(backend)
    mlkit.utils.set_random_seed(0)
    model, x, y, compiled = getattr(workloads, name)(mlkit)
    x, y = x[:2], y[:2]
    model.compile(**compiled)
    losses = []
    for _ in range(count):
        fake_cupy.counts.clear()
        losses.append(model.train_on_batch(x, y, return_dict=True)["loss"])
    return losses, [w.numpy() for w in model.weights]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["mlp", "convnet", "lstm"])
def test_as_on_the_cpu(name, policy, gpu, reference, use):
    mlkit.config.set_dtype_policy(policy)
    wanted, weights = first_steps(name, reference, use)
    losses, found = first_steps(name, gpu, use)
    tolerance = 1e-5 if policy == "float32" else 2e-2
    np.testing.assert_allclose(losses, wanted, rtol=tolerance)
    for a, b in zip(found, weights):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("policy", ["float64", "float32", "mixed_bfloat16"])
def test_a_deep_network_as_on_the_cpu(policy, gpu, reference, use):
    """Where statistics are those of two images, what single precision rounds grows: double is compared after a step too."""
    mlkit.config.set_dtype_policy(policy)
    count = 2 if policy == "float64" else 1
    wanted, weights = first_steps(TODAY, reference, use, count)
    losses, found = first_steps(TODAY, gpu, use, count)
    if policy == "float64":
        np.testing.assert_allclose(losses, wanted, rtol=1e-9)
        for a, b in zip(found, weights):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)
    else:
        assert losses == pytest.approx(wanted, rel=1e-5 if policy == "float32" else 2e-2)
        assert all(np.isfinite(w).all() for w in found)


@pytest.mark.parametrize("policy", LAUNCHES)
@pytest.mark.parametrize("name", CALLS)
def test_a_step_waits_for_nothing_but_what_is_read(name, policy, gpu, use, monkeypatch):
    mlkit.config.set_dtype_policy(policy)
    programs, compile = [], gpu.compile
    monkeypatch.setattr(debug, "CAPTURE", False)  # or the launches were those of a graph
    monkeypatch.setattr(gpu, "compile", lambda *args, **kwargs: programs.append(compile(*args, **kwargs)) or programs[-1])
    first_steps(name, gpu, use)
    assert [w for w in fake_cupy.counts.waits if not READS.match(w)] == []
    assert fake_cupy.counts.uploads == 2  # the batch
    plan = max((p.plan for p in programs), key=lambda plan: len(plan.choices))
    launching = [call.op.name for call in plan.graph.calls if not plan.is_view(call)]
    assert len(launching) <= CALLS[name], collections.Counter(launching)
    assert fake_cupy.counts.launches <= LAUNCHES[policy][name]


def test_a_step_of_resnet50_is_as_few_calls(gpu, use, monkeypatch):
    """It is planned, not run: that would take a minute here."""

    class Planned(Exception):
        pass

    plans, compile = [], gpu.compile

    def plan_only(graph, *args, **kwargs):
        program = compile(graph, *args, **kwargs)
        if len(graph.calls) > 300:
            plans.append(program.plan)
            raise Planned
        return program

    use(gpu)
    model, x, y, compiled = workloads.resnet50(mlkit)
    model.compile(**compiled)
    monkeypatch.setattr(gpu, "compile", plan_only)
    with pytest.raises(Planned):
        model.train_on_batch(x[:1], y[:1])
    (plan,) = plans
    launching = [call.op.name for call in plan.graph.calls if not plan.is_view(call)]
    assert len(launching) <= 650, collections.Counter(launching)
