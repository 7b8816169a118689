"""Data of other libraries, known by what it can do: stand-ins of them always, and the libraries themselves where they are installed."""

import numpy as np
import pytest

import mlkit
from mlkit.data import Dataset, EpochIterator, get_adapter


def batches(x, **options):
    return [(a, b) for a, b, _ in get_adapter(x, **options).epoch(0)]


class Table:
    """What a `datasets.Dataset` can do."""

    features = None

    def __init__(self, **columns):
        self.columns, self.column_names = columns, list(columns)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        if isinstance(index, list):
            return {k: [v[i] for i in index] for k, v in self.columns.items()}
        return {k: v[index] for k, v in self.columns.items()}


class Streamed:
    """What a `datasets.IterableDataset` can do."""

    features = None

    def __init__(self, table):
        self.table, self.column_names = table, table.column_names

    def __iter__(self):
        return iter(self.table)


def table(count=5):
    return Table(x=[[i, -i] for i in range(count)], label=[i % 2 for i in range(count)])


def net(units=1):
    model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Dense(units)])
    model.compile("sgd", "mse")
    return model


def check_rows(source):
    x, y = batches(source, batch_size=3)[0]
    assert x.tolist() == [[0, 0], [1, -1], [2, -2]]
    assert y.tolist() == [0, 1, 0]
    assert [len(y) for _, y in batches(source, batch_size=3)] == [3, 2]


def test_rows_with_named_columns():
    check_rows(table())
    check_rows(Streamed(table()))
    shuffled = get_adapter(table(50), batch_size=50, shuffle=True, seed=1)
    orders = [next(shuffled.epoch(i))[0][:, 0].tolist() for i in (0, 1)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == list(range(50))
    several, _ = batches(Table(a=[1.0, 2.0], b=["u", "v"]))[0]
    assert several["b"].tolist() == [b"u", b"v"]
    weighted = next(get_adapter(table(), class_weight={1: 3.0}).epoch(0))
    assert weighted[2].tolist() == [1, 3, 1, 3, 1]
    assert len(net().fit(table(), batch_size=2, epochs=2, verbose=0).history["loss"]) == 2


def test_rows_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="rename_column"):
        get_adapter(Table(label=[1], y=[1], x=[1]))
    with pytest.raises(ValueError, match="differ in shape"):
        batches(Table(x=[[1], [1, 2]], label=[0, 1]))
    with pytest.raises(ValueError, match="must yield its targets"):
        get_adapter(table(), np.zeros(5))


def test_sequences_of_numbers_are_arrays():
    assert batches(range(3))[0][0].tolist() == [0, 1, 2]


def test_endless_and_unbatched_datasets_are_named():
    pairs = Dataset.from_tensor_slices((np.ones((6, 2), "float32"), np.ones((6, 1), "float32")))
    with pytest.raises(ValueError, match="steps_per_epoch"):
        net().fit(pairs.batch(2).repeat(), verbose=0)
    with pytest.raises(ValueError, match=r"dataset\.batch"):
        net().fit(Dataset.from_tensor_slices((np.ones((6, 2)), np.ones(6))), verbose=0)
    model = net()
    history = model.fit(pairs.batch(2).repeat(), steps_per_epoch=4, epochs=2, validation_data=pairs.batch(4), verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert model.predict(pairs.batch(4), verbose=0).shape == (6, 1)
    assert model.evaluate(pairs.batch(4), verbose=0) >= 0


def test_training_on_a_dataset_is_training_on_its_arrays():
    x, y = np.random.default_rng(0).random((10, 2), "float32"), np.ones((10, 1), "float32")
    weights = []
    for data in ((x, y), (Dataset.from_tensor_slices((x, y)).batch(4).map(lambda a, b: (a, b), num_parallel_calls=2),)):
        mlkit.utils.set_random_seed(0)
        model = net()
        options = {"batch_size": 4, "shuffle": False} if len(data) == 2 else {}
        model.fit(*data, epochs=3, verbose=0, **options)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*weights)


def test_steps_go_on_in_the_pass_under_way():
    numbers = EpochIterator(get_adapter(Dataset.range(6).batch(1)), steps_per_epoch=4)
    assert [[int(x[0]) for x, _, _ in numbers.epoch(i)] for i in range(1)] == [[0, 1, 2, 3]]


def test_memory_mapped_arrays_are_read_batch_by_batch(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(40.0, dtype="float32").reshape(20, 2))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    read = []

    class Noted(np.memmap):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    noted = mapped.view(Noted)
    for data in (get_adapter(noted, batch_size=8), get_adapter(Dataset.from_tensor_slices(noted).batch(8))):
        read.clear()
        one = data.epoch(0)
        assert next(one)[0].tolist() == mapped[:8].tolist()
        assert [i for i in read if isinstance(i, slice)] == [slice(0, 8)]
        one.close()
    order = [x for x, _, _ in get_adapter(Dataset.from_tensor_slices(noted).shuffle(20, seed=1).batch(8)).epoch(0)]
    assert sorted(np.concatenate(order)[:, 0].tolist()) == mapped[:, 0].tolist()


# ---- the libraries, where they are installed ---------------------------------------------------------------------------------


def test_hugging_face_datasets():
    hub = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    rows = hub.Dataset.from_dict({"x": [[i, -i] for i in range(5)], "label": [i % 2 for i in range(5)]})
    check_rows(rows)
    check_rows(rows.to_iterable_dataset())
    _x, y, _ = next(get_adapter(np.zeros((5, 1)), rows["label"], batch_size=3).epoch(0))
    assert y.tolist() == [0, 1, 0]


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables(library):
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    columns = {"a": [1.0, 2.0], "b": [3.0, 4.0]}
    made = module.DataFrame(columns) if library == "polars" else module.table(columns)
    assert batches(made)[0][0].tolist() == [[1, 3], [2, 4]]
    assert len(net().fit(made, np.ones((2, 1)), verbose=0).history["loss"]) == 1


def test_grain_loaders():
    grain = pytest.importorskip("grain", reason="grain is not installed")
    x = np.arange(12.0, dtype="float32").reshape(6, 2)
    data = grain.MapDataset.source(list(zip(x, np.ones((6, 1), "float32")))).batch(4)
    assert [len(a) for a, _ in batches(data)] == [4, 2]
    assert [len(a) for a, _ in batches(data.to_iter_dataset())] == [4, 2]
    assert get_adapter(data.repeat()).is_endless
    assert len(net().fit(data, verbose=0).history["loss"]) == 1


def test_torch_loaders():
    utils = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    torch = pytest.importorskip("torch")
    loader = utils.DataLoader(utils.TensorDataset(torch.arange(12.0).reshape(6, 2), torch.ones(6, 1)), batch_size=4)
    assert [len(a) for a, _ in batches(loader)] == [4, 2]
    assert len(net().fit(loader, verbose=0).history["loss"]) == 1


def test_tensorflow_datasets():
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    data = tf.data.Dataset.from_tensor_slices((np.ones((6, 2), "float32"), np.ones((6, 1), "float32"))).batch(4)
    assert [len(a) for a, _ in batches(data)] == [4, 2]
    assert get_adapter(data.repeat()).is_endless
    assert len(net().fit(data.repeat(), steps_per_epoch=3, validation_data=data, verbose=0).history["val_loss"]) == 1
