"""`fit` and `model.check` find planted mistakes, and have nothing to say of right scripts."""

import time
import warnings

import numpy as np
import pytest

from tests.models.mistakes import (
    CLASSES,
    FEATURES,
    MISTAKES,
    RIGHT,
    SCALED,
    N,
    compiled,
    conv_classifier,
    dense,
    rng,
    softmax_classifier,
)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_named_with_what_to_do(name):
    words, make, arguments = MISTAKES[name]
    model = make()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            model.fit(**arguments, verbose=0)
            found = []
        except ValueError as error:
            found = [str(error)]
    found += [str(w.message) for w in warned]
    assert any(words in text for text in found), found


@pytest.mark.parametrize("name", ["logits", "pixels of 0 to 255", "a dead layer"])
def test_a_mistake_is_named_once_and_not_at_all_without_checks(name):
    _, make, arguments = MISTAKES[name]
    model = make()
    with pytest.warns(UserWarning, match="check=False"):
        model.fit(**arguments, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(**arguments, verbose=0)
        make().fit(**arguments, verbose=0, check=False)


def batches(x, y):
    for k in range(0, N, 50):
        yield x[k : k + 50], y[k : k + 50]


def test_data_that_comes_in_batches_is_looked_at_as_it_comes():
    model = compiled(dense(4), "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="expects probabilities"):
        model.fit(batches(FEATURES, CLASSES), verbose=0)


def test_a_fatal_mistake_leaves_the_model_as_it_was():
    model = softmax_classifier()
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(ValueError, match="Number the classes"):
        model.fit(FEATURES, np.r_[CLASSES[:-1], 9], verbose=0)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_said_of_right_scripts(name):
    make, arguments = RIGHT[name]
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(**arguments, verbose=0, epochs=2)


def test_a_check_takes_a_moment():
    model = conv_classifier()
    x, y = np.tile(SCALED, (20, 1, 1, 1)) + rng.random((20 * N, 1, 1, 1), dtype="float32"), np.tile(CLASSES, 20)
    model.check(x[:1], y[:1])
    start = time.process_time()
    assert model.check(x, y, validation_data=(x[:500] + 1, y[:500])) == []
    assert time.process_time() - start < 5  # a bound against hangs; it takes some 20 ms
