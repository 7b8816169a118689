"""`verify` finds nothing wrong with a right model, and finds a planted error."""

import numpy as np
import pytest

import mlkit
from mlkit.primitives.catalogue import OPS
from tests.models.nets import NETS, data


def compiled(net):
    model = NETS[net](mlkit)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("against", ["jax", "float64", "finite_diff"])
@pytest.mark.parametrize("net", ["mlp", "batchnorm_residual", "attention"])
def test_agrees(net, against):
    model = compiled(net)
    report = mlkit.verify(model, *data(model, 4), against=against, raise_on_mismatch=True)
    assert report.ok
    assert len(report.rows) >= len(model.trainable_weights)
    assert "largest relative error" in str(report)


@pytest.mark.parametrize("against", ["jax", "finite_diff"])
def test_finds_a_wrong_gradient(against, monkeypatch):
    model = compiled("mlp")
    right = OPS["tanh"].vjp
    monkeypatch.setattr(OPS["tanh"], "vjp", lambda g, y, x: (right(g, y, x)[0] * 1.5,))
    with pytest.raises(AssertionError, match="MISMATCH"):
        mlkit.verify(model, *data(model, 4), against=against, raise_on_mismatch=True)


def test_leaves_the_model_as_it_was():
    model = compiled("batchnorm_residual")
    before = [w.copy() for w in model.get_weights()]
    mlkit.verify(model, *data(model, 4), against="float64")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
