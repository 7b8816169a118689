"""Folders of images: every kind of file, the same content for the same seed whatever the threads, broken files named."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from mlkit.data import decode
from mlkit.data.decode import decode_image
from mlkit.data.image_folder import image_dataset_from_directory


@pytest.fixture
def folder(tmp_path):
    """Classes ant (6), bee (5), cat (1): pictures of one colour, by which they can be told apart."""
    for c, (name, count) in enumerate({"ant": 6, "bee": 5, "cat": 1}.items()):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("RGB", (12, 8), (c * 100, i * 10, 0)).save(tmp_path / name / f"{i}.png")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    return tmp_path


def load(folder, **options):
    return image_dataset_from_directory(folder, **{"image_size": (4, 6), "verbose": False, "seed": 3, **options})


def epoch(dataset, index=0):
    x, y = zip(*dataset.epoch(index))
    return np.concatenate(x), np.concatenate(y)


def test_images_and_labels(folder):
    dataset = load(folder, shuffle=False, batch_size=5)
    assert dataset.class_names == ["ant", "bee", "cat"]
    assert len(dataset) == 3
    assert len(dataset.file_paths) == 12
    x, y = epoch(dataset)
    assert x.shape == (12, 4, 6, 3)
    assert x.dtype == "float32"
    assert y.dtype == "int32"
    assert y.tolist() == [0] * 6 + [1] * 5 + [2]
    assert x[7, 0, 0].tolist() == [100, 10, 0]


def test_order_and_content_follow_from_seed_and_epoch_alone(folder):
    one, many = load(folder, batch_size=4), load(folder, batch_size=4)
    one.workers, many.workers = 1, 4
    for i in (0, 1):
        for a, b in zip(epoch(one, i), epoch(many, i)):
            assert np.array_equal(a, b)
    assert not np.array_equal(epoch(one, 0)[0], epoch(one, 1)[0])
    assert not np.array_equal(epoch(one, 0)[0], epoch(load(folder, seed=4), 0)[0])


def test_label_modes(folder):
    assert epoch(load(folder, label_mode="categorical", shuffle=False))[1][6].tolist() == [0, 1, 0]
    y = epoch(load(folder, label_mode="binary", class_names=["bee", "ant"], shuffle=False))[1]
    assert y.shape == (11, 1)
    assert y.dtype == "float32"
    assert y[0] == 0
    assert y[-1] == 1
    (images,) = load(folder, labels=None, shuffle=False).epoch(0)
    assert images.shape == (12, 4, 6, 3)
    x, y = epoch(load(folder, labels=list(range(12)), shuffle=False))
    assert y.tolist() == list(range(12))
    x, y = next(load(folder, batch_size=None, shuffle=False).epoch(0))
    assert x.shape == (4, 6, 3)
    assert y.shape == ()


def test_split(folder):
    train, val = load(folder, validation_split=0.25, subset="both")
    assert (len(train.file_paths), len(val.file_paths)) == (9, 3)
    assert not set(train.file_paths) & set(val.file_paths)
    assert load(folder, validation_split=0.25, subset="validation").file_paths == val.file_paths
    assert load(folder, validation_split=0.25, subset="training").file_paths == train.file_paths


def test_the_split_is_that_of_keras(folder):
    order = sorted(str(p) for p in folder.glob("*/*.png"))
    np.random.RandomState(3).shuffle(order)
    assert load(folder, validation_split=0.25, subset="validation").file_paths == order[-3:]


def test_channels_first(folder):
    (x, _), *_ = load(folder, data_format="channels_first", shuffle=False).epoch(0)
    assert x.shape == (12, 3, 4, 6)
    assert x[7, :, 0, 0].tolist() == [100, 10, 0]


def test_broken_files_are_left_out_named_and_counted(folder):
    (folder / "ant" / "2.png").write_bytes(b"")
    truncated = (folder / "bee" / "0.png").read_bytes()[:45]
    (folder / "bee" / "0.png").write_bytes(truncated)
    dataset = load(folder, shuffle=False, batch_size=4)
    with pytest.warns(UserWarning, match=r"2 of 12 image files could not be read(.|\n)*2\.png(.|\n)*0\.png"):
        x, y = epoch(dataset)
    assert len(x) == 10
    assert y.tolist() == [0] * 5 + [1] * 4 + [2]
    assert {p[-9:] for p in dataset.corrupt_files} == {"ant/2.png", "bee/0.png"}


def test_if_nothing_can_be_read_that_is_an_error(folder):
    for file in folder.glob("*/*.png"):
        file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="None of the 12"):
        list(load(folder).epoch(0))


def test_policies_for_broken_files(folder, recwarn):
    (folder / "ant" / "2.png").write_bytes(b"")
    quiet = load(folder, shuffle=False, on_corrupt="skip")
    assert len(epoch(quiet)[0]) == 11
    assert [p[-9:] for p in quiet.corrupt_files] == ["ant/2.png"]
    assert not recwarn.list
    with pytest.raises(ValueError, match=r"2\.png could not be read"):
        epoch(load(folder, on_corrupt="raise"))


def test_files_and_what_a_pass_yields_stay_paired(folder):
    (folder / "ant" / "2.png").write_bytes(b"")
    (folder / "bee" / "0.png").write_bytes(b"no picture")
    for cached in (False, True):
        data = load(folder, shuffle=False, batch_size=4, on_corrupt="skip")
        data = data.cache() if cached else data
        assert len(data.file_paths) == 12, "nothing has been read yet"
        for _ in range(2):
            x, y = epoch(data)
            assert len(x) == len(data.file_paths) == len(data.labels) == 10
            assert y.tolist() == data.labels.tolist()
            assert [data.class_names[k] for k in y] == [p.split(os.sep)[-2] for p in data.file_paths]
        assert len(data.files.paths) == 12
    data = load(folder, shuffle=False, batch_size=4, on_corrupt="nan")
    x, y = epoch(data)
    gaps = [i for i, path in enumerate(data.file_paths) if path in data.corrupt_files]
    assert len(x) == len(data.file_paths) == 12
    assert np.flatnonzero(np.isnan(x).all(axis=(1, 2, 3))).tolist() == gaps == [2, 6]
    assert not np.isnan(np.delete(x, gaps, axis=0)).any()


def test_an_image_that_claims_to_be_huge_is_broken(folder):
    image = bytearray((folder / "ant" / "0.png").read_bytes())
    image[16:24] = b"\x00\x01\x00\x00" * 2  # 65536 x 65536 pixels
    (folder / "ant" / "0.png").write_bytes(image)
    dataset = load(folder, on_corrupt="skip")
    assert len(epoch(dataset)[0]) == 11


def test_augmentation_follows_from_seed_epoch_and_batch_alone(folder):
    from mlkit import layers

    def augmented(seed=5, **options):
        changes = [layers.RandomFlip("vertical"), layers.RandomBrightness(0.5)]
        return load(folder, batch_size=4, **options).augment(changes, seed=seed)

    one = augmented()
    one.workers = 1
    first, second = epoch(one, 0)[0], epoch(one, 1)[0]
    assert first.shape == (12, 4, 6, 3)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, epoch(load(folder, batch_size=4), 0)[0])
    again = augmented()
    next(iter(again.epoch(0)))  # a pass that was given up leaves no trace
    assert np.array_equal(epoch(again, 1)[0], second)
    assert np.array_equal(epoch(again, 0)[0], first)
    assert not np.array_equal(epoch(augmented(seed=6), 0)[0], first)
    (images,) = load(folder, labels=None, shuffle=False).augment(layers.RandomFlip()).epoch(0)
    assert images.shape == (12, 4, 6, 3)


def test_iterating_gives_tensors_and_a_new_epoch_each_time(folder):
    from mlkit.core.tensor import Tensor

    dataset = load(folder)
    first, second = (np.concatenate([x.numpy() for x, _ in dataset]) for _ in range(2))
    assert isinstance(next(iter(dataset))[0], Tensor)
    assert np.array_equal(first, epoch(dataset, 0)[0])
    assert np.array_equal(second, epoch(dataset, 1)[0])


def test_derived_datasets(folder):
    dataset = load(folder, shuffle=False, batch_size=5)
    halved = dataset.map(lambda x, y: (x / 2, y)).take(2).prefetch(-1)
    assert len(halved) == 2
    assert halved.class_names == dataset.class_names
    assert np.array_equal(epoch(halved)[0], epoch(dataset)[0][:10] / 2)
    assert [len(y) for _, y in dataset.skip(1).epoch(0)] == [5, 2]
    cached = load(folder, batch_size=4).map(lambda x, y: (x, y)).cache()
    assert np.array_equal(epoch(cached, 0)[0], epoch(cached, 1)[0])


def test_cached_images_need_no_files(folder):
    broken = folder / "ant" / "broken.jpg"
    broken.write_bytes(b"no image")
    dataset = load(folder, batch_size=4, on_corrupt="skip")
    expected = [epoch(dataset, i) for i in range(3)]
    cached = load(folder, batch_size=4, on_corrupt="skip").cache()
    found = [epoch(cached, 0)]
    for name in dataset.class_names:
        shutil.rmtree(folder / name)
    found += [epoch(cached, i) for i in (1, 2)]
    for (x, y), (expected_x, expected_y) in zip(found, expected):
        assert np.array_equal(x, expected_x)
        assert np.array_equal(y, expected_y)
    assert [*cached.corrupt_files] == [str(broken)]


BAD = {
    "no folder": ({"directory": "nowhere"}, FileNotFoundError, "nowhere"),
    "label mode": ({"label_mode": "text"}, ValueError, "label_mode"),
    "binary": ({"label_mode": "binary"}, ValueError, "exactly 2 classes"),
    "class names": ({"class_names": ["ant", "dog"]}, ValueError, "dog"),
    "colour": ({"color_mode": "bgr"}, ValueError, "grayscale"),
    "filter": ({"interpolation": "cubic"}, ValueError, "bicubic"),
    "size": ({"image_size": (3, 4, 5)}, ValueError, "height, width"),
    "crop and pad": ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, ValueError, "Only one"),
    "split without subset": ({"validation_split": 0.2}, ValueError, "go together"),
    "split without seed": ({"validation_split": 0.2, "subset": "both", "seed": None}, ValueError, "seed"),
    "split of nothing": ({"validation_split": 0.01, "subset": "both"}, ValueError, "cannot be split"),
    "number of labels": ({"labels": [0, 1]}, ValueError, "2 labels"),
    "policy": ({"on_corrupt": "ignore"}, ValueError, "on_corrupt"),
    "format": ({"format": "torch"}, ValueError, "'tf'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(folder, name):
    options, error, words = BAD[name]
    with pytest.raises(error, match=words):
        load(**{"folder": options.get("directory", folder), **{k: v for k, v in options.items() if k != "directory"}})


def test_a_folder_without_classes(tmp_path):
    with pytest.raises(ValueError, match="no sub-folders"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="No files found"):
        load(tmp_path)


class TestDecoding:
    def decode(self, tmp_path, image, name="a.png", save=None, size=(8, 8), **options):
        image.save(tmp_path / name, **(save or {}))
        return decode_image(tmp_path / name, size, **options)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    @pytest.mark.parametrize("color_mode, channels", [("rgb", 3), ("rgba", 4), ("grayscale", 1)])
    def test_every_mode_becomes_every_other(self, tmp_path, mode, color_mode, channels):
        image = (
            Image.fromarray(np.full((8, 8), 40000, "uint16")) if mode == "I;16" else Image.new("L", (8, 8), 200).convert(mode)
        )
        array = self.decode(tmp_path, image, color_mode=color_mode)
        assert array.shape == (8, 8, channels)
        assert array.dtype == "uint8"
        expected = {"1": 255, "I;16": 40000 >> 8}.get(mode, 200)
        assert abs(int(array[0, 0, 0]) - expected) <= 1

    def test_cmyk_photos(self, tmp_path):
        array = self.decode(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg")
        assert array[4, 4, 0] > 200
        assert array[4, 4, 1] < 60

    def test_a_transparent_palette_loses_its_alpha(self, tmp_path):
        image = Image.new("P", (8, 8), 1)
        image.putpalette([0, 0, 0, 10, 20, 30])
        assert self.decode(tmp_path, image, save={"transparency": 0})[0, 0].tolist() == [10, 20, 30]

    def test_exif_orientation(self, tmp_path):
        image = Image.new("RGB", (8, 8))
        image.paste((255, 0, 0), (0, 0, 8, 4))  # red above
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter clockwise
        array = self.decode(tmp_path, image, save={"exif": exif})
        assert [array[0, 7, 0], array[7, 7, 0], array[0, 0, 0]] == [255, 255, 0], "red is at the right now"

    def test_large_photos_are_decoded_small(self, tmp_path, monkeypatch):
        ramp = np.linspace(0, 255, 1600).astype("uint8")
        image = Image.fromarray(np.broadcast_to(ramp, (1200, 1600)))
        image.save(tmp_path / "a.jpg", quality=95)
        drafted = []
        from PIL import JpegImagePlugin

        draft = JpegImagePlugin.JpegImageFile.draft
        monkeypatch.setattr(
            JpegImagePlugin.JpegImageFile, "draft", lambda self, *a: (draft(self, *a), drafted.append(self.size))[0]
        )
        monkeypatch.setattr(decode, "is_installed", lambda package: False)
        array = decode_image(tmp_path / "a.jpg", (64, 64), "grayscale")
        assert drafted == [(200, 150)]
        assert np.abs(array[:, :, 0] - np.linspace(2, 253, 64)).max() < 3

    def test_fits(self, tmp_path):
        image = Image.new("RGB", (40, 20), (0, 0, 255))
        image.paste((255, 0, 0), (10, 0, 30, 20))  # the middle square is red
        cropped = self.decode(tmp_path, image, fit="crop", size=(10, 10))
        assert (cropped[..., 0] > 200).mean() > 0.8
        padded = self.decode(tmp_path, image, fit="pad", size=(40, 40))
        assert not padded[:10].any()
        assert not padded[30:].any()
        assert padded[20, 20, 0] == 255
        stretched = self.decode(tmp_path, image, size=(10, 10))
        assert stretched[5, 1].tolist() == [0, 0, 255]
        assert stretched[5, 5].tolist() == [255, 0, 0]
