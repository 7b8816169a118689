"""What datasets refuse, in words, and their smaller doors."""

import numpy as np
import pytest

import mlkit as keras
from mlkit.data import Dataset, TensorSpec

NUMBERS = Dataset.range(6)
CALLS = {
    "dtypes missing": (lambda: Dataset.from_generator(lambda: iter([]), output_shapes=()), ValueError, "needs `output_types`"),
    "no range": (lambda: Dataset.range(), ValueError, "takes 1 to 3 numbers"),
    "nothing to zip": (lambda: Dataset.zip(), TypeError, "pass datasets, or one structure"),
    "no dataset to draw from": (lambda: Dataset.sample_from_datasets([1]), TypeError, "Expected Datasets, but got int"),
    "no spec": (lambda: Dataset.from_generator(lambda: iter([]), output_signature=3), TypeError, "must hold TensorSpecs"),
    "both ways": (
        lambda: NUMBERS.map(lambda i: i, num_parallel_calls=2, synchronous=True),
        ValueError,
        "synchronous=True and `num_parallel_calls` exclude",
    ),
    "no dataset to add": (lambda: NUMBERS.concatenate([1]), TypeError, "concatenate: expected a Dataset, but got list"),
    "shapes of another form": (
        lambda: NUMBERS.map(lambda i: {"a": i}).padded_batch(2, padded_shapes={"b": ()}),
        ValueError,
        "must have the form of the elements",
    ),
    "no pair": (lambda: list(NUMBERS.scan(0, lambda s, i: s)), TypeError, r"must return a pair \(state, result\)"),
    "another state": (lambda: NUMBERS.reduce((0, 0), lambda s, i: s[0]), TypeError, "a state of the form of `initial_state`"),
    "no data to split": (lambda: keras.utils.split_dataset(3, 0.5), TypeError, "split_dataset: expected an array"),
    "another library's parts": (
        lambda: keras.utils.split_dataset(NUMBERS, 0.5, preferred_backend="tensorflow"),
        NotImplementedError,
        "preferred_backend='tensorflow' is not supported",
    ),
    "endless": (lambda: keras.utils.split_dataset(NUMBERS.repeat(), 0.5), ValueError, "the dataset is endless"),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_refused(name):
    call, kind, words = CALLS[name]
    with pytest.raises(kind, match=words):
        call()


def test_passes_are_iterators():
    one = iter(NUMBERS)
    assert [int(one.get_next()) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert int(one.get_next_as_optional()) == 5
    assert one.get_next_as_optional() is None
    assert one.element_spec == NUMBERS.element_spec


def test_generators_in_the_older_form():
    made = Dataset.from_generator(lambda: iter([(1, 2.0)]), output_types=("int32", "float32"), output_shapes=((), ()))
    assert made.element_spec == (TensorSpec((), "int32"), TensorSpec((), "float32"))
    ((i, x),) = list(made)
    assert (int(i), float(x)) == (1, 2.0)


def test_splitting_what_has_items_or_only_an_iteration():
    class Rows:  # of PyTorch's kind
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return np.float32(i)

    for data in (Rows(), iter([np.float32(i) for i in range(10)])):
        left, right = keras.utils.split_dataset(data, 0.8)
        assert [float(x) for x in left] == list(range(8))
        assert [float(x) for x in right] == [8.0, 9.0]
