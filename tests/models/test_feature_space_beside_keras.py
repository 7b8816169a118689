"""FeatureSpace beside Keras's, which needs TensorFlow: the same numbers, files both ways, and tf.data."""

import numpy as np
import pytest

import mlkit

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
keras = pytest.importorskip("keras")

ROWS = 60


def table(rng):
    return {
        "plain": rng.normal(size=ROWS).tolist(),
        "scaled": rng.normal(size=ROWS).tolist(),
        "normed": (5 + 3 * rng.normal(size=ROWS)).tolist(),
        "binned": rng.normal(size=ROWS).tolist(),
        "code": rng.integers(0, 9, ROWS).tolist(),
        "few": rng.integers(0, 9, ROWS).tolist(),
        "number": rng.integers(-50, 10000, ROWS).tolist(),
        "city": rng.choice(["Rome", "Oslo", "Bern", "Kyiv"], ROWS).tolist(),
        "word": rng.choice(["ä", "bb", "ccc", "d d", ""], ROWS).tolist(),
    }


def space(library, data, **options):
    kind = library.utils.FeatureSpace
    made = kind(
        {
            "plain": "float",
            "scaled": kind.float_rescaled(2.0, -1.0),
            "normed": "float_normalized",
            "binned": "float_discretized",
            "code": "integer_categorical",
            "few": kind.integer_categorical(max_tokens=5, num_oov_indices=2),
            "number": "integer_hashed",
            "city": "string_categorical",
            "word": kind.string_hashed(7),
        },
        crosses=[("city", "code"), kind.cross(("binned", "word"), 11), ("number", "few")],
        crossing_dim=13,
        hashing_dim=6,
        num_discretization_bins=8,
        **options,
    )
    made.adapt(data)
    return made


@pytest.fixture(params=range(3))
def data(request):
    return table(np.random.default_rng(request.param))


def test_numbers(data):
    for mode in ("concat", "dict"):
        wanted, found = (space(library, data, output_mode=mode)(data) for library in (keras, mlkit))
        wanted, found = ((v if mode == "dict" else {"": v}) for v in (wanted, found))
        assert list(found) == list(wanted)
        for name in wanted:
            np.testing.assert_allclose(found[name].numpy(), np.array(wanted[name]), atol=1e-5, err_msg=name)


def test_files(data, tmp_path):
    for writer, reader in ((keras, mlkit), (mlkit, keras)):
        made = space(writer, data)
        made.save(tmp_path / "space.keras")
        read = reader.models.load_model(tmp_path / "space.keras")
        np.testing.assert_allclose(np.array(read(data)), np.array(made(data)), atol=1e-5)


def test_files_of_models_that_begin_with_raw_columns(data, tmp_path):
    for writer, reader in ((keras, mlkit), (mlkit, keras)):
        made = space(writer, data)
        outputs = writer.layers.Dense(2)(made.get_encoded_features())
        model = writer.Model(made.get_inputs(), outputs)
        model.save(tmp_path / "model.keras")
        read = reader.models.load_model(tmp_path / "model.keras")
        found, wanted = (one.predict(columns(library, data), verbose=0) for one, library in ((read, reader), (model, writer)))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def columns(library, data):
    """The table as arrays of one column; TensorFlow's backend has its own strings."""
    arrays = {name: np.array(values)[:, None] for name, values in data.items()}
    return {n: tf.constant(a) if library is keras and a.dtype.kind == "U" else a for n, a in arrays.items()}


def test_tf_data(data):
    rows = tf.data.Dataset.from_tensor_slices(data)
    wanted = np.array(space(keras, rows)(data))
    made = space(mlkit, rows)
    np.testing.assert_allclose(made(data).numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(np.stack([x.numpy() for x in rows.map(made)]), wanted, atol=1e-5)
    batches = rows.batch(16).map(made)
    assert batches.element_spec == tf.TensorSpec((None, wanted.shape[1]), tf.float32)
    np.testing.assert_allclose(np.concatenate([x.numpy() for x in batches]), wanted, atol=1e-5)


def losses(library, rows):
    """A script in the manner of Keras's guides: rows with texts, prepared in the pipeline."""
    labels = (np.array(rows["normed"]) > 5).astype("float32")
    made = space(library, tf.data.Dataset.from_tensor_slices(rows))
    train = tf.data.Dataset.from_tensor_slices((rows, labels)).batch(12).map(lambda x, y: (made(x), y))
    first = library.layers.Dense(8, activation="relu")
    model = library.Sequential(
        [library.Input(next(iter(train))[0].shape[1:]), first, library.layers.Dense(1, activation="sigmoid")]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) * 0.3 for w in model.get_weights()])
    model.compile(library.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(train, epochs=4, shuffle=False, verbose=0).history
    return [history[name] for name in sorted(history)]


def test_a_script_ends_in_the_same_numbers(data):
    np.testing.assert_allclose(losses(mlkit, data), losses(keras, data), rtol=1e-3, atol=1e-5)
