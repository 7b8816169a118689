"""Each row of the table of layers: its own consistency, and Keras's numbers and config."""

import keras
import numpy as np
import pytest

import mlkit
from tests.layers.check_layer import arrays, as_data, call, check_layer, check_precision, flat, make
from tests.layers.samples import NO_ROW, SAMPLES


def test_every_layer_has_a_row():
    layers = {getattr(mlkit.layers, n) for n in mlkit.layers.__all__ if n[0].isupper()}  # aliases are one class
    tested = {getattr(mlkit.layers, s.name) for s in SAMPLES} | {getattr(mlkit.layers, n) for n in NO_ROW}
    assert layers <= tested, f"no sample for {sorted(c.__name__ for c in layers - tested)}"


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_layer(sample):
    check_layer(sample)


@pytest.mark.parametrize("policy, dtype", [("mixed_bfloat16", "bfloat16"), ("float64", "float64")])
@pytest.mark.parametrize("sample", [s for s in SAMPLES if not any(map(callable, s.options.values()))], ids=str)
def test_precision(sample, policy, dtype):
    check_precision(sample, policy, dtype)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_as_keras(sample):
    ours, theirs = make(sample, mlkit.layers), make(sample, keras.layers)
    inputs = arrays(sample)
    call(sample, ours, inputs), call(sample, theirs, inputs)
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, tuple(w.shape)) for w in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    assert ours.supports_masking == theirs.supports_masking
    _set_equal_weights(ours, theirs)
    for y, z in zip(flat(call(sample, ours, inputs)), _flat(call(sample, theirs, inputs)), strict=True):
        np.testing.assert_allclose(y, z, atol=sample.atol, rtol=1e-5)
        assert y.dtype == z.dtype
    _check_training_call(sample, ours, theirs, inputs)
    _check_config(ours, theirs)


def _set_equal_weights(ours, theirs):
    rng = np.random.default_rng(7)
    values = [rng.normal(size=w.shape) * 0.5 for w in ours.weights]
    values = [np.abs(v) + 0.5 if "variance" in w.name or "stddev" in w.name else v for v, w in zip(values, ours.weights)]
    ours.set_weights(values)
    theirs.set_weights(values)


def _check_training_call(sample, ours, theirs, inputs):
    """Outputs, losses and updated weights of a call in training mode."""
    if sample.random or "training" not in mlkit.layers.call_info.call_info(type(ours)).names:
        return
    mine, judge = call(sample, ours, inputs, training=True), call(sample, theirs, inputs, training=True)
    for y, z in zip(flat(mine) + ours.get_weights(), _flat(judge) + theirs.get_weights(), strict=True):
        np.testing.assert_allclose(y, z, atol=sample.atol, rtol=1e-5)
    np.testing.assert_allclose(float(sum(ours.losses)), float(sum(theirs.losses)), rtol=1e-5)


def _check_config(ours, theirs):
    """Equal configs, but that Keras writes some options that are None, and forgets the seed of some layers."""
    mine, judge = as_data(ours.get_config()), as_data(theirs.get_config())
    if type(ours).__name__ in ("RandomGrayscale", "SimpleRNN"):
        judge["seed"] = mine["seed"]
    missing = {k for k in judge if k not in mine and judge[k] is None}
    assert mine == {k: v for k, v in judge.items() if k not in missing}
    assert missing <= {"activity_regularizer", "quantization_config"}, missing


def _flat(outputs):
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]
