"""FeatureSpace: what Keras's makes of the same table (expected numbers are those of Keras 3.15 on TensorFlow), in every form of data."""

import json

import numpy as np
import pandas
import pytest

import mlkit as keras
from mlkit import layers
from mlkit.utils import FeatureSpace

TABLE = {
    "height": [1.7, 1.62, 1.85, 1.7, 1.93, 1.58, 1.77, 1.66],
    "age": [20.0, 31.0, 45.0, 18.0, 77.0, 52.0, 31.0, 26.0],
    "income": [0.5, 2.25, 1.75, 0.0, 3.5, 1.25, 2.25, 0.75],
    "rooms": [1, 4, 3, 1, 12, 4, 4, 1],
    "zip": [10115, 9999, 150, 10115, 28001, 9999, 150, 7],
    "city": ["Rome", "Oslo", "Bern", "Rome", "Kyiv", "Oslo", "Oslo", "Łódź"],
    "job": ["cook", "nurse", "", "smith", "cook", "pilot", "nurse", "cook"],
}
WANTED = {  # in the order of the results: features by name, then crosses by name
    "age": [-0.94733, -0.35187, 0.406, -1.0556, 2.13826, 0.78493, -0.35187, -0.62253],
    "city": [2, 1, 0, 2, 0, 1, 1, 3],
    "height": [0.4, 0.24, 0.7, 0.4, 0.86, 0.16, 0.54, 0.32],
    "income": [1, 3, 2, 0, 3, 2, 3, 1],
    "job": [6, 7, 5, 4, 6, 7, 7, 6],
    "rooms": [2, 1, 4, 2, 3, 1, 1, 2],
    "zip": [5, 0, 0, 5, 5, 0, 0, 7],
    "city_X_rooms": [11, 1, 14, 11, 12, 1, 1, 11],
    "zip_X_job": [13, 11, 18, 13, 13, 11, 11, 10],
}
SIZES = {"city": 4, "income": 4, "job": 9, "rooms": 5, "zip": 9, "city_X_rooms": 20, "zip_X_job": 20}


def space(mode="int", output_mode="dict", adapted=TABLE):
    kind = FeatureSpace
    features = {
        "height": kind.float_rescaled(scale=2.0, offset=-3.0),
        "age": "float_normalized",
        "income": kind.float_discretized(num_bins=4, output_mode=mode),
        "rooms": kind.integer_categorical(output_mode=mode),
        "zip": kind.integer_hashed(num_bins=9, output_mode=mode),
        "city": kind.string_categorical(max_tokens=4, output_mode=mode),
        "job": kind.string_hashed(num_bins=9, output_mode=mode),
    }
    crosses = [kind.cross(("city", "rooms"), 20, output_mode=mode), kind.cross(("zip", "job"), 20, output_mode=mode)]
    made = kind(features, crosses=crosses, output_mode=output_mode)
    if adapted is not None:
        made.adapt(adapted)
    return made


def vectors():
    """What "concat" gives."""
    parts = [np.eye(SIZES[n])[v] if n in SIZES else np.array(v)[:, None] for n, v in WANTED.items()]
    return np.concatenate(parts, axis=1).astype("float32")


def row(i):
    return {name: values[i] for name, values in TABLE.items()}


def test_whole_numbers_are_those_of_keras():
    found = space()(TABLE)
    assert list(found) == list(WANTED)
    for name, value in found.items():
        assert value.shape == (8, 1)
        assert ("int" in value.dtype) is (name in SIZES)
        np.testing.assert_allclose(value.numpy()[:, 0], WANTED[name], atol=1e-5)
    one = space()(row(3))
    assert {name: value.shape for name, value in one.items()} == dict.fromkeys(WANTED, (1,))
    assert one["city_X_rooms"].numpy().tolist() == [11]


def test_vectors():
    made = space("one_hot", "concat")
    np.testing.assert_allclose(made(TABLE).numpy(), vectors(), atol=1e-5)
    np.testing.assert_allclose(made(row(4)).numpy(), vectors()[4], atol=1e-5)
    as_dict = space("one_hot")(TABLE)
    np.testing.assert_allclose(np.concatenate([v.numpy() for v in as_dict.values()], axis=1), vectors(), atol=1e-5)


