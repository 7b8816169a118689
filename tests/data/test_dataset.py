"""Each transformation against what plain Python gives, as the documentation of tf.data says; and what is refused, in which words."""

import itertools
import pathlib
import threading
import time

import numpy as np
import pytest

import mlkit
from mlkit.core.tensor import Tensor
from mlkit.data import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, Strings, TensorSpec


def values(dataset):
    """Elements as lists and numbers."""
    return [mlkit.tree.map_structure(lambda x: x.tolist(), element) for element in dataset]


def range_(*args):
    return Dataset.range(*args)


# name -> (dataset, what plain Python gives)
EXPECTED = {
    "slices": lambda: (Dataset.from_tensor_slices([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "tuples": lambda: (Dataset.from_tensor_slices(([1, 2], {"a": [3, 4]})), [(1, {"a": 3}), (2, {"a": 4})]),
    "tensors": lambda: (Dataset.from_tensors([1, 2]), [[1, 2]]),
    "range": lambda: (range_(2, 9, 3), list(range(2, 9, 3))),
    "range back": lambda: (range_(5, 1, -2), list(range(5, 1, -2))),
    "zip": lambda: (Dataset.zip(range_(3), range_(5, 9)), list(zip(range(3), range(5, 9)))),
    "zip of a tuple": lambda: (Dataset.zip((range_(2), (range_(3), range_(4)))), [(0, (0, 0)), (1, (1, 1))]),
    "map": lambda: (range_(4).map(lambda x: x * 2 + 1), [1, 3, 5, 7]),
    "map to pairs": lambda: (range_(2).map(lambda x: (x, {"n": -x})), [(0, {"n": 0}), (1, {"n": -1})]),
    "map of pairs": lambda: (Dataset.zip(range_(3), range_(3)).map(lambda a, b: a + b), [0, 2, 4]),
    "map with NumPy": lambda: (range_(3).map(lambda x: np.full(2, int(x))), [[0, 0], [1, 1], [2, 2]]),
    "map to a list": lambda: (range_(2).map(lambda x: [x, x + 1]), [[0, 1], [1, 2]]),
    "filter": lambda: (range_(7).filter(lambda x: x % 2 == 1), [1, 3, 5]),
    "take while": lambda: (range_(7).take_while(lambda x: x < 3), [0, 1, 2]),
    "flat map": lambda: (range_(4).flat_map(range_), [0, 0, 1, 0, 1, 2]),
    "interleave": lambda: (
        range_(1, 6).interleave(lambda x: Dataset.from_tensors(x).repeat(6), cycle_length=2, block_length=4),
        [
            1,
            1,
            1,
            1,
            2,
            2,
            2,
            2,
            1,
            1,
            2,
            2,
            3,
            3,
            3,
            3,
            4,
            4,
            4,
            4,
            3,
            3,
            4,
            4,
            5,
            5,
            5,
            5,
            5,
            5,
        ],  # of tf.data's documentation
    ),
    "scan": lambda: (range_(5).scan(np.int64(0), lambda s, x: (s + x, s + x)), list(itertools.accumulate(range(5)))),
    "batch": lambda: (range_(8).batch(3), [[0, 1, 2], [3, 4, 5], [6, 7]]),
    "whole batches": lambda: (range_(8).batch(3, drop_remainder=True), [[0, 1, 2], [3, 4, 5]]),
    "batches of batches": lambda: (range_(8).batch(2).batch(2), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
    "unbatch": lambda: (range_(5).batch(3).unbatch(), [0, 1, 2, 3, 4]),
    "rebatch": lambda: (range_(8).batch(4).rebatch(3, drop_remainder=False), [[0, 1, 2], [3, 4, 5], [6, 7]]),
    "rebatch whole": lambda: (range_(8).batch(4).rebatch(3, drop_remainder=True), [[0, 1, 2], [3, 4, 5]]),
    "rebatch in turn": lambda: (range_(8).batch(4).rebatch([2, 1, 1]), [[0, 1], [2], [3], [4, 5], [6], [7]]),
    "window": lambda: (range_(7).window(3).map(lambda w: w.reduce(np.int64(0), lambda s, x: s + x)), [3, 12, 6]),
    "windows shifted": lambda: (
        range_(7).window(3, 1, 1, True).flat_map(lambda w: w.batch(3)),
        [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6]],
    ),
    "windows apart": lambda: (
        range_(7).window(3, 1, 2, True).flat_map(lambda w: w.batch(3)),
        [[0, 2, 4], [1, 3, 5], [2, 4, 6]],
    ),
    "windows at the end": lambda: (
        range_(5).window(3, 1, 2).flat_map(lambda w: w.batch(3)),
        [[0, 2, 4], [1, 3], [2, 4], [3], [4]],
    ),
    "windows with gaps": lambda: (range_(9).window(2, shift=4).flat_map(lambda w: w.batch(2)), [[0, 1], [4, 5], [8]]),
    "repeat": lambda: (range_(2).repeat(3), [0, 1] * 3),
    "repeat none": lambda: (range_(2).repeat(0), []),
    "repeat for ever": lambda: (range_(2).repeat().take(5), [0, 1, 0, 1, 0]),
    "repeat nothing": lambda: (range_(0).repeat(), []),
    "take": lambda: (range_(9).take(2), [0, 1]),
    "take all": lambda: (range_(3).take(-1), [0, 1, 2]),
    "skip": lambda: (range_(5).skip(3), [3, 4]),
    "skip all": lambda: (range_(5).skip(-1), []),
    "shard": lambda: (range_(10).shard(3, 1), [1, 4, 7]),
    "concatenate": lambda: (range_(2).concatenate(range_(7, 9)), [0, 1, 7, 8]),
    "enumerate": lambda: (range_(5, 7).enumerate(3), [(3, 5), (4, 6)]),
    "unique": lambda: (Dataset.from_tensor_slices([1, 37, 2, 37, 2, 1]).unique(), [1, 37, 2]),
    "apply": lambda: (range_(4).apply(lambda d: d.filter(lambda x: x < 2)), [0, 1]),
    "cache": lambda: (range_(3).cache(), [0, 1, 2]),
    "prefetch": lambda: (range_(3).prefetch(AUTOTUNE), [0, 1, 2]),
    "choose": lambda: (
        Dataset.choose_from_datasets([range_(3), range_(7, 9)], Dataset.from_tensor_slices([0, 1, 0, 1, 0, 1])),
        [0, 7, 1, 8, 2],
    ),
    "padded batch": lambda: (
        range_(1, 5).map(lambda x: np.full(int(x), int(x))).padded_batch(2),
        [[[1, 0], [2, 2]], [[3, 3, 3, 0], [4, 4, 4, 4]]],
    ),
    "padded to a shape": lambda: (
        range_(1, 3).map(lambda x: np.full(int(x), int(x))).padded_batch(2, padded_shapes=[4], padding_values=-1),
        [[[1, -1, -1, -1], [2, 2, -1, -1]]],
    ),
    "padded pairs": lambda: (
        Dataset.from_generator(lambda: iter([([1], "ab"), ([1, 2], "c")])).padded_batch(2, ([None], [])),
        [([[1, 0], [1, 2]], [b"ab", b"c"])],
    ),
    "generator": lambda: (Dataset.from_generator(lambda n: range(int(n)), args=[3]), [0, 1, 2]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_elements(name):
    dataset, expected = EXPECTED[name]()
    assert values(dataset) == expected
    assert values(dataset) == expected, "in the second pass"
    count = int(dataset.cardinality())
    assert count in (len(expected), UNKNOWN_CARDINALITY)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_kind_of_elements_is_known(name):
    dataset, expected = EXPECTED[name]()
    if expected:
        spec = dataset.element_spec
        for element in dataset.epoch(0):
            mlkit.tree.map_structure(lambda s, x: s.fits(x) or pytest.fail(f"{x} is not {s}"), spec, element)


def test_elements_are_tensors():
    x, y = next(iter(Dataset.from_tensor_slices((np.eye(2), ["a", "b"]))))
    assert type(x) is Tensor
    assert x.numpy().tolist() == [1, 0]
    assert isinstance(y, Strings)
    assert y.numpy() == b"a"
    (texts,) = Dataset.from_tensor_slices(["a", "ü"]).batch(2)
    assert texts.numpy().tolist() == [b"a", "ü".encode()]
    assert [str(t) for t in texts] == ["a", "ü"]
    assert texts[1].decode() == "ü"


def test_python_numbers_have_the_dtypes_of_tensors():
    kinds = Dataset.from_tensors((1, 1.5, True, [1.0], np.float64(1), "a")).element_spec
    assert [s.dtype for s in kinds] == ["int32", "float32", "bool", "float32", "float64", "string"]


def test_specs():
    pairs = Dataset.from_tensor_slices((np.zeros((5, 3)), np.zeros(5, "int32")))
    assert pairs.element_spec == (TensorSpec((3,), "float64"), TensorSpec((), "int32"))
    assert pairs.batch(2).element_spec[0] == TensorSpec((None, 3), "float64")
    assert pairs.batch(2, drop_remainder=True).element_spec[0].shape == (2, 3)
    assert pairs.batch(5).element_spec[0].shape == (5, 3)
    ran = []
    mapped = pairs.batch(2).map(lambda x, y: (ran.append(1), mlkit.ops.sum(x, axis=1))[1])
    assert mapped.element_spec == TensorSpec((None,), "float64")
    assert len(ran) == 1
    assert pairs.batch(2).map(lambda x, y: np.asarray(x)[:, 0]).element_spec == TensorSpec((None,), "float64")
    assert Dataset.from_tensor_slices(["a"]).element_spec == TensorSpec((), "string")
    assert pairs.window(2).element_spec[1].element_spec == TensorSpec((), "int32")


def test_cardinality():
    assert int(Dataset.range(3).repeat().cardinality()) == INFINITE_CARDINALITY
    assert int(Dataset.range(3).filter(lambda x: x > 0).cardinality().numpy()) == UNKNOWN_CARDINALITY
    assert len(Dataset.range(10).batch(3)) == 4
    assert Dataset.range(0)
    for dataset, words in ((Dataset.range(3).repeat(), "endless"), (Dataset.range(3).filter(bool), "not known")):
        with pytest.raises(TypeError, match=words):
            len(dataset)


def test_each_pass_has_an_order_of_its_own_which_follows_from_the_seed():
    def orders(count, **options):
        dataset = Dataset.range(30).shuffle(30, **options)
        return [values(dataset) for _ in range(count)]

    first, second = orders(2, seed=1)
    assert sorted(first) == list(range(30))
    assert first != second
    assert orders(2, seed=1) == [first, second]
    assert orders(1, seed=2) != [first]
    again = orders(2, seed=1, reshuffle_each_iteration=False)
    assert again[0] == again[1] == first
    repeated = values(Dataset.range(30).shuffle(30, seed=1).repeat(2))
    assert repeated == first + second


def test_without_a_seed_the_global_one_decides():
    def order():
        mlkit.utils.set_random_seed(5)
        return values(Dataset.range(30).shuffle(30)), values(Dataset.range(30).shuffle(30))

    first, second = order()
    assert first != second
    assert order() == (first, second)


def test_a_buffer_shuffles_nearby_elements_only():
    order = values(Dataset.range(100).shuffle(5, seed=0))
    assert sorted(order) == list(range(100))
    assert all(x <= place + 4 for place, x in enumerate(order))


def test_an_order_does_not_depend_on_whether_the_buffer_holds_numbers_or_elements():
    rows = Dataset.from_tensor_slices(np.arange(50))
    assert values(rows.shuffle(9, seed=1)) == values(rows.map(lambda x: x).shuffle(9, seed=1))
    assert values(rows.shuffle(9, seed=1).batch(4)) == values(rows.map(lambda x: x).shuffle(9, seed=1).batch(4))


def test_generators_are_begun_anew_and_brought_to_their_signature():
    begun = []

    def pairs():
        begun.append(1)
        yield 1, [1.0, 2.0]
        yield 2, [3.0]

    signature = (TensorSpec((), "int64"), TensorSpec((None,), "float16"))
    dataset = Dataset.from_generator(pairs, output_signature=signature)
    assert dataset.element_spec == signature
    assert not begun
    assert values(dataset) == values(dataset) == [(1, [1, 2]), (2, [3])]
    assert len(begun) == 2
    assert next(iter(dataset))[1].dtype == "float16"
    old = Dataset.from_generator(pairs, ("int32", "float32"), ((), (None,)))
    assert old.element_spec == (TensorSpec((), "int32"), TensorSpec((None,), "float32"))


def test_a_generator_may_write_into_the_array_it_gave():
    def same_array():
        a = np.zeros(2)
        for i in range(4):
            a[:] = i
            yield a

    assert values(Dataset.from_generator(same_array).shuffle(4, seed=0).map(lambda x: x[0]).batch(4))[0] != [3] * 4
    assert values(Dataset.from_generator(same_array).batch(4)) == [[[i, i] for i in range(4)]]


def test_files(tmp_path):
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / name).write_text(name)
    pattern = str(tmp_path / "*.txt")
    read = Dataset.list_files(pattern, shuffle=False).map(lambda path: pathlib.Path(path).read_text())
    assert values(read) == [b"a.txt", b"b.txt"]
    assert sorted(values(Dataset.list_files([pattern, tmp_path / "*.csv"], seed=1))) == sorted(
        str(tmp_path / n).encode() for n in ("a.txt", "b.txt", "c.csv")
    )
    with pytest.raises(FileNotFoundError, match="no file fits"):
        Dataset.list_files(str(tmp_path / "*.png"))


def test_plain_values():
    pairs = Dataset.from_tensor_slices((np.arange(2), ["a", "b"], np.eye(2)))
    first = next(pairs.as_numpy_iterator())
    assert first[:2] == (0, b"a")
    assert isinstance(first[0], np.int64)
    assert isinstance(first[2], np.ndarray)
    first[2][:] = 7
    assert next(pairs.as_numpy_iterator())[2].tolist() == [1, 0], "it may be written"
    assert int(Dataset.range(5).reduce(np.int64(0), lambda s, x: s + x)) == 10
    assert int(Dataset.range(1).get_single_element()) == 0


def test_cached_elements_are_made_once(tmp_path):
    made = []

    def note(x):
        made.append(int(x))
        return x, {"t": "text"}, np.ones(2, "bool")

    for path in ("", str(tmp_path / "folder" / "kept")):
        made.clear()
        dataset = Dataset.range(3).map(note).cache(path)
        next(iter(dataset))
        assert made == [0], "an unfinished pass keeps nothing"
        first = values(dataset)
        assert made == [0, 0, 1, 2]
        assert values(dataset) == first == [(i, {"t": b"text"}, [True, True]) for i in range(3)]
        assert values(dataset.shuffle(3, seed=1)) != first
        assert len(made) == 4
    assert values(Dataset.range(3).map(note).cache(path)) == first, "the file serves other datasets"
    assert len(made) == 4
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["kept"]


def test_damaged_files_of_caches_are_named(tmp_path):
    path = tmp_path / "kept"
    values(Dataset.range(3).cache(str(path)))
    whole = path.read_bytes()
    for damaged, words in ((b"something else", "no file of a dataset"), (whole[:-3], "damaged"), (whole[:30], "damaged")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=words):
            values(Dataset.range(3).cache(str(path)))
    with pytest.raises(ValueError, match="must be strings"):
        values(Dataset.range(1).map(lambda x: {1: x}).cache(str(tmp_path / "other")))


def test_a_dataset_knows_what_its_data_is_called():
    dataset = Dataset.range(3)
    dataset.class_names = ["a", "b"]
    assert dataset.batch(2).prefetch(1).class_names == ["a", "b"]
    with pytest.raises(AttributeError, match="file_paths"):
        _ = dataset.batch(2).file_paths


def test_functions_see_no_tape():
    v = mlkit.Variable(2.0)
    with mlkit.GradientTape() as tape:
        x = next(iter(Dataset.from_tensors(3.0).map(lambda x: x * v)))
        y = x * v
    assert float(tape.gradient(y, v)) == 6.0


def test_compiled_functions_stay_compiled():
    @mlkit.function
    def doubled(x):
        traced.append(1)
        return x * 2

    traced = []
    assert values(Dataset.range(5).map(doubled)) == [0, 2, 4, 6, 8]
    assert len(traced) == 1


def test_threads_work_at_a_time_and_end():
    busy, most, lock = [0], [0], threading.Lock()

    def work(x):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.01)
        with lock:
            busy[0] -= 1
        return x

    assert values(Dataset.range(12).map(work, num_parallel_calls=3)) == list(range(12))
    assert most[0] == 3
    for _ in Dataset.range(12).map(work, num_parallel_calls=3).prefetch(2):
        break
    deadline = time.time() + 5
    while time.time() < deadline and any(t.name.startswith("mlkit") for t in threading.enumerate()):
        time.sleep(0.01)
    assert not [t for t in threading.enumerate() if t.name.startswith("mlkit")]


@pytest.mark.parametrize("workers", [None, 2])
def test_an_error_says_where_it_arose(workers):
    def fails(x):
        if int(x) == 2:
            raise OSError("disk on fire")
        return x

    got = []
    with pytest.raises(OSError, match="disk on fire") as caught:
        for x in Dataset.range(5).map(fails, num_parallel_calls=workers, name="reading"):
            got.append(int(x))
    assert got == [0, 1]
    assert "map 'reading', at element 2" in caught.value.__notes__[0]


def ragged():
    return Dataset.from_generator(lambda: iter([[1], [1, 2]]))


def stops(x):
    raise StopIteration


BAD = {
    "unequal lengths": (lambda: Dataset.from_tensor_slices((np.zeros(3), np.zeros(4))), ValueError, "one first axis"),
    "a scalar": (lambda: Dataset.from_tensor_slices(3), ValueError, "one first axis"),
    "ragged list": (lambda: Dataset.from_tensor_slices([[1], [1, 2]]), ValueError, "A list is one tensor"),
    "objects": (lambda: Dataset.from_tensors(np.array([{}, 1], object)), ValueError, "numbers and strings"),
    "a generator": (lambda: Dataset.from_generator(iter([1])), TypeError, "only once"),
    "both": (lambda: Dataset.from_generator(iter, "int32", output_signature=TensorSpec(())), ValueError, "pass one"),
    "signature": (
        lambda: values(Dataset.from_generator(lambda: iter([[1, 2]]), output_signature=TensorSpec((3,), "int32"))),
        ValueError,
        "element 0 holds",
    ),
    "form of the signature": (
        lambda: values(Dataset.from_generator(lambda: iter([1]), output_signature=(TensorSpec(()),))), ValueError, "form of",
    ),
    "batch size": (lambda: Dataset.range(3).batch(0), ValueError, "must be positive"),
    "batch size as text": (lambda: Dataset.range(3).batch("2"), TypeError, "must be an integer"),
    "shapes of a batch": (lambda: values(ragged().batch(2)), ValueError, "padded_batch"),
    "room": (lambda: values(ragged().padded_batch(2, padded_shapes=[1])), ValueError, "leaves room"),
    "forms of a batch": (
        lambda: values(Dataset.range(2).map(lambda x: (x,) if int(x) else {"a": x}).batch(2)), ValueError, "different forms",
    ),
    "window in a batch": (lambda: values(Dataset.range(4).window(2).batch(2)), ValueError, "flat_map"),
    "flat map": (lambda: values(Dataset.range(3).flat_map(lambda x: x)), TypeError, "must return a Dataset"),
    "apply": (lambda: Dataset.range(3).apply(len), TypeError, "must return a Dataset"),
    "no truth value": (lambda: values(Dataset.range(3).filter(lambda x: x)), TypeError, "one truth value"),
    "no function": (lambda: Dataset.range(3).map(3), TypeError, "expected a function"),
    "stop": (lambda: values(Dataset.range(3).map(stops)), RuntimeError, "StopIteration at element 0"),
    "workers": (lambda: Dataset.range(3).map(abs, num_parallel_calls=0), ValueError, "must be positive"),
    "kind of workers": (lambda: Dataset.range(3).map(abs, workers="fork"), ValueError, "'thread' or 'process'"),
    "local function": (lambda: Dataset.range(3).map(lambda x: x, workers="process"), ValueError, "at the top"),
    "flag": (lambda: Dataset.range(3).map(abs, deterministic="yes"), ValueError, "`deterministic`"),
    "shard": (lambda: Dataset.range(3).shard(2, 2), ValueError, "below `num_shards`"),
    "zip": (lambda: Dataset.zip(Dataset.range(3), [1, 2]), TypeError, "expected Datasets"),
    "kinds": (lambda: Dataset.range(1).concatenate(Dataset.from_tensors(1.5)).element_spec, TypeError, "different kinds"),
    "reduce": (lambda: Dataset.range(3).reduce(np.int64(0), lambda s, x: x / 2), TypeError, "int64"),
    "single": (lambda: Dataset.range(3).get_single_element(), ValueError, "more than one"),
    "weights": (lambda: Dataset.sample_from_datasets([Dataset.range(1)], [1, 2]), ValueError, "`weights`"),
    "by hand": (lambda: Dataset([1, 2]), TypeError, "from_tensor_slices"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name):
    make, error, words = BAD[name]
    with pytest.raises(error, match=words):
        make()
