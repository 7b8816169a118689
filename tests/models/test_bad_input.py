"""Bad input: the message says what happened, where, what was expected and what to do; the weights stay as they were."""

import numpy as np
import pytest

import mlkit
from mlkit import layers

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 6, 6, 2)).astype("float32"), RNG.integers(0, 3, 8)


@pytest.fixture
def model():
    model = mlkit.Sequential(
        [mlkit.Input((6, 6, 2)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


BAD_DATA = {
    "wrong channels": (lambda: (X[..., :1], Y), r"expects shape \(None, 6, 6, 2\), but was given shape \(None, 6, 6, 1\)"),
    "wrong rank": (lambda: (X[:, :, 0], Y), r"expects shape \(None, 6, 6, 2\).*batch axis"),
    "labels out of range": (lambda: (X, Y + 5), r"labels must be whole numbers in \[0, 3\)"),
    "NaN data": (lambda: (np.where(X > 1, np.nan, X), Y), "NaN or infinite"),
    "unequal lengths": (lambda: (X, Y[:5]), "unequal numbers of samples: x: 8, y: 5"),
    "empty arrays": (lambda: (X[:0], Y[:0]), "empty"),
    "strings": (lambda: (np.full((8, 6, 6, 2), "a"), Y), "dtype"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_fit_refuses(model, case):
    make, message = BAD_DATA[case]
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        model.fit(*make(), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    model.fit(X, Y, verbose=0)  # and training goes on


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(optimizer="adamm", loss="mse"), "Did you mean 'adam'"),
        (dict(optimizer="adam", loss="msee"), "Did you mean 'mse'"),
        (dict(optimizer="adam", loss="mse", metrics=["acuracy"]), "Did you mean 'accuracy'"),
        (dict(optimizer="adam", loss="mse", jit_compile="maybe"), "jit_compile"),
        (dict(optimizer="adam", loss="mse", steps_per_execution=0), "positive integer"),
    ],
)
def test_compile_refuses(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.compile(**arguments)


def test_unknown_output_name():
    i = mlkit.Input((2,))
    model = mlkit.Model(i, [layers.Dense(1, name="a")(i), layers.Dense(1, name="b")(i)])
    model.compile("sgd", {"a": "mse", "c": "mse"})
    with pytest.raises(ValueError, match=r"names \['c'\], but the model's outputs are \['a', 'b'\]"):
        model.fit(np.ones((2, 2)), [np.ones((2, 1))] * 2, verbose=0)


def test_message_names_the_layer():
    inner = mlkit.Sequential([layers.Dense(2, name="deep")], name="inner")
    inner(np.ones((1, 3), "float32"))
    with pytest.raises(ValueError, match="(?s)expected size 3 along axis -1, found 4.*inner/deep"):
        inner.layers[0](np.ones((1, 4), "float32"))


@pytest.mark.parametrize("is_built", [True, False])
def test_lists_of_numbers_are_no_array(is_built):
    model = mlkit.Sequential(([mlkit.Input((3,))] if is_built else []) + [layers.Dense(1)])
    with pytest.raises(ValueError, match="1 input.* 3 .*"):
        model([[1.0, 2.0, 3.0]])
    assert model.predict([[1.0, 2.0, 3.0]], verbose=0).shape == (1, 1), "these are made arrays of"


def test_training_without_compile():
    with pytest.raises(ValueError, match="not compiled"):
        mlkit.Sequential([mlkit.Input((2,)), layers.Dense(1)]).fit(np.ones((2, 2)), np.ones((2, 1)))


def test_a_list_of_pairs_is_no_structure_of_inputs():
    model = mlkit.Sequential([mlkit.Input((3,)), mlkit.layers.Dense(1)])
    model.compile("sgd", "mse")
    pairs = [(np.ones((2, 3), "float32"), np.ones((2, 1), "float32"))] * 4
    for use in (
        lambda: model.fit(pairs, verbose=0),
        lambda: model.evaluate(pairs, verbose=0),
        lambda: model.fit(iter(pairs), validation_data=pairs, verbose=0),
    ):
        with pytest.raises(ValueError, match=r"list of 4 tuples.*iter\(pairs\)"):
            use()
    assert len(model.fit(iter(pairs), verbose=0).history["loss"]) == 1


@pytest.mark.parametrize(
    "given, shown",
    [(list, "[float32(None, 3)]"), (tuple, "[float32(None, 3)]"), (lambda xs: {"a": xs[0]}, "{'a': float32(None, 3)}")],
    ids=["list", "tuple", "dict"],
)
def test_one_array_within_something(given, shown):
    """A Sequential that began with an Input takes it; one that makes its weights of what comes says what came."""
    x = np.ones((2, 3), "float32")
    with pytest.raises((ValueError, KeyError)) as refused:
        mlkit.Sequential([layers.Dense(2)]).predict(given([x]), verbose=0)
    said = "\n".join([str(refused.value), *getattr(refused.value, "__notes__", ())])
    assert "of one tensor. Where a layer expects a tensor, pass the tensor itself." in said
    assert f"called with {shown}: a" in said
