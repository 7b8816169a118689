"""Residual blocks on a GPU that is not there: normalization, sum and relu are one call each way, and compute what the CPU does."""

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops

pytestmark = pytest.mark.usefixtures("all_passes")
X, Y = (np.random.default_rng(s).normal(size=(8, 5, 5, 4)).astype("float32") for s in (0, 1))


def plain(h):
    return layers.ReLU()(layers.Add()([h, layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(h))]))


def projected(h):
    """The other summand is normalized too, and computed later."""
    first = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(h))
    return layers.ReLU()(layers.Add()([first, layers.BatchNormalization()(layers.Conv2D(4, 1)(h))]))


def without_scale(h):
    norm = layers.BatchNormalization(center=False, scale=False)
    return layers.ReLU()(layers.Add()([norm(layers.Conv2D(4, 3, padding="same")(h)), h]))


def twice(h):
    return plain(plain(h))


def needed_between(h):
    """What relu is given is used by others: nothing is fused."""
    total = layers.Add()([h, layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(h))])
    return layers.Add()([layers.ReLU()(total), total])


def repeated(h):
    """The other summand has another shape: nothing is fused."""
    norm = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(h))
    return layers.ReLU()(norm + ops.mean(h, axis=(1, 2), keepdims=True))


BLOCKS = {plain: 1, projected: 1, without_scale: 1, twice: 2, needed_between: 0, repeated: 0}


def trained(block, backend, use, policy, monkeypatch):
    """(results of training, ops of the step)"""
    use(backend)
    mlkit.config.set_dtype_policy(policy)
    mlkit.utils.set_random_seed(0)
    plans, compile = [], backend.compile
    monkeypatch.setattr(backend, "compile", lambda *args, **kwargs: plans.append(compile(*args, **kwargs)) or plans[-1])
    inputs = mlkit.Input((5, 5, 4))
    model = mlkit.Model(inputs, layers.Conv2D(4, 1)(block(inputs)))
    model.compile("sgd", "mse")
    losses = [float(model.train_on_batch(X, Y)) for _ in range(3)]
    names = [c.op.name for c in max((p.plan for p in plans), key=lambda plan: len(plan.graph.calls)).graph.calls]
    return losses, [w.numpy() for w in model.weights], names


@pytest.mark.parametrize("policy, tolerance", [("float32", 1e-4), ("mixed_bfloat16", 3e-2)])
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.__name__)
def test_a_block(block, policy, tolerance, gpu, reference, use, monkeypatch):
    wanted, weights, names = trained(block, reference, use, policy, monkeypatch)
    assert "batch_norm_add_relu" not in names  # the CPU has no kernel for it
    losses, found, names = trained(block, gpu, use, policy, monkeypatch)
    count = BLOCKS[block]
    assert names.count("batch_norm_add_relu") == names.count("batch_norm_add_relu_grad") == count
    np.testing.assert_allclose(losses, wanted, rtol=tolerance)
    for a, b in zip(found, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
