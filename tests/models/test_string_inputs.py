"""Models that begin with strings: what looks at them runs on the host, on each batch, and all the rest in the program."""

import copy
import pickle

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.data import Dataset

TEXTS = ["good film", "bad film", "great great", "awful thing"] * 4
CITIES = ["rome", "vienna", "ulm", "rome"] * 4
Y = np.array([1, 0, 1, 0] * 4, "float32")


def vectorizer(**options):
    return layers.TextVectorization(vocabulary=["good", "bad", "great", "awful", "film", "thing"], **options)


def classifier(sequential=False, with_input=True):
    mlkit.utils.set_random_seed(0)
    stack = [
        vectorizer(output_sequence_length=3), layers.Embedding(8, 4), layers.GlobalAveragePooling1D(),
        layers.Dense(1, activation="sigmoid"),
    ]  # fmt: skip
    text = mlkit.Input((), dtype="string")
    if sequential:
        model = mlkit.Sequential([text, *stack] if with_input else stack)
    else:
        x = text
        for layer in stack:
            x = layer(x)
        model = mlkit.Model(text, x)
    model.compile(mlkit.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def trained():
    model = classifier()
    model.fit(np.array(TEXTS), Y, batch_size=4, epochs=10, verbose=0)
    return model


def features():
    """A model of texts, categories and numbers."""
    text, city = (mlkit.Input((1,), dtype="string", name=name) for name in ("text", "city"))
    size, code = mlkit.Input((3,), name="size"), mlkit.Input((1,), dtype="int64", name="code")
    parts = [
        layers.GlobalAveragePooling1D()(layers.Embedding(8, 4)(vectorizer()(text))),
        layers.StringLookup(vocabulary=["rome", "vienna"], output_mode="one_hot")(city),
        layers.CategoryEncoding(8, "one_hot")(layers.Hashing(8)(city)),
        layers.IntegerLookup(vocabulary=[5, 7], output_mode="one_hot")(code),
        layers.HashedCrossing(6, output_mode="one_hot")((city, code)),
        size,
    ]
    inputs = {"text": text, "city": city, "size": size, "code": code}
    return mlkit.Model(inputs, layers.Concatenate()([ops.cast(p, "float32") for p in parts]), name="features")


DATA = {
    "text": np.array(TEXTS), "city": np.array(CITIES),
    "size": np.random.default_rng(0).normal(size=(16, 3)).astype("float32"), "code": np.array([5, 7, 9, 5] * 4),
}  # fmt: skip


@pytest.mark.parametrize("with_input", [None, True, False], ids=["functional", "sequential", "sequential_without_input"])
def test_fit_on_raw_text(with_input):
    model = classifier() if with_input is None else classifier(True, with_input)
    history = model.fit(TEXTS, Y, batch_size=4, epochs=10, verbose=0, validation_split=0.25)
    assert history.history["val_accuracy"][-1] == 1.0
    assert (model.input_shape, model.inputs[0].dtype) == ((None,), "string")


@pytest.mark.compiled("it counts programs")
def test_no_program_sees_a_string():
    model = classifier()
    for texts in (TEXTS, [f"{t} and more" for t in TEXTS]):
        model.fit(texts, Y, batch_size=4, verbose=0)
    assert model._traces == 1


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {}], ids=str)
def test_what_texts_become_is_what_numbers_give(options):
    model = classifier()
    numbers = vectorizer(output_sequence_length=3)(TEXTS).numpy()
    behind = mlkit.Model(model.layers[1].output, model.output)
    start = model.get_weights()
    for m, x in ((model, np.array(TEXTS)), (behind, numbers)):
        m.set_weights(start)
        m.compile(mlkit.optimizers.Adam(0.1), "binary_crossentropy", **options)
        m.losses_seen = m.fit(x, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert model.losses_seen == behind.losses_seen


def test_all_kinds_of_strings(trained):
    expected = trained.predict(np.array(TEXTS), verbose=0)
    assert list(expected[:4, 0] > 0.5) == [True, False, True, False]
    as_bytes = [t.encode() for t in TEXTS]
    for x in (TEXTS, np.array(TEXTS, object), np.array(as_bytes), np.array(as_bytes, object), np.array(TEXTS)[:, None]):
        np.testing.assert_array_equal(trained.predict(x, verbose=0), expected)
    for x in (TEXTS, np.array(TEXTS), Dataset.from_tensor_slices(TEXTS).batch(16).as_numpy_iterator().__next__()):
        np.testing.assert_allclose(trained(x).numpy(), expected, rtol=1e-5)
    np.testing.assert_array_equal(trained.predict_on_batch(np.array(TEXTS)), expected)
    dataset = Dataset.from_tensor_slices((TEXTS, Y)).batch(4)
    np.testing.assert_allclose(trained.predict(dataset.map(lambda x, y: x), verbose=0), expected, rtol=1e-5)
    assert trained.evaluate(dataset, verbose=0) == trained.evaluate(TEXTS, Y, batch_size=4, verbose=0)
    model = classifier()
    model.fit(dataset, epochs=3, verbose=0, validation_data=dataset)
    assert np.isfinite(model.train_on_batch(np.array(TEXTS), Y)[0])


def test_mixed_inputs_and_a_model_within(tmp_path):
    encoder = features()
    assert encoder.output_shape == (None, 4 + 3 + 8 + 3 + 6 + 3)
    row = encoder.predict(DATA, verbose=0)[1]
    assert row[4:7].tolist() == [0, 0, 1]  # vienna
    assert row[15:18].tolist() == [0, 0, 1]  # 7
    inputs = {name: mlkit.Input(t.shape[1:], dtype=t.dtype, name=name) for name, t in encoder.input.items()}
    model = mlkit.Model(inputs, layers.Dense(1)(encoder(inputs)))
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(DATA, Y, verbose=0)
    assert [np.abs(a - b).max() > 0 for a, b in zip(before, model.get_weights())] == [True, True, True]
    expected = model.predict(DATA, verbose=0)
    model.save(tmp_path / "m.keras")
    clone = mlkit.models.clone_model(model)
    clone.set_weights(model.get_weights())
    copies = mlkit.saving.load_model(tmp_path / "m.keras"), copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone
    for other in copies:
        np.testing.assert_array_equal(other.predict(DATA, verbose=0), expected)
    np.testing.assert_allclose(model(DATA).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_saved_before_and_after_training(tmp_path, trained):
    expected = trained.predict(TEXTS, verbose=0)
    trained.save(tmp_path / "m.keras")
    again = mlkit.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(TEXTS, verbose=0), expected)
    assert again.get_config()["layers"][0]["config"]["dtype"] == "string"
    model = classifier(True, with_input=False)
    model(["good"])
    model.save(tmp_path / "s.keras")
    np.testing.assert_array_equal(
        mlkit.saving.load_model(tmp_path / "s.keras").predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0)
    )


