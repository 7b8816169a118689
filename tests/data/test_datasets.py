"""The standard data sets: the packaged digits, and the readers of the others on files like theirs."""

import gzip
import io
import json
import pickle
import struct

import numpy as np
import pytest

from mlkit.data import plain_pickle
from mlkit.datasets import (
    aerial_trees,
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    digits,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
    source,
    text,
)


def test_digits_are_split_by_class_and_seed():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (4500, 28, 28)
    assert x_test.dtype == "uint8"
    assert x_test.max() == 255
    assert np.bincount(y_test).tolist() == [50] * 10
    assert np.bincount(y_train).tolist() == [450] * 10
    together = {x.tobytes() for x in x_train} & {x.tobytes() for x in x_test}
    assert not together
    assert np.array_equal(digits.load_data()[1][0], x_test)
    assert not np.array_equal(digits.load_data(seed=1)[1][0], x_test)
    assert len(digits.load_data(test_size=1000)[0][1]) == 4000
    with pytest.raises(ValueError, match="multiple of 10"):
        digits.load_data(test_size=55)


def test_aerial_trees_are_unpacked_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MLKIT_HOME", str(tmp_path))
    (x_train, y_train), (x_test, y_test) = aerial_trees.load_data()
    assert x_train.shape == (500, 96, 96, 3)
    assert x_train.dtype == "uint8"
    assert x_test.shape[0] == 300
    assert np.bincount(y_train).tolist() == [250] * 2
    assert np.bincount(y_test).tolist() == [150] * 2
    assert x_train[y_train == 0].mean() != x_train[y_train == 1].mean()
    made = (tmp_path / "datasets" / "aerial_trees").stat().st_mtime_ns
    assert aerial_trees.folder() == str(tmp_path / "datasets" / "aerial_trees")
    assert (tmp_path / "datasets" / "aerial_trees").stat().st_mtime_ns == made


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Downloads are replaced by files in a folder; what is asked for is written down."""
    asked = []

    def fetch(path, name, file_hash, cache_subdir="datasets"):
        asked.append((name, file_hash))
        return tmp_path / name

    def get_file(fname, origin, extract=False, file_hash=None):
        asked.append((origin, file_hash))
        return tmp_path

    for module in (mnist, fashion_mnist, imdb, reuters, boston_housing, california_housing):
        monkeypatch.setattr(module, "fetch", fetch)
    for module in (cifar10, cifar100):
        monkeypatch.setattr(module, "get_file", get_file)
    return tmp_path, asked


def test_mnist(files):
    folder, asked = files
    np.savez(folder / "mnist.npz", x_train=np.zeros((2, 28, 28)), y_train=[1, 2], x_test=np.zeros((1, 28, 28)), y_test=[3])
    (_, y_train), (x_test, _) = mnist.load_data()
    assert y_train.tolist() == [1, 2]
    assert x_test.shape == (1, 28, 28)
    assert len(asked[0][1]) == 64


def test_fashion_mnist(files):
    folder, asked = files
    images, labels = np.arange(2 * 28 * 28, dtype="uint8").reshape(2, 28, 28), np.array([7, 9], "uint8")
    for name in fashion_mnist._HASHES:
        array = images if "images" in name else labels
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / name).write_bytes(gzip.compress(header + array.tobytes()))
    (x_train, _y_train), (_x_test, y_test) = fashion_mnist.load_data()
    assert np.array_equal(x_train, images)
    assert y_test.tolist() == [7, 9]
    assert len({h for _, h in asked}) == 4


def test_idx_files_are_checked(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 5) + b"123"))
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        fashion_mnist.read_idx(tmp_path / "a")
    (tmp_path / "a").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(ValueError, match="no IDX file"):
        fashion_mnist.read_idx(tmp_path / "a")


def test_cifar(files):
    folder, _ = files
    names = [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)] + ["cifar-10-batches-py/test_batch"]
    for i, name in enumerate([*names, "cifar-100-python/train", "cifar-100-python/test"]):
        (folder / name).parent.mkdir(exist_ok=True)
        content = {
            b"data": np.full((2, 3072), i, "uint8"),
            b"labels": [i, 9],
            b"fine_labels": [99, i],
            b"coarse_labels": [19, i],
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    (x_train, y_train), (x_test, _) = cifar10.load_data()
    assert x_train.shape == (10, 32, 32, 3)
    assert y_train.tolist() == [[v] for i in range(5) for v in (i, 9)]
    assert x_test.max() == 5
    assert cifar100.load_data()[0][1].tolist() == [[99], [6]]
    assert cifar100.load_data("coarse")[1][1][0] == 19
    with pytest.raises(ValueError, match="label_mode"):
        cifar100.load_data("medium")


def ragged(*lists):
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


def test_reviews(files):
    folder, _ = files
    texts = ragged([1, 2, 3], [4], [5, 6], [7, 8, 9, 10])
    np.savez(folder / "imdb.npz", x_train=texts, y_train=[0, 1, 0, 1], x_test=texts, y_test=[0, 1, 0, 1])
    (x_train, y_train), _ = imdb.load_data()
    order = np.arange(4)
    np.random.RandomState(113).shuffle(order)
    first = texts[order[0]]
    # words are known up to the largest number (exclusive), the rest is 2
    assert x_train[0] == [1, *(w + 3 if w + 3 < 13 else 2 for w in first)]
    assert y_train[0] == [0, 1, 0, 1][order[0]]
    (x_train, _), _ = imdb.load_data(maxlen=4, oov_char=None, num_words=8)
    assert sorted(map(len, x_train)) == [1, 2]
    with pytest.raises(ValueError, match="maxlen=1"):
        imdb.load_data(maxlen=1)
    (folder / "imdb_word_index.json").write_text(json.dumps({"film": 1}))
    assert imdb.get_word_index() == {"film": 1}


def test_newswires(files):
    folder, _ = files
    np.savez(folder / "reuters.npz", x=ragged(*[[i, i + 1] for i in range(10)]), y=np.arange(10))
    (x_train, y_train), (x_test, y_test) = reuters.load_data(test_split=0.3)
    assert (len(x_train), len(x_test)) == (7, 3)
    assert sorted([*y_train, *y_test]) == list(range(10))
    assert len(reuters.get_label_names()) == 46
    assert reuters.get_label_names()[3] == "earn"


def test_texts_without_marks():
    assert text.number_words([[1, 2]], start_char=None, index_from=0) == [[1, 2]]


@pytest.mark.parametrize("module", [boston_housing, california_housing])
def test_houses(module, files):
    folder, _ = files
    name = module.__name__.rpartition(".")[2]
    np.savez(folder / f"{name}.npz", x=np.arange(1000.0)[:, None], y=np.arange(1000.0))
    (x_train, _y_train), (x_test, y_test) = module.load_data()
    assert len(x_train) == 800
    assert np.array_equal(x_test[:, 0], y_test)
    with pytest.raises(ValueError, match="test_split"):
        module.load_data(test_split=1.0)
    if module is california_housing:
        assert len(module.load_data(version="small")[0][0]) == 480
        with pytest.raises(ValueError, match="version"):
            module.load_data(version="huge")


def test_the_address_and_hash_are_those_of_keras(monkeypatch):
    calls = []
    monkeypatch.setattr(source, "get_file", lambda *args, **kwargs: calls.append((args, kwargs)))
    source.fetch("mine.npz", "mnist.npz", "abc")
    (((path,), options),) = calls
    assert path == "mine.npz"
    assert options["origin"].endswith("/tf-keras-datasets/mnist.npz")
    assert options["file_hash"] == "abc"


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_pickles_that_could_run_are_refused(tmp_path, capsys):
    (tmp_path / "a").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(pickle.UnpicklingError, match="builtins.print"):
        plain_pickle.load_pickle(tmp_path / "a")
    buffer = io.BytesIO()
    np.savez(buffer, x=ragged(Evil(), 1))
    (tmp_path / "b").write_bytes(buffer.getvalue())
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        plain_pickle.load_npz(tmp_path / "b")
    assert "executed" not in capsys.readouterr().out


def test_npz_files_with_plain_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones((2, 2), "float32"))
    file = plain_pickle.load_npz(tmp_path / "a.npz")
    assert file["x"].tolist() == [0, 1, 2]
    assert file["y"].dtype == "float32"


def test_npy_files_of_arrays_and_of_dicts():
    def kept(array):
        file = io.BytesIO()
        np.save(file, array)
        file.seek(0)
        return file

    np.testing.assert_array_equal(plain_pickle.load_npy(kept(np.arange(6).reshape(2, 3))), [[0, 1, 2], [3, 4, 5]])
    found = plain_pickle.load_npy(kept(np.array({"x": [np.ones(2), np.ones(3)], "names": ["a", "b"]}, object))).item()
    assert [len(v) for v in found["x"]] == [2, 3]
    assert found["names"] == ["a", "b"]
    with pytest.raises(pickle.UnpicklingError, match="builtins.print"):
        plain_pickle.load_npy(kept(np.array(Evil(), object)))


def test_time_series_windows():
    from mlkit.data.timeseries import timeseries_dataset_from_array as windows

    data = np.arange(20)
    strided = list(windows(data, None, sequence_length=3, sequence_stride=4, sampling_rate=2, batch_size=10))
    assert strided[0].tolist() == [[0, 2, 4], [4, 6, 8], [8, 10, 12], [12, 14, 16]]
    x, y = next(iter(windows(data, data + 100, 4, start_index=5, end_index=12)))
    assert x[0].tolist() == [5, 6, 7, 8]
    assert len(x) == 4
    assert y.tolist() == [105, 106, 107, 108]
    single = windows(data, data, 2, batch_size=None)
    assert len(single) == 19
    x, y = list(single)[3]
    assert x.tolist() == [3, 4]
    assert int(y) == 3
    assert windows(data, data, 2).element_spec[0].shape == (None, 2)
    shuffled = windows(data, None, 2, batch_size=32, shuffle=True, seed=1)
    (first,), (second,) = shuffled, shuffled
    (again,) = windows(data, None, 2, batch_size=32, shuffle=True, seed=1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert sorted(first.numpy()[:, 0].tolist()) == list(range(19))
    for bad, words in (({"sequence_length": 30}, "No window"), ({"sampling_rate": 0}, "at least 1")):
        with pytest.raises(ValueError, match=words):
            windows(**{"data": data, "targets": None, "sequence_length": 3, **bad})
    with pytest.raises(ValueError, match="'tf'"):
        windows(data, None, 3, format="torch")
