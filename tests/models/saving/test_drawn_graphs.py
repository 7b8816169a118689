"""Drawn functional models are the same models in Keras: layers and weights in the same order under the same paths, and files
of all kinds go both ways with equal predictions. Layers have weights of equal shapes, so a wrong order would swap them in
silence."""

import logging
import os

import numpy as np
import pytest

import mlkit
from tests.models.saving.drawn_graphs import draw

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")


def both(seed):
    """The model of a seed in mlkit and in Keras."""
    for library in (mlkit, keras):
        library.utils.clear_session(free_memory=False)
        yield draw(library, seed)


def weights_for(model, seed):
    """Weights that no initializer makes, all different."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0.2, 0.5, w.shape).astype("float32") for w in model.weights]


def inputs_for(model, seed):
    """An array for each input; some steps are 0, which Masking and Embedding leave out."""
    rng = np.random.default_rng(seed)
    made = []
    for t in model.inputs:
        shape = (3, *t.shape[1:])
        if t.dtype == "int32":
            made.append(rng.integers(0, 5, shape).astype("int32"))
        else:
            made.append(rng.normal(size=shape).astype("float32") * (rng.random((*shape[:2], 1)) > 0.3))
    return [x.astype(t.dtype) for x, t in zip(made, model.inputs)]


def outputs(model, inputs):
    found = model(inputs)
    return [np.asarray(y) for y in (found if isinstance(found, list) else [found])]


def check(model, inputs, expected, what):
    for y, z in zip(outputs(model, inputs), expected, strict=True):
        np.testing.assert_allclose(y, z, rtol=2e-4, atol=2e-5, err_msg=what)


def check_model(seed, folder, predict):
    """Everything that must hold between the two libraries' models of a seed; predictions of Keras only if `predict`, for they
    take longer than all the rest."""
    ours, theirs = both(seed)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    x = inputs_for(ours, seed)

    first = weights_for(ours, seed)
    ours.set_weights(first)
    theirs.set_weights(first)
    expected = outputs(ours, x)
    if predict:
        check(theirs, x, expected, "the same weights")
    theirs.save(folder / "theirs.keras")
    theirs.save_weights(folder / "theirs.weights.h5")
    theirs.save(folder / "theirs.h5")
    check(mlkit.saving.load_model(folder / "theirs.keras"), x, expected, "Keras's .keras")
    for name in ("theirs.weights.h5", "theirs.h5"):
        ours.set_weights(weights_for(ours, seed + 1))
        ours.load_weights(folder / name)
        assert all(map(np.array_equal, ours.get_weights(), first)), name

    second = weights_for(ours, seed + 2)
    ours.set_weights(second)
    ours.save(folder / "ours.keras")
    ours.save_weights(folder / "ours.weights.h5")
    theirs.load_weights(folder / "ours.weights.h5")
    assert all(map(np.array_equal, theirs.get_weights(), second)), "mlkit's .weights.h5 in Keras"
    again = keras.saving.load_model(folder / "ours.keras")
    assert all(map(np.array_equal, again.get_weights(), second)), "mlkit's .keras in Keras"
    if predict:
        check(again, x, outputs(ours, x), "mlkit's .keras in Keras")


@pytest.mark.filterwarnings("ignore")  # layers without masks lose them on purpose
@pytest.mark.parametrize("seeds", [range(24), pytest.param(range(24, 100), marks=pytest.mark.slow)], ids=["few", "more"])
def test_drawn_models_are_those_of_keras(seeds, tmp_path, caplog):
    caplog.set_level(logging.ERROR, logger="absl")  # Keras warns of each older file it writes
    for seed in seeds:
        try:
            check_model(seed, tmp_path, predict=seed % 4 == 0)
        except Exception as error:
            raise AssertionError(f"the model of seed {seed}: {error}") from error
