"""Training steps of the networks that are measured, on a GPU that is not there: as on the CPU, without a wait, with few launches."""

import pathlib
import sys

import numpy as np
import pytest

import mlkit
from tests.cuda import fake_cupy

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benchmarks"))
import workloads  # noqa: E402  # benchmarks is no package

sys.path.pop(0)


def three_steps(name, backend, use):
    """(losses, weights, what the last step asked of the device)"""
    use(backend)
    mlkit.utils.set_random_seed(0)
    model, x, y, compiled = getattr(workloads, name)(mlkit)
    x, y = x[:2], y[:2]
    model.compile(**compiled)
    losses = []
    for _ in range(3):
        fake_cupy.counts.clear()
        losses.append(model.train_on_batch(x, y, return_dict=True)["loss"])
    return losses, [w.numpy() for w in model.weights]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["mlp", "convnet", "lstm"])
def test_as_on_the_cpu(name, policy, gpu, reference, use):
    mlkit.config.set_dtype_policy(policy)
    wanted, weights = three_steps(name, reference, use)
    losses, found = three_steps(name, gpu, use)
    tolerance = 1e-5 if policy == "float32" else 2e-2
    np.testing.assert_allclose(losses, wanted, rtol=tolerance)
    for a, b in zip(found, weights):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_a_step_waits_for_nothing_but_what_is_read(name, gpu, use):
    three_steps(name, gpu, use)
    assert [w for w in fake_cupy.counts.waits if not w.startswith("get at")] == []
    assert fake_cupy.counts.uploads == 2  # the batch
