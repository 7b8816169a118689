"""Each layer through each kind of file, from mlkit to Keras and back: the reader predicts what the writer did."""

import contextlib
import warnings

import keras
import numpy as np
import pytest

import mlkit
from tests.layers import samples
from tests.layers.check_layer import arrays, call, flat, make, set_equal_weights
from tests.layers.samples import S

ENDINGS = (".keras", ".weights.h5", ".h5")

# beside the rows of tests/layers/samples.py: layers over cells. (Keras's layers of categories ask for TensorFlow.)
CELLS = [
    S("RNN", samples.SEQ, cell=lambda layers: [layers.SimpleRNNCell(3), layers.GRUCell(2)]),
    S("RNN", samples.SEQ, cell=lambda layers: layers.StackedRNNCells([layers.LSTMCell(3), layers.LSTMCell(2)])),
]
ROWS = [*samples.SAMPLES, *CELLS]
QUICK = {"Dense", "Conv2D", "BatchNormalization", "GRU", "Concatenate", "RandomZoom", "Attention"}  # the others are marked slow
KERAS_FAILS = {  # layer -> the endings of files in which Keras 3.15 does not read what it has written itself
    "RandomShear": (".keras", ".h5"),  # it writes a factor f as (-f, f), which it refuses
    "Equalization": ENDINGS,  # a model of it has a circle: symbolic inputs come back as outputs
    **dict.fromkeys(
        "RandomBrightness RandomColorDegeneration RandomSaturation RandomPosterization RandomSharpness Solarization".split(),
        (".h5",),  # "cannot pickle 'module' object": it copies the layer, which holds modules
    ),
}


def model(sample, library):
    inputs = [library.Input(x.shape[1:], dtype=x.dtype.name) for x in arrays(sample)]
    return library.Model(inputs, call(sample, make(sample, library.layers), inputs))


@contextlib.contextmanager
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def through(writer, reader, ending, folder, new):
    """What `reader` has of the model of `writer`; `new()` makes one of other weights to read weights into."""
    path = folder / f"m{ending}"
    if ending == ".weights.h5":
        writer.save_weights(path)
        again = new()
        again.load_weights(path)
        return again
    writer.save(path)
    return reader.saving.load_model(path)


def rows(chosen):
    """Those rows as parameters, marked slow but for the first of each quick layer."""
    left = set(QUICK)
    for sample in filter(chosen, ROWS):
        yield pytest.param(sample, id=str(sample), marks=[] if sample.name in left else [pytest.mark.slow])
        left.discard(sample.name)


def check_outputs(sample, model, inputs, wanted, message=""):
    for a, b in zip(flat(model(inputs)), wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=max(sample.atol, 1e-4), rtol=1e-4, err_msg=message)


@pytest.mark.parametrize("sample", list(rows(lambda sample: KERAS_FAILS.get(sample.name) != ENDINGS)))
def test_files_go_both_ways(sample, tmp_path):
    with quiet():
        ours, theirs = (model(sample, k) for k in (mlkit, keras))
        set_equal_weights(ours, theirs)
        inputs = arrays(sample)
        wanted = flat(ours(inputs))
        check_outputs(sample, theirs, inputs, wanted)
        for ending in ENDINGS:
            ways = ((ours, keras), (theirs, mlkit), (ours, mlkit))
            for writer, reader in ways[2:] if ending in KERAS_FAILS.get(sample.name, ()) else ways:
                again = through(writer, reader, ending, tmp_path, lambda k=reader: model(sample, k))
                check_outputs(sample, again, inputs, wanted, f"{ending} read by {reader.__name__}")
                assert [w.shape for w in again.weights] == [w.shape for w in writer.weights]


@pytest.mark.parametrize("sample", list(rows(lambda sample: sample.name in KERAS_FAILS)))
def test_keras_fails_with_itself(sample, tmp_path):
    """Else the row goes both ways; to mlkit it does."""
    with quiet():
        ours, inputs = model(sample, mlkit), arrays(sample)
        for ending in KERAS_FAILS[sample.name]:
            with pytest.raises((TypeError, ValueError)):
                through(theirs := model(sample, keras), keras, ending, tmp_path, lambda: theirs)
            again = through(ours, mlkit, ending, tmp_path, lambda: model(sample, mlkit))
            check_outputs(sample, again, inputs, flat(ours(inputs)))