DATASET = keras.data.Dataset.from_tensor_slices(TABLE)
ARRAYS = {name: np.array(values) for name, values in TABLE.items()}
FORMS = {
    "lists": TABLE,
    "arrays": ARRAYS,
    "objects": {n: np.array(v, object) if isinstance(v[0], str) else np.array(v) for n, v in TABLE.items()},
    "columns": {name: values[:, None] for name, values in ARRAYS.items()},
    "dataset": DATASET,
    "batches": DATASET.batch(3),
    "list of rows": [row(i) for i in range(8)],
}


@pytest.mark.parametrize("form", FORMS)
def test_adapts_to_data_of_any_form(form):
    np.testing.assert_allclose(space("one_hot", "concat", FORMS[form])(TABLE).numpy(), vectors(), atol=1e-5)


def test_tables_of_pandas():
    table = pandas.DataFrame(TABLE).astype({"city": "category"})
    np.testing.assert_allclose(space("one_hot", "concat", table)(table).numpy(), vectors(), atol=1e-5)


def test_adapting_that_fails_leaves_nothing_half_done():
    made = space("one_hot", "concat")
    made(TABLE)
    with pytest.raises(ValueError, match="could not convert"):
        made.adapt({**TABLE, "rooms": [*range(7), 7], "income": ["much"] * 8})
    with pytest.raises(ValueError, match=r"`.adapt\(dataset\)` first"):
        made(TABLE)
    made.adapt(TABLE)
    np.testing.assert_allclose(made(TABLE).numpy(), vectors(), atol=1e-5)


def test_adapts_to_other_data_anew():
    made = space("one_hot", "concat")
    made(TABLE)
    other = {**TABLE, "rooms": [1, 2, 3, 4, 5, 6, 7, 8], "age": [value + 1 for value in TABLE["age"]]}
    made.adapt(other)
    assert made(TABLE).shape == (8, vectors().shape[1] + 4)
    np.testing.assert_array_equal(made(other).numpy(), space("one_hot", "concat", other)(other).numpy())


@pytest.mark.parametrize("form", ["arrays", "objects", "columns"])
def test_called_on_data_of_any_form(form):
    np.testing.assert_allclose(space("one_hot", "concat")(FORMS[form]).numpy(), vectors(), atol=1e-5)


def test_in_the_map_of_a_dataset():
    made = space("one_hot", "concat")
    labelled = keras.data.Dataset.from_tensor_slices((TABLE, [0, 1] * 4))
    for data in (labelled, labelled.batch(3)):
        found = list(data.map(lambda x, y: (made(x), y), num_parallel_calls=2))
        joined = np.concatenate([np.atleast_2d(x.numpy()) for x, _ in found])
        np.testing.assert_allclose(joined, vectors(), atol=1e-5)


def test_of_other_bins_and_defaults():
    made = FeatureSpace(
        {
            "age": FeatureSpace.float_discretized(num_bins=None, bin_boundaries=[30.0, 50.0]),
            "income": "float_discretized",
            "zip": "integer_hashed",
            "job": "string_hashed",
            "height": "float",
            "rooms": "integer_categorical",
            "city": "string_categorical",
        },
        crosses=[("zip", "job")],
        crossing_dim=5,
        hashing_dim=6,
        num_discretization_bins=3,
        output_mode="dict",
    )
    made.adapt(TABLE)
    sizes = {name: value.shape[1] for name, value in made(TABLE).items()}
    assert sizes == {"age": 3, "city": 6, "height": 1, "income": 3, "job": 6, "rooms": 5, "zip": 6, "zip_X_job": 5}
    assert made(TABLE)["age"].numpy().argmax(1).tolist() == [0, 1, 1, 0, 2, 2, 1, 0]
    assert set(made.preprocessors) == set(TABLE)
    assert isinstance(made.crossers["zip_X_job"], layers.HashedCrossing)


