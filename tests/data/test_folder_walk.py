"""What is taken from a folder, what is passed over, and that this is said."""

import os

import numpy as np
import pytest
from PIL import Image

from mlkit.data import folder_walk, photo_kinds
from mlkit.data.folder_walk import FolderWalk
from mlkit.data.image_folder import image_dataset_from_directory
from mlkit.data.photo_kinds import readable_formats


def photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), 90, "uint8")).save(path)


def load(folder, **options):
    return image_dataset_from_directory(folder, **{"image_size": (8, 8), "shuffle": False, "verbose": False, **options})


@pytest.mark.filterwarnings("error")
def test_every_kind_that_pillow_reads_is_taken(tmp_path):
    endings = ["jpg", "JPG", "jpeg", "jfif", "png", "gif", "bmp", "tif", "tiff"]
    endings += [e[1:] for e in (".webp", ".avif", ".jp2") if e in readable_formats()]
    for i, ending in enumerate(endings):
        photo(tmp_path / "a" / f"{i:02}.{ending}")
    data = load(tmp_path)
    assert len(data.file_paths) == len(endings)
    assert len(np.concatenate([x for x, _ in data.epoch(0)])) == len(endings)


def test_what_cannot_be_read_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_kinds, "_heif_opens", lambda: False)
    readable_formats.cache_clear()
    photo(tmp_path / "a" / "1.jpg")
    for name in ("1.HEIC", "2.heic", "3.CR2", "notes.txt", "._1.jpg"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "empty").mkdir()
    try:
        with pytest.warns(UserWarning) as said:
            data = load(tmp_path)
    finally:
        readable_formats.cache_clear()
    text = str(said[0].message)
    assert "2 .heic files: pip install pillow-heif" in text
    assert "1 .cr2 file: raw files of a camera: save them as JPEG" in text
    assert "no file in class empty" in text
    assert ".txt" not in text
    assert [os.path.basename(p) for p in data.file_paths] == ["1.jpg"]
    assert data.class_names == ["a", "empty"], "as in Keras"


def test_a_folder_of_photos_that_cannot_be_read_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_kinds, "_heif_opens", lambda: False)
    readable_formats.cache_clear()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.heic").touch()
    try:
        with pytest.raises(ValueError, match="1 .heic file: pip install pillow-heif"):
            load(tmp_path)
    finally:
        readable_formats.cache_clear()


def test_what_machines_leave_behind_is_no_data(tmp_path):
    photo(tmp_path / "a" / "1.jpg")
    for rest in ("__MACOSX/a", ".ipynb_checkpoints", "a/.ipynb_checkpoints", "a/__MACOSX"):
        photo(tmp_path / rest / "1-checkpoint.jpg")
    (tmp_path / "a" / "._1.jpg").write_bytes(b"\0\5\26\7")
    data = load(tmp_path)
    assert data.class_names == ["a"]
    assert [os.path.relpath(p, tmp_path) for p in data.file_paths] == [os.path.join("a", "1.jpg")]


def test_loops_of_links_end_and_links_are_followed_once(tmp_path):
    photo(tmp_path / "photos" / "a" / "1.jpg")
    photo(tmp_path / "elsewhere" / "2.jpg")
    (tmp_path / "photos" / "a" / "loop").symlink_to(tmp_path / "photos", target_is_directory=True)
    (tmp_path / "photos" / "a" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "photos" / "a" / "gone").symlink_to(tmp_path / "nowhere")
    walk = FolderWalk(tmp_path / "photos", (".jpg",), follow_links=True)
    assert [os.path.basename(p) for p in walk.files("a")] == ["1.jpg", "2.jpg"]
    assert [os.path.basename(p) for p in FolderWalk(tmp_path / "photos", (".jpg",)).files()] == ["1.jpg"]


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    photo(tmp_path / "a" / "1.jpg")
    photo(tmp_path / "a" / "locked" / "2.jpg")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(folder_walk.os, "scandir", refusing)
    with pytest.warns(UserWarning, match=r"folder .*locked cannot be read \(Permission denied\)"):
        assert len(load(tmp_path).file_paths) == 1