def test_tools_that_look_at_a_model(capsys, trained):
    trained.summary()
    assert "text_vectorization" in capsys.readouterr().out
    assert trained.check(TEXTS, Y) == []
    with pytest.warns(UserWarning, match="all targets are equal"):
        trained.check(TEXTS, Y * 0)
    assert mlkit.verify(trained, np.array(TEXTS), Y, against="float64").ok


@pytest.mark.native("plans, and times of kernels")
@pytest.mark.compiled("of programs")
def test_memory_and_profile(trained):
    assert mlkit.profile(trained, np.array(TEXTS)).by_layer
    assert trained.memory_report(np.array(TEXTS), Y).peak > trained.memory_report(batch_size=1).peak > 0


def test_shapes():
    text, two = mlkit.Input((1,), dtype="string"), mlkit.Input((2,), dtype="string")
    assert vectorizer()(text).shape == (None, None)
    assert vectorizer(output_sequence_length=5)(text).shape == (None, 5)
    assert vectorizer(output_mode="multi_hot")(text).shape == (None, 7)
    assert vectorizer(output_mode="tf_idf", idf_weights=[1.0] * 6)(text).dtype == "float32"
    assert vectorizer(output_sequence_length=5)(two).shape == (None, 2, 5)
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    assert (lookup(two).shape, lookup(two).dtype) == ((None, 2), "int64")
    assert layers.StringLookup(max_tokens=9, output_mode="multi_hot", pad_to_max_tokens=True)(two).shape == (None, 9)
    assert classifier().compute_output_shape((None,)) == (None, 1)
    assert features().compute_output_shape({"text": (5, 1), "city": (5, 1), "size": (5, 3), "code": (5, 1)}) == (5, 27)
    assert layers.Hashing(4, output_mode="one_hot")(text).shape == (None, 4)
    assert layers.StringLookup(vocabulary=["a"], invert=True)(mlkit.Input((2,), dtype="int64")).dtype == "string"
    with pytest.raises(ValueError, match="no vocabulary: call adapt"):
        layers.TextVectorization(output_mode="count")(text)