def test_layers_of_ones_own():
    words = layers.TextVectorization(output_mode="tf_idf")
    known = layers.StringLookup(vocabulary=["Oslo", "Rome"])
    made = FeatureSpace(
        {
            "text": FeatureSpace.feature("string", words, "float"),
            "city": FeatureSpace.feature("string", known, "one_hot"),
            "age": FeatureSpace.feature("float32", layers.Normalization(mean=30.0, variance=100.0), "float"),
        }
    )
    data = {"text": ["red wine", "red", "old red wine"], "city": ["Rome", "Bern", "Oslo"], "age": [30.0, 40.0, 10.0]}
    made.adapt(data)
    assert known.get_vocabulary() == ["[UNK]", "Oslo", "Rome"]
    found = made(data).numpy()
    np.testing.assert_allclose(found[:, :4], [[0, 0, 0, 1], [1, 1, 0, 0], [-2, 0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(found[:, 4:], words(np.array(data["text"])[:, None]).numpy())


def test_nothing_to_learn_needs_no_adapting():
    made = FeatureSpace({"a": "float", "b": "integer_hashed"}, hashing_dim=3)
    assert made({"a": 1, "b": 7}).shape == (4,)
    made.adapt({"a": [1.0], "b": [7]})
    assert made({"a": [1, 2], "b": [7, 8]}).shape == (2, 4)


# ---- models ----------------------------------------------------------------------------------------------------------------


def test_a_model_of_encoded_features(tmp_path):
    """Trained on prepared data, used on raw data, texts among them: the same layers in two models."""
    made = space("one_hot", "concat")
    encoded, raw = made.get_encoded_features(), made.get_inputs()
    assert encoded.shape == (None, vectors().shape[1])
    assert {name: (value.shape, value.dtype) for name, value in raw.items()} == {
        name: ((None, 1), feature.dtype) for name, feature in made.features.items()
    }
    outputs = layers.Dense(1, activation="sigmoid")(layers.Dense(4, activation="relu")(encoded))
    training, inference = keras.Model(encoded, outputs), keras.Model(raw, outputs)
    training.compile("adam", "binary_crossentropy")
    data = keras.data.Dataset.from_tensor_slices((TABLE, [0, 1] * 4)).batch(4).map(lambda x, y: (made(x), y))
    training.fit(data, epochs=2, verbose=0)
    wanted = training.predict(made(TABLE), verbose=0)
    columns = {name: np.array(values)[:, None] for name, values in TABLE.items()}
    np.testing.assert_allclose(inference.predict(columns, verbose=0), wanted, rtol=1e-5)
    inference.save(tmp_path / "model.keras")
    read = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(read.predict(columns, verbose=0), wanted, rtol=1e-5)


def test_a_model_of_raw_whole_numbers():
    """Looked up, hashed and crossed within the model's program."""
    names = ("rooms", "zip", "age", "income")
    made = FeatureSpace(
        {"rooms": "integer_categorical", "zip": "integer_hashed", "age": "float_normalized", "income": "float_discretized"},
        crosses=[("rooms", "zip"), ("rooms", "income")],
        crossing_dim=7,
        hashing_dim=3,
        num_discretization_bins=4,
    )
    rows = {name: TABLE[name] for name in names}
    made.adapt(rows)
    assert made.get_encoded_features().shape == (None, 5 + 3 + 1 + 4 + 7 + 7)
    assert made.get_encoded_features() is made.get_encoded_features()
    model = keras.Model(made.get_inputs(), made.get_encoded_features())
    arrays = {name: np.array(values)[:, None] for name, values in rows.items()}
    np.testing.assert_allclose(model.predict(arrays, verbose=0), made(rows).numpy(), rtol=1e-6)


# ---- files -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output_mode", ["dict", "concat"])
def test_saved_and_read(tmp_path, output_mode):
    made = space("one_hot", output_mode)
    wanted = made(TABLE)
    made.save(tmp_path / "space.keras")
    read = keras.models.load_model(tmp_path / "space.keras")
    assert type(read) is FeatureSpace
    assert json.dumps(read.get_config()) == json.dumps(made.get_config())
    found = read(TABLE)
    for a, b in zip(keras.tree.flatten(found), keras.tree.flatten(wanted), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    read.adapt({**TABLE, "city": list("abcdefgh")})
    assert read.preprocessors["city"].get_vocabulary() == ["[UNK]", "h", "g", "f"]


def test_not_adapted_when_it_was_saved(tmp_path):
    with pytest.warns(UserWarning, match="before it is built"):
        space(adapted=None).save(tmp_path / "space.keras")
    with pytest.raises(ValueError, match=r"`.adapt\(dataset\)` first"):
        keras.models.load_model(tmp_path / "space.keras")(TABLE)


def test_configs_name_classes_as_keras_does():
    form = keras.saving.serialize_keras_object(space())
    assert (form["module"], form["class_name"], form["registered_name"]) == ("keras.utils", "FeatureSpace", None)
    feature, cross = form["config"]["features"]["age"], form["config"]["crosses"][0]
    for part, name in ((feature, "Feature"), (cross, "Cross")):
        named = ("keras.src.layers.preprocessing.feature_space", name, name)
        assert (part["module"], part["class_name"], part["registered_name"]) == named
    again = keras.saving.deserialize_keras_object(form)
    assert keras.saving.serialize_keras_object(again) == form


# ---- mistakes --------------------------------------------------------------------------------------------------------------


def test_mistakes():
    kind = FeatureSpace
    with pytest.raises(ValueError, match="is empty"):
        kind({})
    with pytest.raises(ValueError, match="invalid feature type 'number' of 'a'"):
        kind({"a": "number"})
    with pytest.raises(ValueError, match="`output_mode` must be 'concat' or 'dict'"):
        kind({"a": "float"}, output_mode="list")
    with pytest.raises(ValueError, match=r"not in the `features` dict: \['b'\]"):
        kind({"a": "integer_hashed"}, crosses=[("a", "b")])
    with pytest.raises(ValueError, match="two features or more"):
        kind({"a": "integer_hashed"}, crosses=[("a",)])
    with pytest.raises(ValueError, match="need a `crossing_dim`"):
        kind({"a": "integer_hashed", "b": "integer_hashed"}, crosses=[("a", "b")], crossing_dim=None)
    with pytest.raises(ValueError, match="unknown `output_mode` 'float'"):
        kind.cross(("a", "b"), 3, output_mode="float")
    with pytest.raises(ValueError, match="unknown `output_mode` 'vector'"):
        kind.string_hashed(3, output_mode="vector")
    with pytest.raises(ValueError, match=r"`.adapt\(dataset\)` first; these features learn from data: \['age', 'city', "):
        space(adapted=None)(TABLE)
    with pytest.raises(ValueError, match="only be called with a dict"):
        space()([1, 2])
    with pytest.raises(ValueError, match="the data have"):
        space()({"age": 3})
    with pytest.raises(ValueError, match=r"dataset.map\(lambda x, y: x\)"):
        space(adapted=keras.data.Dataset.from_tensor_slices((TABLE, [0] * 8)))
    for wrong in (iter([row(0)]), 5):
        with pytest.raises(ValueError, match="Give a dict of arrays, or a Dataset of dicts"):
            space(adapted=wrong)
    with pytest.raises(ValueError, match="have no column 'age', only"):
        space(adapted={"height": [1.0]})
    with pytest.raises(ValueError, match="'city' has not been encoded"):
        space("int", "concat")(TABLE)
    with pytest.raises(ValueError, match="feature 'a' has output_mode='one_hot'"):
        kind({"a": kind.feature("float32", layers.Rescaling(2.0), "one_hot")})({"a": 1.0})


def test_single_values_of_several_kinds():
    """Rows one by one: long words beside short ones, whole numbers beside fractions, more rows than are collected at once."""
    words, numbers = ["longer words", "abc", "zebra", "ab"], [1.5, 2, 3, 7]
    rows = [{"word": w, "number": n} for w, n in zip(words, numbers)] * 20
    features = {"word": FeatureSpace.string_categorical(output_mode="int"), "number": "float_normalized"}
    space = FeatureSpace(features, output_mode="dict")
    space.adapt(rows)
    assert set(space.preprocessors["word"].get_vocabulary()) == {"[UNK]", *words}
    assert float(np.squeeze(space.preprocessors["number"].mean)) == pytest.approx(np.mean(numbers))
