"""Masks that ride on tensors: every layer uses them, passes them on and drops them as Keras 3.15 does."""

import keras
import numpy as np
import pytest
from keras.src.backend import get_keras_mask, set_keras_mask

import mlkit
from mlkit import layers
from tests.layers.check_layer import arrays, call, make, set_equal_weights
from tests.layers.samples import AUGMENTATION, SAMPLES


def one_of_each(rows):
    """One row of each layer class: what masks do does not hang on the other options."""
    return list({r.name: r for r in reversed(rows)}.values())


ROWS = [
    (s, which)
    for s in one_of_each([s for s in SAMPLES if s not in AUGMENTATION and (len(s.shapes[0]) == 3 or s.ints)])
    for which in (("all", "first", "last") if len(s.shapes) > 1 else ("all",))
]


def masks_for(sample, which):
    """One mask of (batch, steps) for each input, or only for the first or last one."""
    rng = np.random.default_rng(3)
    drawn = [rng.random(s[:2]) < 0.6 for s in sample.shapes]
    kept = {"all": range(len(drawn)), "first": [0], "last": [len(drawn) - 1]}[which]
    return [m if i in kept else None for i, m in enumerate(drawn)]


def masked(library, put, inputs, masks):
    tensors = [library.ops.convert_to_tensor(x) for x in inputs]
    for t, m in zip(tensors, masks):
        if m is not None:
            put(t, library.ops.convert_to_tensor(m))
    return tensors


def put(tensor, mask):
    tensor._keras_mask = mask


@pytest.mark.filterwarnings("ignore:.*mask")
@pytest.mark.parametrize("sample, which", ROWS, ids=str)
def test_masks_as_in_keras(sample, which):
    inputs, masks = arrays(sample), masks_for(sample, which)
    ours, theirs = make(sample, layers), make(sample, keras.layers)
    try:
        judged = call(sample, theirs, masked(keras, set_keras_mask, inputs, masks))
    except Exception:
        with pytest.raises((ValueError, TypeError)):
            call(sample, ours, masked(mlkit, put, inputs, masks))
        return
    call(sample, ours, inputs)
    if ours.weights:
        set_equal_weights(ours, theirs)
        judged = call(sample, theirs, masked(keras, set_keras_mask, inputs, masks))
    outputs = mlkit.tree.flatten(call(sample, ours, masked(mlkit, put, inputs, masks)))
    for y, z in zip(outputs, keras.tree.flatten(judged), strict=True):
        np.testing.assert_allclose(y.numpy(), keras.ops.convert_to_numpy(z), atol=sample.atol, rtol=1e-5)
        mine, judge = getattr(y, "_keras_mask", None), get_keras_mask(z)
        assert (mine is None) == (judge is None)
        assert mine is None or np.array_equal(mine, np.asarray(judge))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_stands_at_masked_places_does_not_matter(value):
    x, mask = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32"), np.array([[1, 1, 0, 1], [0, 1, 1, 0]], bool)
    dirty = np.where(mask[..., None], x, np.float32(value))
    clean = np.where(mask[..., None], x, np.float32(0))
    if np.isinf(value):
        y = layers.Masking(value)(dirty)
        np.testing.assert_array_equal(y, clean)
        np.testing.assert_array_equal(y._keras_mask, mask)
    for layer in (
        layers.GlobalAveragePooling1D(),
        layers.LSTM(3),
        layers.GRU(3),
        layers.SimpleRNN(3),
        layers.RNN(layers.GRUCell(3)),
    ):
        np.testing.assert_allclose(layer(dirty, mask=mask), layer(clean, mask=mask), atol=1e-6, err_msg=type(layer).__name__)
    means = []
    for x_given in (dirty, clean):
        layer = layers.BatchNormalization()
        layer(x_given, mask=mask, training=True)
        means.append(layer.get_weights()[2])
    np.testing.assert_allclose(means[0], means[1], atol=1e-6)
    for layer in (layers.Multiply(), layers.Maximum(), layers.Minimum()):
        a, b = (masked(mlkit, put, [v, x], [mask, np.ones_like(mask)]) for v in (dirty, clean))
        np.testing.assert_array_equal(layer(a), layer(b))


def test_a_layer_of_several_tensors_takes_the_masks_named_after_them():
    """As in Keras: an LSTM with `initial_state` takes none from its sequences; the mask still goes on."""
    x, state, mask = np.ones((2, 4, 3), "float32"), np.ones((2, 3), "float32"), np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)
    results = []
    for library, putting in ((keras, set_keras_mask), (mlkit, put)):
        layer = library.layers.LSTM(3, kernel_initializer="ones", recurrent_initializer="ones", return_sequences=True)
        (tensor,) = masked(library, putting, [x], [mask])
        results.append(np.asarray(layer(tensor, initial_state=[state, state])))
        results.append(np.asarray(layer(tensor)))
    np.testing.assert_allclose(results[2], results[0], atol=1e-6)
    np.testing.assert_allclose(results[3], results[1], atol=1e-6)


@pytest.mark.filterwarnings("default:Layer .flatten:UserWarning")  # both say that the mask ends there
def test_masks_of_merged_branches_in_a_model():
    """The masks that a model's own layers make, in values and compiled, as in Keras."""
    ids, results = np.array([[1, 2, 0, 0], [3, 0, 0, 0]]), []
    for library in (keras, mlkit):
        L = library.layers
        one, two = library.Input((4,), dtype="int32"), library.Input((4,), dtype="int32")
        a, b = (L.Embedding(5, 3, mask_zero=True, embeddings_initializer="ones")(i) for i in (one, two))
        outs = [L.GlobalAveragePooling1D()(m([a, b])) for m in (L.Multiply(), L.Maximum(), L.Minimum(), L.Add())]
        model = library.Model([one, two], L.Concatenate()([*outs, L.Flatten()(L.Multiply()([a, b]))]))
        results.append(model.predict([ids, ids[:, ::-1]], verbose=0))
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)