def test_the_vocabulary_may_come_later():
    text = mlkit.Input((), dtype="string")
    vectorize = layers.TextVectorization(output_sequence_length=2)
    model = mlkit.Model(text, layers.Embedding(10, 2)(vectorize(text)))
    with pytest.raises(ValueError, match="adapt"):
        model.predict(TEXTS, verbose=0)
    vectorize.adapt(TEXTS)
    assert model.predict(TEXTS, verbose=0).shape == (16, 2, 2)


def test_gradients_go_around_what_has_none():
    x = mlkit.Input((2,))
    hidden = layers.Dense(2, kernel_initializer="ones")(x)
    bins = layers.Hashing(4, output_mode="one_hot")(hidden)
    model = mlkit.Model(x, layers.Dense(1, kernel_initializer="ones")(layers.Concatenate()([hidden, ops.sum(bins, 1)])))
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(np.ones((4, 2), "float32"), np.zeros((4, 1), "float32"), verbose=0)
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before[:1], model.get_weights()))
    np.testing.assert_allclose(model.predict(np.ones((1, 2)), verbose=0), model(np.ones((1, 2))).numpy(), rtol=1e-6)


def test_preprocessing_alone():
    text = mlkit.Input((1,), dtype="string")
    model = mlkit.Model(text, vectorizer(output_sequence_length=2)(text))
    assert model.predict(["good film", "odd thing"], verbose=0).tolist() == [[2, 6], [1, 7]]
    assert mlkit.Function(text, model.output)(np.array([["bad"]])).numpy().tolist() == [[3, 0]]


class Written(mlkit.Model):
    def __init__(self):
        super().__init__()
        self.vectorize, self.embed = vectorizer(output_sequence_length=2), layers.Embedding(8, 3)

    def call(self, x):
        return self.embed(self.vectorize(x))


def test_models_written_as_classes_take_strings_op_by_op():
    model = Written()
    assert model(np.array(TEXTS)).shape == (16, 2, 3)
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(np.array(TEXTS), np.zeros((16, 2, 3)), verbose=0)
    assert model.predict(TEXTS, verbose=0).shape == (16, 2, 3)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="run_eagerly=True"):
        model.predict(TEXTS, verbose=0)


def test_refused(trained):
    text = mlkit.Input((1,), dtype="string", name="text")
    dense = layers.Dense(2, name="dense")
    for call, match in (
        (lambda: dense(text), "Dense 'dense': expected numbers, but 'text' holds strings"),
        (lambda: ops.relu(text), "ops.relu: expected numbers, but 'text' holds strings"),
        (lambda: text + 1, "holds strings"),
        (lambda: dense(np.array([["a"]])), r"(?s)'dense': expected numbers, but got strings.*TextVectorization"),
        (lambda: mlkit.Sequential([dense]).predict(np.array([["a"]]), verbose=0), "expected numbers"),
        (lambda: mlkit.Sequential([text, dense]), "'dense': expected numbers"),
        (lambda: trained.predict(np.ones((2, 1)), verbose=0), "expects strings, but was given float32"),
    ):
        with pytest.raises(TypeError, match=match):
            call()
    for call, match in (
        (lambda: mlkit.Model(text, layers.StringLookup(vocabulary=["a"], invert=True)(layers.Hashing(3)(text))), "of strings"),
        (lambda: trained.predict(np.array([["a", "b"]]), verbose=0), r"expects shape \(None,\)"),
        (lambda: mlkit.ops.zeros((2,), dtype="string"), "tensors hold numbers"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(TypeError, match="TextVectorization 'texts': expected strings, but got int64"):
        mlkit.function(vectorizer(name="texts"))(np.array([1, 2]))
