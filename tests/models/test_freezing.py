"""Frozen layers: no gradients, no statistics, no noise, from the next step on; and what the summary says of it."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

X = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
Y = np.arange(16) % 2


def base():
    return mlkit.Sequential(
        [mlkit.Input((6,)), layers.Dense(8, name="d1"), layers.BatchNormalization(name="bn"), layers.Dropout(0.5, name="drop")],
        name="base",
    )


def net(rate=0.1, **options):
    mlkit.utils.set_random_seed(1)
    inputs = mlkit.Input((6,))
    x = layers.Dense(2, activation="softmax", name="head")(base()(inputs))
    model = mlkit.Model(inputs, x)
    model.compile(mlkit.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", **options)
    return model


def values(model):
    return {v.path: v.numpy().copy() for v in model.weights}


def changed(model, before):
    return {path.split("/", 1)[-1] for path, value in values(model).items() if not np.array_equal(before[path], value)}


ALL = {"d1/kernel", "d1/bias", "bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance", "kernel", "bias"}


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_gradients_statistics_and_dropout_stop_without_compile(run_eagerly):
    model = net(run_eagerly=run_eagerly)
    before = values(model)
    model.fit(X, Y, verbose=0)
    assert changed(model, before) >= ALL - {"d1/bias"}, "the batch's mean takes the bias away"
    model.freeze(until="head")
    before = values(model)
    model.fit(X, Y, verbose=0)
    assert changed(model, before) == {"kernel", "bias"}
    model.unfreeze()
    before = values(model)
    model.fit(X, Y, verbose=0)
    assert changed(model, before) >= ALL - {"d1/bias"}


def test_a_frozen_layer_is_quiet_whatever_the_caller_says():
    model = net()
    model.freeze()
    assert np.array_equal(model(X, training=True), model(X, training=False))
    assert not model.trainable
    nested = model.get_layer("base")
    assert np.array_equal(nested(X, True), nested(X, False)), "training given by position"
    nested.get_layer("drop").trainable = True  # thaws this one
    assert not np.array_equal(nested.get_layer("drop")(X, training=True), X)


def test_the_compiled_step_follows_though_trainable_stays_as_it_was():
    model = net(rate=0.0)
    model.get_layer("base").trainable = False
    model.fit(X, Y, verbose=0)
    assert model.train_on_batch(X, Y) != pytest.approx(model.test_on_batch(X, Y), abs=1e-6), "Dropout is on, as in Keras"
    model.freeze(until="head")
    assert model.train_on_batch(X, Y) == pytest.approx(model.test_on_batch(X, Y), abs=1e-6)


def test_places():
    model = net()
    for until, trainable in {
        "head": ["head"],
        "base/bn": ["bn", "head"],
        "b*n": ["bn", "head"],
        "base": ["d1", "bn", "head"],
        -1: ["head"],
        1: ["d1", "bn", "head"],
    }.items():
        model.unfreeze()
        model.freeze(until=until)
        found = list(dict.fromkeys(v.path.split("/")[-2] for v in model.trainable_variables))
        assert found == trainable, until
    model.freeze()
    model.unfreeze(since=model.get_layer("base").get_layer("bn"))
    assert len(model.trainable_variables) == 4
    assert model.get_layer("base").trainable
    model.freeze()
    model.unfreeze(batch_norm=False)
    assert not model.get_layer("base").get_layer("bn").trainable
    assert len(model.trainable_variables) == 4
    with pytest.raises(ValueError, match="no layer 'heed'.*head"):
        model.freeze(until="heed")
    with pytest.raises(ValueError, match="not one of"):
        model.freeze(until=layers.Dense(1))


def test_augmentation_goes_on():
    model = mlkit.Sequential([mlkit.Input((4, 4, 3)), layers.RandomFlip(), layers.Conv2D(2, 1), layers.Flatten()])
    model.freeze()
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype("float32")
    assert not model.trainable_variables
    assert not np.array_equal(model(x, training=True), model(x, training=False))


def test_summary_shows_it():
    model = net()
    lines = []
    model.summary(print_fn=lines.append)
    assert "Trainable  " not in lines[0]
    model.freeze(until="bn")
    model.summary(print_fn=lines.append, expand_nested=True)
    words = {line.split()[0]: line.split()[-1] for line in lines[1].splitlines() if line.split()}
    assert (words["d1"], words["bn"], words["drop"], words["base"]) == ("frozen", "Y", "-", "partly")
    assert ">partly<" in model._repr_html_()
    assert "Trainable params: 34" in lines[1]


def test_the_optimizer_takes_in_what_is_thawed_and_files_hold_it(tmp_path):
    model = net()
    model.freeze(until="head")
    model.fit(X, Y, verbose=0)
    assert len(model.optimizer.variables) == 4
    model.save(tmp_path / "m.keras")
    again = mlkit.models.load_model(tmp_path / "m.keras")
    assert len(again.trainable_variables) == 2
    model.unfreeze()
    model.fit(X, Y, verbose=0)
    assert len(model.optimizer.variables) == 8
