"""Tables of labels, and files cut into parts by class."""

import numpy as np
import pytest

from mlkit.data.class_split import fold_by_class, split_by_class
from mlkit.data.duplicates import duplicates
from mlkit.data.folder_index import Files, PassedOverWarning
from mlkit.data.label_table import read_label_table

pytestmark = pytest.mark.filterwarnings("default::mlkit.data.folder_index.PassedOverWarning")  # photos that tables leave out


def files(*counts):
    labels = np.concatenate([[k] * n for k, n in enumerate(counts)]).astype("int32")
    return Files([f"{i}.jpg" for i in range(len(labels))], labels, [f"c{k}" for k in range(len(counts))])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("counts", [(60, 2, 5), (1, 1, 10), (2, 2), (100, 1)])
def test_each_part_has_its_share_of_each_class(counts, seed):
    whole = files(*counts)
    train, val = split_by_class(whole, 0.2, seed)
    assert sorted(train.paths + val.paths) == sorted(whole.paths)
    for name, n in whole.counts().items():
        assert train.counts()[name] >= 1
        assert val.counts()[name] == (min(max(round(0.2 * n), 1), n - 1))
    assert split_by_class(whole, 0.2, seed)[1].paths == val.paths
    assert all(whole.labels[whole.paths.index(p)] == k for p, k in zip(val.paths, val.labels))


def test_each_file_is_in_one_fold_and_classes_are_spread():
    whole = files(13, 5, 2)
    parts = [fold_by_class(whole, i, 4, seed=3) for i in range(4)]
    assert sorted(p for _, val in parts for p in val.paths) == sorted(whole.paths)
    for train, val in parts:
        assert not set(train.paths) & set(val.paths)
        assert 4 <= len(val.paths) <= 6
        assert abs(val.counts()["c0"] - 13 / 4) < 1.5
    with pytest.raises(ValueError, match="cannot be cut into 30 folds"):
        fold_by_class(whole, 0, 30, seed=0)


def test_equal_files_are_found(tmp_path):
    for name, content in {"a": b"1234", "b": b"1234", "c": b"1243", "d": b"12345", "e": b"", "f": b""}.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in "abcdefg"]
    assert duplicates(paths) == [paths[:2]]


