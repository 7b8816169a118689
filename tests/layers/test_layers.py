"""Each row of the table of layers: its own consistency, and Keras's numbers, config and weight paths."""

import dataclasses

import keras
import numpy as np
import pytest

import mlkit
from tests.layers.check_layer import arrays, as_data, call, check_layer, check_precision, flat, make, set_equal_weights
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
    assert [(w.path, w.shape) for w in ours.weights] == [(w.path, tuple(w.shape)) for w in theirs.weights]
    assert [(w.name, w.shape) for w in ours.variables] == [(w.name, tuple(w.shape)) for w in theirs.variables]
    assert ours.count_params() == theirs.count_params()
    assert ours.supports_masking == theirs.supports_masking
    set_equal_weights(ours, theirs)
    for y, z in zip(flat(call(sample, ours, inputs)), _flat(call(sample, theirs, inputs)), strict=True):
        np.testing.assert_allclose(y, z, atol=sample.atol, rtol=1e-5)
        assert y.dtype == z.dtype
    _check_training_call(sample, ours, theirs, inputs)
    _check_config(ours, theirs)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_subclass_that_writes_its_own_config(sample):
    """`super().get_config()` holds what the base's constructor takes, and nothing of the subclass's."""
    layer = make(sample, mlkit.layers)

    class Mine(type(layer)):
        def __init__(self, *args, helper=None, **kwargs):
            super().__init__(*args, **kwargs)
            self.helper = helper

        def get_config(self):
            return super().get_config()

    args, kwargs = layer._init_call
    mine = Mine(*args, helper=object(), **{**kwargs, "name": layer.name})
    assert as_data(mine.get_config()) == as_data(layer.get_config())


def _check_training_call(sample, ours, theirs, inputs):
    """Outputs, losses and updated weights of a call in training mode."""
    if sample.random or "training" not in mlkit.layers.call_info.call_info(type(ours)).names:
        return
    mine, judge = call(sample, ours, inputs, training=True), call(sample, theirs, inputs, training=True)
    for y, z in zip(flat(mine) + ours.get_weights(), _flat(judge) + theirs.get_weights(), strict=True):
        np.testing.assert_allclose(y, z, atol=sample.atol, rtol=1e-5)
    np.testing.assert_allclose(float(sum(ours.losses)), float(sum(theirs.losses)), rtol=1e-5)


def _check_config(ours, theirs):
    """Equal configs, but for what Keras forgets."""
    mine, judge = as_data(ours.get_config()), as_data(theirs.get_config())
    forgotten = FORGOTTEN.get(type(ours).__name__, ())
    assert mine == {**judge, **{k: mine[k] for k in forgotten}}


FORGOTTEN = {"RandomGrayscale": ("seed",), "SimpleRNN": ("seed", "activity_regularizer")}


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
@pytest.mark.parametrize("option", [{"activity_regularizer": "l2"}, {"trainable": False}, {"dtype": "float16"}], ids=str)
def test_what_all_layers_take_is_in_the_config(sample, option):
    sample = dataclasses.replace(sample, options={**sample.options, **option})
    try:
        theirs = make(sample, keras.layers)
    except TypeError:  # some have no such argument
        with pytest.raises(TypeError):
            make(sample, mlkit.layers)
    else:
        _check_config(make(sample, mlkit.layers), theirs)


@pytest.mark.parametrize(
    "make",
    [
        lambda L: L.RNN([L.GRUCell(2, name="one"), L.GRUCell(2, name="two")], name="outer"),
        lambda L: L.Bidirectional(L.RNN([L.LSTMCell(2, name="one"), L.LSTMCell(2, name="two")], name="inner"), name="outer"),
        lambda L: L.TimeDistributed(L.TimeDistributed(L.Dense(2, name="inner"), name="middle"), name="outer"),
        lambda L: L.StackedRNNCells([L.SimpleRNNCell(2, name="one")], name="outer"),
        lambda L: L.Bidirectional(L.GRU(2, name="inner"), name="outer"),
    ],
)
def test_paths_of_layers_within_layers(make):
    paths = []
    for library in (mlkit, keras):
        library.utils.clear_session()
        layer = make(library.layers)
        layer.build(
            (None, 2)
            if "Cells" in type(layer).__name__
            else (None, 4, 3, 2)
            if "Time" in type(layer).__name__
            else (None, 3, 2)
        )
        paths.append([w.path for w in layer.weights])
    assert paths[0] == paths[1]


def _flat(outputs):
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]
