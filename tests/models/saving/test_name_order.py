"""Layers matched by position are compared by name: files whose layers are in another order swap no weights in silence."""

import os
import warnings

import numpy as np
import pytest

import mlkit

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def chain(library, names):
    """Dense layers of equal shapes, one after the other; a name of None is automatic."""
    model = library.Sequential([library.Input((4,)), *(library.layers.Dense(4, name=n) for n in names)])
    for i, w in enumerate(model.weights):
        w.assign(np.random.default_rng(i).normal(size=w.shape).astype("float32"))
    return model


def nested(library, names, inner):
    outer = chain(library, names)
    within = [chain(library, pair) for pair in inner]
    x = library.Input((4,))
    models = [library.Model(x, m(x), name=f"part_{n}") for m, n in zip(within, names)]
    return library.Sequential([library.Input((4,)), *models, *outer.layers])


def saved(model, path):
    (model.save if path.suffixes == [".h5"] else model.save_weights)(path)
    return path


def by_name(model):
    return {layer.name: layer.get_weights() for layer in model.layers}


FILES = ["m.weights.h5", "m.h5"]


@pytest.mark.parametrize("file", FILES)
def test_the_same_names_in_another_order_are_matched_by_name(file, tmp_path):
    source = chain(keras, ["a", "b", "c"])
    model = chain(mlkit, ["b", "c", "a"])
    model.load_weights(saved(source, tmp_path / file))
    for name, weights in by_name(source).items():
        assert all(map(np.array_equal, by_name(model)[name], weights)), name


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("names", [["b", "x", "y"], ["x", "a", "y"]], ids="-".join)
def test_a_name_at_another_place_is_refused_and_nothing_changes(file, names, tmp_path):
    path = saved(chain(keras, ["a", "b", "c"]), tmp_path / file)
    model = chain(mlkit, names)
    before = model.get_weights()
    with pytest.raises(ValueError, match="at another: the layers are not in the model's order"):
        model.load_weights(path)
    assert all(map(np.array_equal, model.get_weights(), before))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("own, other", [([None] * 3, [None] * 3), (["a", None, None], ["a", None, None])])
def test_automatic_names_count_without_their_numbers(file, own, other, tmp_path):
    keras.layers.Dense(4), [mlkit.layers.Dense(4) for _ in range(5)]  # numbers go on from here
    source, model = chain(keras, other), chain(mlkit, own)
    path = saved(source, tmp_path / file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.load_weights(path)
    assert all(map(np.array_equal, model.get_weights(), source.get_weights()))


@pytest.mark.parametrize("file", FILES)
def test_new_names_are_said_in_a_warning(file, tmp_path):
    """Keras loads such files too."""
    source, model = chain(keras, ["a", "b"]), chain(mlkit, ["one", "two"])
    with pytest.warns(UserWarning, match="'a' as 'one', 'b' as 'two'"):
        model.load_weights(saved(source, tmp_path / file))
    assert all(map(np.array_equal, model.get_weights(), source.get_weights()))


def test_models_within_go_with_their_layers(tmp_path):
    source = nested(mlkit, ["x", "y"], [["a", "b"], ["c", "d"]])
    model = nested(mlkit, ["y", "x"], [["d", "c"], ["a", "b"]])
    source.save_weights(tmp_path / "m.weights.h5")
    model.load_weights(tmp_path / "m.weights.h5")
    find = {w.path.split("/")[-2] + w.name: w for w in source.weights}
    assert len(find) == len(source.weights)
    for w in model.weights:
        assert np.array_equal(w.numpy(), find[w.path.split("/")[-2] + w.name].numpy()), w.path


def test_an_optimizer_starts_afresh_where_layers_have_moved(tmp_path):
    source, model = chain(mlkit, ["a", "b"]), chain(mlkit, ["b", "a"])
    for m in (source, model):
        m.compile("adam", "mse")
        m.train_on_batch(X, X)
    source.save_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="another order in the file"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert all(map(np.array_equal, by_name(model)["a"], by_name(source)["a"]))
