"""Every kind of data becomes the same batches, in an order that follows from the seed; what cannot be is refused in words."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from mlkit import data
from mlkit.data import EpochIterator, PyDataset, get_adapter


def batches(adapter, index=0):
    return list(adapter.epoch(index))


def seen(adapter, index=0):
    """The samples in the order in which they come."""
    return np.concatenate([x for x, _, _ in adapter.epoch(index)]).tolist()


class Rows(PyDataset):
    """Batches [0 1 2], [3 4 5] ... with targets ten times as large."""

    def __init__(self, count=4, **kwargs):
        super().__init__(**kwargs)
        self.count = count
        self.calls = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        x = np.arange(3) + 3 * index
        return x, 10 * x

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


def test_arrays_are_cut_into_batches_the_last_one_smaller():
    adapter = get_adapter(np.arange(5), np.arange(5) * 10, batch_size=2)
    assert adapter.num_batches == 3
    assert adapter.batch_size == 2
    assert [(x.tolist(), y.tolist(), w) for x, y, w in adapter.epoch(0)] == [
        ([0, 1], [0, 10], None), ([2, 3], [20, 30], None), ([4], [40], None),
    ]  # fmt: skip


def test_default_batch_size_is_32_or_makes_the_steps():
    assert [len(x) for x, _, _ in get_adapter(np.zeros(70)).epoch(0)] == [32, 32, 6]
    assert get_adapter(np.zeros(70), steps=7).batch_size == 10


def test_floats_come_in_the_default_float_type_and_integers_as_they_are():
    x, y, _ = next(get_adapter(np.zeros(4, "float64"), np.zeros(4, "uint8")).epoch(0))
    assert (x.dtype, y.dtype) == ("float32", "uint8")


def test_structures_keep_their_form():
    x, y, w = next(get_adapter({"a": np.zeros((4, 2)), "b": (np.ones(4), np.zeros(4))}, [np.zeros(4), np.ones(4)]).epoch(0))
    assert set(x) == {"a", "b"}
    assert isinstance(x["b"], tuple)
    assert isinstance(y, list)
    assert w is None


@pytest.mark.parametrize(
    "x",
    [
        pytest.param([[1, 2], [3, 4]], id="list"),
        pytest.param(pd.DataFrame({"a": [1, 3], "b": [2, 4]}), id="table"),
        pytest.param(np.array([[1, 2], [3, 4]]), id="array"),
    ],
)
def test_lists_and_tables_are_arrays(x):
    batch, _, _ = next(get_adapter(x).epoch(0))
    assert batch.tolist() == [[1, 2], [3, 4]]


def test_a_column_of_a_table_is_one_feature():
    x, _, _ = next(get_adapter(pd.Series([1, 2, 3])).epoch(0))
    assert x.shape == (3, 1)


def test_mlkit_tensors_and_sparse_matrices_are_arrays():
    import scipy.sparse

    from mlkit import ops

    assert seen(get_adapter(ops.arange(3))) == [0, 1, 2]
    assert seen(get_adapter(scipy.sparse.eye(2))) == [[1, 0], [0, 1]]


def test_order_follows_from_seed_and_epoch_alone():
    def orders(seed, epochs):
        adapter = get_adapter(np.arange(50), batch_size=8, shuffle=True, seed=seed)
        return [seen(adapter, i) for i in epochs]

    assert orders(1, [0, 1, 2]) == orders(1, [0, 1, 2])
    assert orders(1, [2]) == orders(1, [0, 1, 2])[2:], "training that resumes at epoch 2 sees the order of epoch 2"
    first, second = orders(1, [0, 1])
    assert first != second
    assert first != orders(2, [0])[0]
    assert sorted(first) == list(range(50))


def test_without_a_seed_the_order_is_that_of_keras():
    np.random.seed(3)
    expected = [np.random.permutation(20).tolist() for _ in range(2)]
    np.random.seed(3)
    adapter = get_adapter(np.arange(20), shuffle=True)
    assert [seen(adapter, i) for i in range(2)] == expected


def test_order_is_drawn_before_the_first_batch_is_asked_for():
    adapter = get_adapter(np.arange(20), shuffle=True, seed=0)
    first, second = adapter.epoch(0), adapter.epoch(1)
    late = next(second)[0].tolist(), next(first)[0].tolist()
    again = get_adapter(np.arange(20), shuffle=True, seed=0)
    assert late == (seen(again, 0), seen(again, 1))[::-1]


def test_shuffling_within_batches_keeps_the_batches_together():
    adapter = get_adapter(np.arange(10), batch_size=4, shuffle="batch", seed=0)
    assert [sorted(x.tolist()) for x, _, _ in adapter.epoch(0)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    "y", [np.array([0, 2, 2]), np.array([[0], [2], [2]]), np.eye(3)[[0, 2, 2]]], ids=["labels", "column", "one-hot"]
)
def test_class_weights_become_sample_weights(y):
    _, _, weight = next(get_adapter(np.zeros(3), y, class_weight={0: 0.5, 2: 3.0}).epoch(0))
    assert weight.tolist() == [0.5, 3.0, 3.0]
    assert weight.dtype == "float32"


def test_one_array_of_sample_weights_serves_every_output():
    _, _, weight = next(get_adapter(np.zeros(2), {"a": np.zeros(2), "b": np.zeros(2)}, np.array([1.0, 2.0])).epoch(0))
    assert {k: v.tolist() for k, v in weight.items()} == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_datasets_keep_their_order_whatever_the_workers(workers):
    dataset = Rows(workers=workers, max_queue_size=2)
    adapter = get_adapter(dataset)
    assert adapter.num_batches == 4
    assert seen(adapter) == list(range(12))
    shuffled = [seen(get_adapter(Rows(workers=workers), shuffle=True, seed=5), i) for i in range(2)]
    assert shuffled == [seen(get_adapter(Rows(), shuffle=True, seed=5), i) for i in range(2)]
    assert shuffled[0] != shuffled[1]


def test_endless_datasets_go_on():
    class Endless(Rows):
        @property
        def num_batches(self):
            return None

    for workers in (1, 2):
        adapter = get_adapter(Endless(workers=workers), shuffle=True)
        epoch = adapter.epoch(0)
        assert [next(epoch)[0][0] for _ in range(6)] == [0, 3, 6, 9, 12, 15]
        epoch.close()


def test_multiprocessing_runs_as_threads_and_says_so():
    with pytest.warns(UserWarning, match="as threads"):
        adapter = get_adapter(Rows(workers=2, use_multiprocessing=True))
    assert seen(adapter) == list(range(12))


def test_a_dataset_need_not_call_super():
    class Short(PyDataset):
        def __init__(self):
            self.x = np.arange(2)

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return self.x

    assert seen(get_adapter(Short())) == [0, 1]


def test_generators_iterables_and_loaders():
    pairs = [(np.arange(2) + i, np.zeros(2)) for i in range(3)]

    class Loader:
        def __len__(self):
            return 3

        def __iter__(self):
            return iter([list(p) for p in pairs])

    assert seen(get_adapter(pair for pair in pairs)) == [0, 1, 1, 2, 2, 3]
    loader = get_adapter(Loader())
    assert loader.num_batches == 3
    assert seen(loader) == seen(loader)
    assert batches(get_adapter({"a": np.zeros(2)} for _ in range(2)))[0][0]["a"].tolist() == [0, 0]


def test_tensors_of_other_libraries_are_read_through_numpy():
    class Foreign:
        def __init__(self, values):
            self.values = np.asarray(values)

        def detach(self):
            return self

        cpu = detach

        def numpy(self):
            return self.values

    class Cardinal(list):
        def cardinality(self):
            return -1

    x, y, _ = batches(get_adapter(iter([(Foreign([1, 2]), Foreign([3, 4]))])))[0]
    assert (x.tolist(), y.tolist()) == ([1, 2], [3, 4])
    assert data.adapters._length_of(Cardinal([1, 2])) == data.INFINITE_CARDINALITY


ERRORS = {
    "unequal": (lambda: get_adapter(np.zeros(3), np.zeros(4)), "x: 3, y: 4"),
    "list of samples": (lambda: get_adapter([np.zeros(3), np.zeros(3)], np.zeros(2)), "np.stack"),
    "empty": (lambda: get_adapter(np.zeros((0, 4))), "0 samples"),
    "scalar": (lambda: get_adapter(np.float32(1.0)), "scalar"),
    "batch size": (lambda: get_adapter(np.zeros(3), batch_size=0), "positive integer"),
    "shuffle": (lambda: get_adapter(np.zeros(3), shuffle="yes"), "shuffle"),
    "text": (lambda: get_adapter("train.csv"), "not understood"),
    "number": (lambda: get_adapter(object()), "not understood"),
    "nothing": (lambda: get_adapter(None), "No data"),
    "targets beside a dataset": (lambda: get_adapter(Rows(), y=np.zeros(3)), "yield its targets"),
    "weights beside a generator": (lambda: get_adapter(iter([]), sample_weight=np.zeros(3)), "leave `sample_weight` out"),
    "two weights": (
        lambda: get_adapter(np.zeros(2), np.zeros(2), np.ones(2), class_weight={0: 1}), "not both",
    ),
    "weights without labels": (lambda: get_adapter(np.zeros(2), class_weight={0: 1}), "needs labels"),
    "weights of two outputs": (lambda: get_adapter(np.zeros(2), [np.zeros(2)] * 2, class_weight={0: 1}), "one output"),
    "other structure": (lambda: get_adapter(np.zeros(2), [np.zeros(2)] * 2, [np.zeros(2)] * 3), "structure of `y`"),
    "weights of parts": (lambda: get_adapter(np.zeros(2), [np.zeros(2)] * 2, np.zeros((2, 3))), "one number a sample"),
    "targets of another kind": (lambda: get_adapter(np.zeros(2), iter([])), "`y` must be arrays"),
    "four parts": (lambda: batches(get_adapter(iter([(1, 2, 3, 4)]))), "4 parts"),
    "scalar in a batch": (lambda: batches(get_adapter(iter([(np.zeros(2), 1.0)]))), "Batch 0 holds the scalar"),
    "unequal weights": (
        lambda: batches(get_adapter(iter([(np.zeros(2), np.zeros(3), np.ones(2))]))), "batch 0 have unequal lengths",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_bad_data_is_refused_in_words(name):
    act, words = ERRORS[name]
    with pytest.raises(ValueError, match=words):
        act()


def test_a_batch_size_beside_a_dataset_has_no_effect_and_says_so():
    with pytest.warns(UserWarning, match="makes the batches itself"):
        get_adapter(Rows(), batch_size=8)


def test_an_adapter_is_taken_as_it_is():
    adapter = get_adapter(np.zeros(3))
    assert get_adapter(adapter) is adapter


def test_validation_split_takes_the_end():
    (x, _y, w), (_vx, vy, vw) = data.train_validation_split((np.arange(10), np.arange(10), None), 0.25)
    assert x.tolist() == list(range(7))
    assert vy.tolist() == [7, 8, 9]
    assert w is vw is None
    with pytest.raises(ValueError, match="cannot be split"):
        data.train_validation_split(np.arange(1), 0.1)
    with pytest.raises(ValueError, match="validation_data"):
        data.train_validation_split((iter([]), None), 0.1)


def test_batches_are_packed_as_they_are_unpacked():
    for parts in [(1,), (1, 2), (1, 2, 3)]:
        packed = data.pack_x_y_sample_weight(*parts)
        assert data.unpack_x_y_sample_weight(packed) == (*parts, None, None)[:3]
    assert data.pack_x_y_sample_weight([1, 2]) == ([1, 2],)


class TestEpochIterator:
    def lengths(self, x, steps, epochs):
        iterator = EpochIterator(get_adapter(x, batch_size=1) if isinstance(x, np.ndarray) else get_adapter(x), steps)
        return [len(list(iterator.epoch(i))) for i in range(epochs)]

    def test_an_epoch_is_a_pass(self):
        assert self.lengths(np.zeros(3), None, 2) == [3, 3]

    def test_steps_go_on_where_the_last_epoch_ended(self):
        assert self.lengths(np.zeros(4), 2, 4) == [2, 2, 2, 2]

    def test_an_epoch_ends_with_the_data(self):
        with pytest.warns(UserWarning, match="ran out"):
            assert self.lengths(np.zeros(3), 2, 4) == [2, 1, 2, 1]
        with pytest.warns(UserWarning, match="ran out"):
            assert self.lengths(np.zeros(3), 5, 2) == [3, 3]

    def test_an_endless_generator_needs_steps(self):
        def endless():
            while True:
                yield np.zeros(2)

        assert self.lengths(endless(), 3, 2) == [3, 3]

    def test_a_used_up_generator_is_named(self):
        with pytest.warns(UserWarning, match="endless"):
            assert self.lengths((np.zeros(1) for _ in range(2)), None, 2) == [2, 0]

    def test_length_is_learned_from_the_first_pass(self):
        iterator = EpochIterator(get_adapter(np.zeros(1) for _ in range(4)))
        assert iterator.num_batches is None
        list(iterator.epoch(0))
        assert iterator.num_batches == 4

    def test_a_dataset_is_told_of_its_epochs_also_when_they_end_early(self):
        dataset = Rows()
        epoch = EpochIterator(get_adapter(dataset)).epoch(0)
        next(epoch)
        epoch.close()
        assert dataset.calls == ["begin", "end"]

    def test_steps_are_rounded_up_to_whole_executions(self):
        iterator = EpochIterator(get_adapter(np.zeros(10), batch_size=1), 5, steps_per_execution=2)
        assert iterator.num_batches == 6
        assert len(list(iterator.epoch(0))) == 6

    def test_steps_must_be_positive(self):
        with pytest.raises(ValueError, match="positive"):
            EpochIterator(get_adapter(np.zeros(2)), 0)


@pytest.mark.parametrize("cut", [lambda a: a[:, :6], lambda a: a[:, np.arange(6)], np.asfortranarray])
def test_batches_of_columns_cut_from_an_array_copy_their_rows_only(cut):
    x = cut(np.arange(80_000.0, dtype="float32").reshape(-1, 8))
    batches = iter(get_adapter(x, batch_size=4, shuffle=True, seed=0).epoch(0))
    first = next(batches)
    tracemalloc.start()
    try:
        second = next(batches)
        assert tracemalloc.get_traced_memory()[1] < x.nbytes / 10
    finally:
        tracemalloc.stop()
    for rows, *_ in (first, second):
        np.testing.assert_array_equal(rows, x[[int(r[0]) // 8 for r in rows]])
