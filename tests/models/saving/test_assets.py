"""Files that layers write beside their variables."""

import os
import zipfile

import keras
import numpy as np
import pytest

import mlkit
from mlkit.saving import ModelFileError


def library_layer(k, package):
    @k.saving.register_keras_serializable(package)
    class WithText(k.layers.Layer):
        def __init__(self, text=None, **kwargs):
            super().__init__(**kwargs)
            self.text = text

        def call(self, x):
            return x

        def save_assets(self, folder):
            os.makedirs(os.path.join(folder, "more"))
            for name in ("text.txt", os.path.join("more", "again.txt")):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(self.text)

        def load_assets(self, folder):
            read = []
            for name in ("text.txt", os.path.join("more", "again.txt")):
                with open(os.path.join(folder, name)) as file:
                    read.append(file.read())
            self.text, self.folder = "|".join(read), folder

    return WithText


OURS, THEIRS = library_layer(mlkit, "assets"), library_layer(keras, "assets")


def model_of(k, layer):
    outer = k.Sequential([k.Input((2,)), layer(text="inner", name="inner")], name="nested")
    x = k.Input((2,))
    return k.Model(x, layer(text="outer", name="outer")(outer(x)))


def texts(model):
    return model.get_layer("nested").get_layer("inner").text, model.get_layer("outer").text


@pytest.mark.parametrize("writer, reader", [(mlkit, mlkit), (keras, mlkit), (mlkit, keras)])
def test_assets_go_both_ways(writer, reader, tmp_path):
    model_of(writer, OURS if writer is mlkit else THEIRS).save(tmp_path / "m.keras")
    again = reader.saving.load_model(tmp_path / "m.keras")
    assert texts(again) == ("inner|inner", "outer|outer")
    if reader is mlkit:
        assert not os.path.exists(again.get_layer("outer").folder)  # the files lasted no longer than the call


def test_assets_in_a_folder(tmp_path):
    for _ in range(2):  # the second time it is replaced
        model_of(mlkit, OURS).save(tmp_path / "model", zipped=False)
    assert texts(mlkit.saving.load_model(tmp_path / "model")) == ("inner|inner", "outer|outer")
    (tmp_path / "model" / "assets" / "link").symlink_to(tmp_path)
    with pytest.raises(ModelFileError, match="link"):
        mlkit.saving.load_model(tmp_path / "model")


def test_weights_files_hold_no_assets(tmp_path):
    model = model_of(mlkit, OURS)
    model.save_weights(tmp_path / "m.weights.h5")
    model.load_weights(tmp_path / "m.weights.h5")
    assert texts(model) == ("inner", "outer")


@pytest.mark.parametrize(
    "name, words",
    [
        ("assets/layers/nobody/text.txt", "no load_assets"),
        ("assets/../../text.txt", "not allowed"),
        ("assets/layers/with_text/../../../x", "not allowed"),
    ],
)
def test_assets_that_nobody_asks_for(name, words, tmp_path):
    model_of(mlkit, OURS).save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.writestr(name, "text")
    with pytest.raises(ModelFileError, match=words):
        mlkit.saving.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup"])
def test_vocabularies_as_keras_writes_them(kind, tmp_path):
    """Keras puts the vocabulary of an adapted layer beside the variables; the file is made here, as Keras needs TensorFlow for it."""
    tokens = ["wine", "bread"] if kind == "StringLookup" else [7, 9]
    layer = getattr(mlkit.layers, kind)()
    (tmp_path / "vocabulary.txt").write_text("\n".join(map(str, layer.get_vocabulary() + tokens)))
    layer.load_assets(str(tmp_path))
    assert layer.get_vocabulary() == getattr(mlkit.layers, kind)(vocabulary=tokens).get_vocabulary()
    before = layer.get_vocabulary()
    (tmp_path / "vocabulary.txt").write_text("other")
    layer.load_assets(str(tmp_path))  # one that has a vocabulary, from its config, keeps it
    assert layer.get_vocabulary() == before


def test_serialize_and_deserialize_layers():
    for k in (keras, mlkit):
        config = k.layers.serialize(k.layers.Dense(3, activation="relu"))
        assert k.layers.deserialize(config).units == 3
        with pytest.raises(ValueError):
            k.layers.deserialize(k.saving.serialize_keras_object(k.regularizers.L2(0.5)))
    assert np.isclose(mlkit.layers.deserialize({"class_name": "Dropout", "config": {"rate": 0.25}}).rate, 0.25)
