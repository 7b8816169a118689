"""Positions are saved and restored everywhere; the order and random numbers are the same whatever the number of workers."""

import functools
import pickle

import pytest

import mlkit
from mlkit import random
from mlkit.data import Dataset
from tests.data.pipelines import PIPELINES, plus_noise


@functools.cache
def texts(name, epoch):
    """The elements of a pass, as text by which they can be compared."""
    mlkit.utils.set_random_seed(1)
    return [repr(element) for element in PIPELINES[name]().epoch(epoch)]


@pytest.mark.parametrize("name", PIPELINES)
def test_a_restored_pass_goes_on_as_the_other_did(name):
    expected = texts(name, 1)
    assert 2 <= len(expected) <= 40
    mlkit.utils.set_random_seed(1)
    dataset = PIPELINES[name]()
    one, states = dataset.epoch(1), []
    for _ in range(len(expected) + 1):
        states.append(pickle.dumps(one.get_state()))
        next(one, None)
    for place, state in enumerate(states):
        mlkit.utils.set_random_seed(1)
        for again in (dataset, PIPELINES[name]()):  # in this process, and as in another one
            restored = again.epoch(1)
            restored.set_state(pickle.loads(state))
            assert [repr(element) for element in restored] == expected[place:], place
            restored.close()


def test_iterators_have_positions_too():
    dataset = Dataset.range(20).shuffle(20, seed=1).batch(3)
    list(dataset)
    one = iter(dataset)
    next(one)
    state = pickle.loads(pickle.dumps(one.get_state()))
    rest = [x.tolist() for x in one]
    new = iter(Dataset.range(20).shuffle(20, seed=1).batch(3))
    next(new)
    new.set_state(state)
    assert [x.tolist() for x in new] == rest


def test_a_position_of_another_pipeline_is_refused():
    state = iter(Dataset.range(5).batch(2)).get_state()
    with pytest.raises(ValueError, match="another pipeline"):
        iter(Dataset.range(5).shuffle(2)).set_state(state)
    with pytest.raises(ValueError, match="what `get_state` returned"):
        iter(Dataset.range(5)).set_state({})


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_random_numbers_do_not_depend_on_workers(workers):
    def numbers(count):
        mlkit.utils.set_random_seed(3)
        return [x.tolist() for x in Dataset.range(9).map(plus_noise, num_parallel_calls=count)]

    assert numbers(workers) == numbers(None)


def test_random_numbers_differ_by_element_pass_and_transformation():
    mlkit.utils.set_random_seed(3)
    dataset = Dataset.range(4).map(plus_noise)
    first, second = ([x.numpy()[0] - i for i, x in enumerate(dataset)] for _ in range(2))
    other = [x.numpy()[0] - i for i, x in enumerate(Dataset.range(4).map(plus_noise))]
    assert len({round(float(x), 5) for x in [*first, *second, *other]}) == 12


def test_a_compiled_function_has_new_numbers_for_each_element():
    noisy = Dataset.range(6).map(mlkit.function(lambda x: random.uniform((2,))))
    assert len({tuple(x.tolist()) for x in noisy}) == 6


def test_a_function_leaves_seed_generators_as_they_were():
    generator = random.SeedGenerator(7)
    list(Dataset.range(6).map(lambda x: random.uniform((2,), seed=generator)))
    assert generator.next().tolist() == [7, 0]


def test_processes_give_the_same():
    def make(**options):
        mlkit.utils.set_random_seed(3)
        return Dataset.range(7).map(plus_noise, **options)

    expected = [x.tolist() for x in make()]
    dataset = make(num_parallel_calls=2, workers="process")
    assert [x.tolist() for x in dataset] == expected
    one, again = dataset.epoch(0), dataset.epoch(0)
    next(one)
    again.set_state(one.get_state())
    assert [x.tolist() for x in again] == expected[1:]
