"""Files and folders arrive whole or not at all, and what killed processes left goes."""

import os

import pytest

from mlkit.utils.atomic import arriving, arriving_file, remove_unfinished


def fill(path, text):
    os.makedirs(path, exist_ok=True)
    (path / "a.txt").write_text(text)
    return path


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_what_belongs_to_a_file_arrives_with_it(tmp_path):
    (tmp_path / "model.xml").write_text("old")
    with arriving(tmp_path / "model.xml") as part:
        for ending, text in ((".xml", "new"), (".bin", "weights")):
            with open(os.path.splitext(part)[0] + ending, "w") as file:
                file.write(text)
        assert (tmp_path / "model.xml").read_text() == "old"
    assert (tmp_path / "model.xml").read_text() == "new"
    assert names(tmp_path) == ["model.bin", "model.xml"]


def test_after_an_error_nothing_has_changed(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyError), arriving(tmp_path / "a") as part, open(part, "w") as file:
        file.write("half")
        raise KeyError
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_file_alone_arrives_likewise(tmp_path):
    (tmp_path / "a").write_text("old")
    mode = (tmp_path / "a").stat().st_mode
    with pytest.raises(KeyError), arriving_file(tmp_path / "a") as file:
        file.write(b"half")
        raise KeyError
    assert (names(tmp_path), (tmp_path / "a").read_text()) == (["a"], "old")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with arriving_file(tmp_path / "link") as file:
        file.write(b"new")
        assert (tmp_path / "a").read_text() == "old"
        left, *others = names(tmp_path)
        assert others == ["a", "link"]
        (tmp_path / f"{left[:-12]}00000000.tmp").write_text("of a process that was killed")
    assert ((tmp_path / "a").read_text(), (tmp_path / "a").stat().st_mode) == ("new", mode)
    remove_unfinished(tmp_path, "a")
    assert names(tmp_path) == ["a", "link"]
    with pytest.raises(FileNotFoundError, match="cannot be written to"), arriving_file(tmp_path / "none" / "a"):
        raise AssertionError("there is no place for it")


def test_a_folder_makes_way_for_one_and_comes_back_where_that_fails(tmp_path, monkeypatch):
    place = fill(tmp_path / "model", "old")
    with arriving(place) as part:
        os.makedirs(f"{part}/below")
        (tmp_path / "model" / "a.txt").write_text("still old")
        with open(f"{part}/below/b.txt", "w") as file:
            file.write("new")
    assert names(place) == ["below"]

    rename = os.rename

    def failing(old, new):
        if os.path.basename(old) == "model" and str(new) == str(place):
            raise OSError(5, "the disk is gone")
        rename(old, new)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"), arriving(place) as part:
        os.mkdir(part)
    assert names(place) == ["below"]
    assert names(tmp_path) == ["model"]


def test_a_link_leads_to_what_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "a")
    with arriving(tmp_path / "link", sync=False) as part, open(part, "w") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "a").read_text() == "new"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="the folder '.*nowhere' cannot be written to"),
        arriving(tmp_path / "nowhere" / "a"),
    ):
        raise AssertionError("there is no place for it")


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    fill(tmp_path / ".backup_3.npz.0a1b2c3d.tmp", "half")
    for name in (".backup_4.npz.0a1b2c3d.tmp", ".backup_4.npz.mine.tmp", "backup_4.npz", ".other.0a1b2c3d.tmp"):
        (tmp_path / name).write_text("")
    remove_unfinished(tmp_path, "backup_*.npz", "state.json")
    assert names(tmp_path) == [".backup_4.npz.mine.tmp", ".other.0a1b2c3d.tmp", "backup_4.npz"]
    remove_unfinished(tmp_path / "nowhere", "*")
