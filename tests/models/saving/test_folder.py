"""Models as folders: both ways with Keras, complete or not at all, and nothing but three plain files is read."""

import os

import numpy as np
import pytest

import mlkit
from mlkit.saving import ModelFileError

keras = pytest.importorskip("keras")
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def net(k):
    model = k.Sequential(
        [k.Input((3,)), k.layers.Dense(5, activation="tanh"), k.layers.BatchNormalization(), k.layers.Dense(2)]
    )
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0)
    return model


def test_both_ways_with_keras(tmp_path):
    ours, theirs = net(mlkit), net(keras)
    ours.save(tmp_path / "ours", zipped=False)
    assert sorted(os.listdir(tmp_path / "ours")) == ["config.json", "metadata.json", "model.weights.h5"]
    np.testing.assert_allclose(
        keras.saving.load_model(tmp_path / "ours").predict(X, verbose=0), ours.predict(X, verbose=0), rtol=1e-5, atol=1e-6
    )
    theirs.save(tmp_path / "theirs", zipped=False)
    again = mlkit.saving.load_model(tmp_path / "theirs")
    np.testing.assert_allclose(again.predict(X, verbose=0), theirs.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    assert again.optimizer.iterations.numpy() == 1


def test_a_folder_is_replaced_whole_or_left(tmp_path):
    path = tmp_path / "model"
    net(mlkit).save(path, zipped=False)
    with pytest.raises(ModelFileError, match="overwrite=False"):
        net(mlkit).save(path, zipped=False, overwrite=False)
    second = net(mlkit)
    second.save(path, zipped=False)
    np.testing.assert_array_equal(mlkit.saving.load_model(path).predict(X, verbose=0), second.predict(X, verbose=0))

    class Failing(mlkit.layers.Dense):
        def save_own_variables(self, store):
            raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        mlkit.Sequential([mlkit.Input((3,)), Failing(2)]).save(path, zipped=False)
    assert os.listdir(tmp_path) == ["model"]
    assert len(os.listdir(path)) == 3
    (path / "notes.txt").write_text("mine")
    with pytest.raises(ModelFileError, match="not the folder of a model"):
        second.save(path, zipped=False)
    assert (path / "notes.txt").read_text() == "mine"


def test_refused(tmp_path):
    model = net(mlkit)
    with pytest.raises(ValueError, match="should not end in"):
        model.save(tmp_path / "model.keras", zipped=False)
    model.save(tmp_path / "model", zipped=False)
    (tmp_path / "model" / "config.json").rename(tmp_path / "config.json")
    with pytest.raises(ModelFileError, match="missing"):
        mlkit.saving.load_model(tmp_path / "model")
    (tmp_path / "model" / "config.json").symlink_to(tmp_path / "config.json")
    with pytest.raises(ModelFileError, match="a link or device"):
        mlkit.saving.load_model(tmp_path / "model")
