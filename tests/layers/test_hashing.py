"""Bins of Hashing and HashedCrossing are TensorFlow's; the expected ones stand in Keras's documentation."""

import numpy as np
import pytest

import mlkit
from mlkit.utils.fingerprints import farm_fingerprint

LETTERS = [["A"], ["B"], ["C"], ["D"], ["E"]]


def bins(inputs, **options):
    return mlkit.layers.Hashing(num_bins=3, **options)(inputs).numpy()


@pytest.mark.parametrize(
    "options, expected",
    [({}, [1, 0, 1, 1, 2]), ({"salt": [133, 137]}, [1, 2, 1, 0, 2]), ({"salt": 133}, [0, 0, 2, 1, 0])],
)
def test_letters(options, expected):
    found = bins(LETTERS, **options)
    assert found.dtype == "int64"
    assert found.ravel().tolist() == expected


def test_a_masked_value_has_a_bin_of_its_own():
    assert bins([["A"], ["B"], [""], ["C"], ["D"]], mask_value="").ravel().tolist() == [1, 1, 0, 2, 2]


@pytest.mark.parametrize(
    "length, expected",
    [(3, 3091163115821544028), (7, 15062398191181189679), (12, 2344409068416288835), (24, 1720933946053627091),
     (50, 4607997358663321893), (64, 6916188127298655160), (65, 4935023790501551929), (130, 15322557606825096686)],
)  # fmt: skip
def test_fingerprints_of_all_lengths(length, expected):
    """As pyfarmhash gives them."""
    assert farm_fingerprint(b"x" * length) == expected


def test_numbers_are_hashed_as_their_digits():
    for numbers in (np.array([[1, -20]]), np.array([[1.7, -20.0]]), mlkit.ops.convert_to_tensor([[1, -20]])):
        assert np.array_equal(bins(numbers), bins([["1", "-20"]]))


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_output_modes(mode):
    found = bins([["A", "C", "B"]], output_mode=mode)
    same = mlkit.layers.CategoryEncoding(3, output_mode=mode)(bins([["A", "C", "B"]]))
    assert np.array_equal(found, same)
    assert found.dtype == "float32"


def test_crossings():
    a, b = np.array(["A", "B", "A", "B", "A"]), np.array([101, 101, 101, 102, 102])
    crossing = mlkit.layers.HashedCrossing(num_bins=5)
    assert crossing((a, b)).numpy().tolist() == [1, 4, 1, 1, 3]
    assert crossing((a[:, None], b[:, None])).shape == (5, 1)
    one_hot = mlkit.layers.HashedCrossing(num_bins=5, output_mode="one_hot")((a, b)).numpy()
    assert one_hot.argmax(-1).tolist() == [1, 4, 1, 1, 3]
    for inputs in (a, (a,), (a, b[:3]), (a, np.ones(5)), (np.ones((5, 2), int),) * 2):
        with pytest.raises(ValueError, match="HashedCrossing"):
            crossing(inputs)


@pytest.mark.parametrize("layer", [
    lambda: mlkit.layers.Hashing(4, mask_value="x", salt=3, name="h"), lambda: mlkit.layers.HashedCrossing(4, "one_hot", name="c"),
])  # fmt: skip
def test_configs(layer):
    config = layer().get_config()
    again = mlkit.layers.deserialize(mlkit.layers.serialize(layer()))
    assert again.get_config() == config
    assert config["num_bins"] == 4


@pytest.mark.parametrize("make", [
    lambda: mlkit.layers.Hashing(0), lambda: mlkit.layers.Hashing(3, salt=[1, 2, 3]), lambda: mlkit.layers.Hashing(3, dtype="float32"),
    lambda: mlkit.layers.Hashing(3, output_mode="text"), lambda: mlkit.layers.HashedCrossing(3, output_mode="count"),
])  # fmt: skip
def test_arguments(make):
    with pytest.raises(ValueError):
        make()


def test_strings_are_the_same_in_every_form():
    """A list, NumPy's three kinds of strings, objects of `bytes` or `str`, and what datasets hand on."""
    words = ["a", "wörd", "c"]
    data = mlkit.data.Dataset.from_tensor_slices(words).batch(3)
    encoded = [w.encode() for w in words]
    forms = [words, np.array(words), np.array(encoded), np.array(words, object), np.array(encoded, object), next(iter(data))]
    numbers = [7, 8, 9]
    for layer in (mlkit.layers.Hashing(1000), mlkit.layers.Hashing(1000, mask_value="c"), mlkit.layers.Hashing(1000, salt=5)):
        found = [layer(form).numpy().tolist() for form in forms]
        assert found == [found[0]] * len(forms)
    crossed = [mlkit.layers.HashedCrossing(1000)((form, numbers)).numpy().tolist() for form in forms]
    assert crossed == [crossed[0]] * len(forms)
    mapped = data.map(lambda x: mlkit.layers.Hashing(1000)(x))
    assert next(iter(mapped)).numpy().tolist() == mlkit.layers.Hashing(1000)(words).numpy().tolist()


NUMBERS = np.array([[5], [1], [-7], [100000]])
ON_THE_HOST = [
    lambda: mlkit.layers.Hashing(5),
    lambda: mlkit.layers.Hashing(5, mask_value=1, salt=3),
    lambda: mlkit.layers.Hashing(5, output_mode="one_hot"),
    lambda: mlkit.layers.IntegerLookup(vocabulary=[1, 5]),
    lambda: mlkit.layers.IntegerLookup(vocabulary=[1, 5], num_oov_indices=3),
    lambda: mlkit.layers.IntegerLookup(vocabulary=[1, 5], output_mode="multi_hot"),
    lambda: mlkit.layers.IntegerLookup(vocabulary=[1, 5], output_mode="tf_idf", idf_weights=[0.5, 0.25]),
]


@pytest.mark.parametrize("make", ON_THE_HOST)
def test_numbers_within_a_model(make):
    """What is looked up on the host stands in compiled programs too."""
    layer = make()
    x = mlkit.Input((1,), dtype="int64")
    model = mlkit.Model(x, layer(x))
    wanted = layer(NUMBERS).numpy()
    found = model.predict(NUMBERS, verbose=0)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype
    assert (None, *wanted.shape[1:]) == model.output_shape
    trained = mlkit.Sequential([x, layer, mlkit.layers.Rescaling(0.1), mlkit.layers.Dense(1)])
    trained.compile("sgd", "mse")
    assert np.isfinite(trained.fit(NUMBERS, np.ones((4, 1)), verbose=0, check=False).history["loss"]).all()


def test_crosses_within_a_model():
    x, y = mlkit.Input((1,), dtype="int64"), mlkit.Input((1,), dtype="int64")
    for mode in ("int", "one_hot"):
        layer = mlkit.layers.HashedCrossing(9, mode)
        found = mlkit.Model([x, y], layer([x, y])).predict([NUMBERS, NUMBERS[::-1]], verbose=0)
        np.testing.assert_array_equal(found, layer([NUMBERS, NUMBERS[::-1]]).numpy())
    with pytest.raises(ValueError, match="whole numbers"):
        layer([x, mlkit.Input((1,))])