@pytest.fixture
def photos(tmp_path):
    for name in ("1.jpg", "2.jpg", "more/3.png", "more/4.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def read(photos, text, **options):
    (photos / "labels.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    return read_label_table("labels.csv", photos, **options)


def test_a_class_a_photo(photos):
    found, task = read(photos, "\ufefflabel,filename\ncat,2.jpg\ndog,more/3.png\ncat,4\n\n")
    assert task == "classification"
    assert [p.removeprefix(str(photos) + "/") for p in found.paths] == ["2.jpg", "more/3.png", "more/4.webp"]
    assert found.class_names == ["cat", "dog"]
    assert found.labels.tolist() == [0, 1, 0]
    assert read(photos, "id\tbreed\n1\t3\n2\t5\n")[0].class_names == ["3", "5"]
    assert read(photos, "id;breed\n1;b\n2;a\n", class_names=["b", "a"])[0].labels.tolist() == [0, 1]


def test_several_classes_a_photo(photos):
    found, task = read(photos, "photo,tags\n1.jpg,sea; sky\n2.jpg,sky\n3.png,sea|boat\n")
    assert (task, found.class_names) == ("multi_label", ["boat", "sea", "sky"])
    assert found.labels.tolist() == [[0, 1, 1], [0, 0, 1], [1, 1, 0]]
    found, task = read(photos, "photo,sea,sky\n1.jpg,1,1\n2.jpg,0,0\n")
    assert (task, found.class_names, found.labels.tolist()) == ("multi_label", ["sea", "sky"], [[1, 1], [0, 0]])
    assert split_by_class(found, 0.5, 0)


def test_numbers(photos):
    found, task = read(photos, "photo,age\n1.jpg,1.5\n2.jpg,2\n")
    assert (task, found.class_names, found.labels.tolist()) == ("regression", None, [[1.5], [2]])
    assert read(photos, "photo,age\n1.jpg,1\n2.jpg,2\n", task="regression")[0].labels.tolist() == [[1], [2]]
    assert read(photos, "photo,x,y\n1.jpg,3,2\n2.jpg,2,1\n")[1] == "regression"
    with pytest.raises(ValueError, match="must be numbers"):
        read(photos, "photo,age\n1.jpg,old\n", task="regression")


BAD = {
    "photos missing": ("file,label\n1.jpg,a\n9.jpg,b\n", r"9\.jpg are not below"),
    "twice": ("file,label\n1.jpg,a\n1.jpg,b\n", "in the table twice"),
    "empty cell": ("file,label\n1.jpg,\n", "line 2: there is an empty cell"),
    "cells": ("file,label\n1.jpg,a,b\n", "line 2: 3 cells"),
    "one column": ("file\n1.jpg\n", "only"),
    "nothing": ("file,label\n", "a line for each photo"),
    "no line of names": ("1.jpg,a\n2.jpg,b\n", "first line must name the columns"),
    "not UTF-8": ("file,label\n1.jpg,a\n2.jpg,b\udce4\n", "line 3: this is no text in UTF-8"),
    "not a number": ("file,x\n1.jpg,0.5\n2.jpg,nan\n", "'x' are .finite. ones"),
    "more columns": ("file,label,split\n1.jpg,a,train\n2.jpg,b,val\n", r"label, split\) must hold 0 or 1"),
    "names of columns": ("file,x,x\n1.jpg,1,0.5\n", "several columns are called 'x'"),
    "columns": ("file,a,b\n1.jpg,1,0\n2.jpg,x,0\n", "must"),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_that_do_not_fit_say_where(name, photos):
    text, words = BAD[name]
    with pytest.raises(ValueError, match=words):
        read(photos, text, task="classification" if name == "columns" else None)


SAME = {
    "quotes": 'file,label\n"1.jpg","a"\n"2.jpg","b, or\n""c"""\n',
    "UTF-16": "file\tlabel\n1.jpg\ta\n2.jpg\tb".encode("utf-16"),
    "row numbers": ",file,label\n0,1.jpg,a\n1,2.jpg,b\n",
    "flags": "file,a,b\n1.jpg,True,False\n2.jpg,False,True\n",
    "numbers that are flags": "file,a,b\n1.jpg,1.0,0.0\n2.jpg,0.0,1.0\n",
    "whole paths": "file,label\nHERE/1.jpg,a\nHERE/2.jpg,b\n",
}


@pytest.mark.parametrize("name", SAME)
def test_tables_as_programs_write_them(name, photos):
    text = SAME[name]
    data = text if isinstance(text, bytes) else text.replace("HERE", str(photos)).encode()
    (photos / "labels.csv").write_bytes(data)
    with pytest.warns(PassedOverWarning, match="2 photos are not in .*labels.csv, so left out"):
        found, _ = read_label_table("labels.csv", photos)
    labels = found.labels.argmax(axis=1) if found.labels.ndim == 2 else found.labels
    assert (len(found.class_names), labels.tolist()) == (2, [0, 1])
    assert [p[-5:] for p in found.paths] == ["1.jpg", "2.jpg"]


def test_decimal_commas_are_numbers(photos):
    found, task = read(photos, "file;age\n1.jpg;1,5\n2.jpg;2,25\n")
    assert (task, found.labels.tolist()) == ("regression", [[1.5], [2.25]])


def test_no_table(photos):
    with pytest.raises(FileNotFoundError, match="no table of labels 'other.csv'"):
        read_label_table("other.csv", photos)
    (photos / "sub").mkdir()
    (photos / "sub" / "1.jpg").touch()
    (photos / "1.jpg").unlink()
    (photos / "more" / "1.jpg").touch()
    with pytest.raises(ValueError, match=r"1\.jpg are there several times"):
        read(photos, "file,label\n1.jpg,a\n")
