"""Folders of texts and sounds; datasets in two parts; datasets as grain's."""

import random
import struct
import sys
import tracemalloc
import wave

import numpy as np
import pytest

import mlkit
from mlkit.data import Dataset, folder_index, folder_walk, image_folder, sound
from mlkit.data.labelled_files import FileNames
from mlkit.utils import audio_dataset_from_directory, split_dataset, text_dataset_from_directory


@pytest.fixture
def texts(tmp_path):
    for label, count in (("bad", 3), ("good", 4)):
        (tmp_path / label).mkdir()
        for i in range(count):
            (tmp_path / label / f"{i}.txt").write_text(f"{label} {i} é", encoding="utf-8")
    return tmp_path


def load(folder, **options):
    return text_dataset_from_directory(folder, **{"seed": 1, "verbose": False, **options})


def test_texts(texts):
    dataset = load(texts, shuffle=False, batch_size=5)
    assert dataset.class_names == ["bad", "good"]
    assert len(dataset) == 2
    assert len(dataset.file_paths) == 7
    x, y = next(iter(dataset))
    assert x.numpy()[0].decode() == "bad 0 é"
    assert x.numpy().shape == (5,)
    assert y.tolist() == [0, 0, 0, 1, 1]
    assert dataset.element_spec[0].dtype == "string"
    layer = mlkit.layers.TextVectorization()
    layer.adapt(dataset.map(lambda x, y: x))
    assert layer.vocabulary_size() == 9
    numbers, _ = next(iter(dataset.map(lambda x, y: (layer(x), y))))
    assert numbers.shape == (5, 3)


def test_texts_are_shuffled_split_and_cut(texts):
    shuffled = load(texts)
    first, second = ([str(t) for x, _ in shuffled for t in x] for _ in range(2))
    assert sorted(first) == sorted(second)
    assert first != second
    assert first == [str(t) for x, _ in load(texts) for t in x]
    train, val = load(texts, validation_split=0.3, subset="both")
    assert (len(train.file_paths), len(val.file_paths)) == (5, 2)
    assert not {*train.file_paths} & {*val.file_paths}
    (x,) = load(texts, max_length=7, labels=None, shuffle=False).take(1)
    assert x.numpy()[:4].tolist() == [b"bad 0 ", b"bad 1 ", b"bad 2 ", b"good 0 "]
    one, label = next(iter(load(texts, batch_size=None, label_mode="categorical", shuffle=False)))
    assert one.numpy() == "bad 0 é".encode()
    assert label.tolist() == [1, 0]
    assert next(iter(load(texts, label_mode="binary")))[1].shape == (7, 1)
    (texts / "empty").mkdir()
    with pytest.raises(ValueError, match=r"\.txt"):
        load(texts / "empty", labels=None)


def write_sound(path, samples, rate=8000, width=2):
    samples = np.atleast_2d(samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(width)
        file.setframerate(rate)
        whole = np.round(samples.T * 2.0 ** (8 * width - 1)).astype("int64").reshape(-1)
        if width == 1:
            whole = whole + 128
        file.writeframes(b"".join(struct.pack("<q", int(n))[:width] for n in whole))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_every_width(tmp_path, width):
    samples = np.array([[0.0, 0.5, -0.5, -1.0], [0.25, 0, 0, 0.75]])
    write_sound(tmp_path / "a.wav", samples, 11025, width)
    found, rate = sound.decode_sound(str(tmp_path / "a.wav"))
    assert rate == 11025
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, samples.T, atol=1e-2 if width == 1 else 1e-4)


@pytest.fixture
def sounds(tmp_path):
    for i, label in enumerate(("cat", "dog")):
        (tmp_path / label).mkdir()
        for j in range(2):
            write_sound(tmp_path / label / f"{j}.wav", np.full(100 + 20 * j, 0.5 - i))
    return tmp_path


def test_sounds(sounds):
    dataset = audio_dataset_from_directory(sounds, shuffle=False, verbose=False)
    ((x, y),) = dataset
    assert x.shape == (4, 120, 1)
    assert x.numpy()[0, 99:101, 0].tolist() == [0.5, 0]
    assert y.tolist() == [0, 0, 1, 1]
    assert dataset.class_names == ["cat", "dog"]
    cut = audio_dataset_from_directory(sounds, output_sequence_length=110, verbose=False)
    assert cut.element_spec[0].shape[1:] == (110, None)
    assert next(iter(cut))[0].shape == (4, 110, 1)
    halved = audio_dataset_from_directory(
        sounds, sampling_rate=4000, batch_size=None, shuffle=False, labels=None, verbose=False
    )
    assert [x.shape for x in halved] == [(50, 1), (60, 1)] * 2
    with pytest.raises(NotImplementedError, match="padded"):
        audio_dataset_from_directory(sounds, ragged=True)
    with pytest.raises(ValueError, match="exclude"):
        audio_dataset_from_directory(sounds, ragged=True, output_sequence_length=5)


@pytest.mark.parametrize("wanted", [4000, 11025, 8000, 44100])
def test_resampled_sounds_keep_their_tones(wanted):
    low = lambda rate: np.sin(2 * np.pi * 440 * np.arange(int(rate * 0.2)) / rate)[:, None]
    found = sound.resample(low(8000), 8000, wanted)
    expected = low(wanted)
    middle = slice(len(expected) // 4, 3 * len(expected) // 4)
    assert len(found) == len(expected)
    assert np.abs(found[middle] - expected[middle]).max() < 0.01


def test_tones_that_the_new_rate_cannot_carry_are_dropped():
    high = np.sin(2 * np.pi * 3500 * np.arange(8000) / 8000)[:, None]
    assert np.abs(sound.resample(high, 8000, 4000)[200:-200]).max() < 0.01


def test_broken_sounds_and_other_kinds_are_named(sounds, monkeypatch):
    (sounds / "cat" / "0.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"0\.wav could not be read"):
        list(audio_dataset_from_directory(sounds, verbose=False))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    (sounds / "cat" / "0.wav").rename(sounds / "cat" / "0.flac")
    with pytest.raises(ImportError, match="pip install soundfile"):
        list(audio_dataset_from_directory(sounds, verbose=False))


def test_other_kinds_of_sounds(tmp_path):
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    soundfile.write(tmp_path / "a.flac", np.full((50, 2), 0.5), 8000)
    (x,) = audio_dataset_from_directory(tmp_path, labels=None, verbose=False)
    assert x.shape == (1, 50, 2)
    assert x.numpy()[0, 0, 0] == 0.5


def test_a_folder_of_very_many_files_takes_little_memory(monkeypatch):
    """A path, a label, a place in the order: nothing is read or kept that is not in a batch."""
    count, read = 100_000, []
    names = [f"{i:06}.png" for i in range(count)]
    monkeypatch.setattr(folder_walk.FolderWalk, "_listed", lambda self, folder: (list(names), []))
    monkeypatch.setattr(folder_index.os.path, "isdir", lambda path: True)
    monkeypatch.setattr(image_folder, "decode_image", lambda path, **options: read.append(path) or np.zeros((8, 8, 3), "uint8"))
    tracemalloc.start()
    try:
        dataset = image_folder.image_dataset_from_directory("f", labels=None, image_size=(8, 8), seed=1, verbose=False)
        one = dataset.epoch(0)
        shapes = {next(one).shape for _ in range(10)}
        one.close()
        files = Dataset(FileNames(folder_index.Files(dataset.file_paths, None, None), None)).shuffle(count, seed=1).batch(4)
        next(files.epoch(0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shapes == {(32, 8, 8, 3)}
    assert len(dataset.file_paths) == count
    assert 10 * 32 <= len(read) < 1000
    assert peak < 60e6


# ---- in two parts --------------------------------------------------------------------------------------------------------------


def values(dataset):
    return [mlkit.tree.map_structure(lambda x: x.tolist(), element) for element in dataset]


def test_a_dataset_in_two_parts():
    left, right = split_dataset(np.arange(10), left_size=0.7)
    assert (values(left), values(right)) == (list(range(7)), [7, 8, 9])
    left, right = split_dataset([np.arange(4), np.arange(4) * 10], right_size=1)
    assert values(right) == [(3, 30)]
    left, right = split_dataset(Dataset.range(10).batch(3), left_size=4, right_size=5)
    assert (values(left), values(right)) == ([[0, 1, 2], [3]], [[5, 6, 7], [8, 9]])
    mapped = Dataset.range(6).shuffle(6, seed=1).map(lambda x: x * 2)
    left, right = split_dataset(mapped, 0.5)
    assert sorted(values(left) + values(right)) == [0, 2, 4, 6, 8, 10]
    assert values(split_dataset([1, 2, 3], 1)[0]) == [1]


def test_the_order_of_a_split_is_that_of_keras():
    order = list(range(20))
    random.Random(3).shuffle(order)  # as Keras does it
    left, right = split_dataset(np.arange(20), 0.6, shuffle=True, seed=3)
    assert values(left) + values(right) == order


@pytest.mark.parametrize(
    "sizes, words",
    [
        ({}, "pass"),
        ({"left_size": 1.5}, "fraction"),
        ({"left_size": 11}, "between"),
        ({"left_size": 6, "right_size": 5}, "cannot be split"),
    ],
)
def test_sizes_that_do_not_fit(sizes, words):
    with pytest.raises(ValueError, match=words):
        split_dataset(np.arange(10), **sizes)


# ---- grain ----------------------------------------------------------------------------------------------------------------------


def test_without_grain_its_format_says_how_to_get_it(monkeypatch, texts):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ImportError, match="pip install grain"):
        load(texts, format="grain")
    with pytest.raises(ValueError, match="'tf'"):
        load(texts, format="numpy")


def test_datasets_of_grain(texts):
    grain = pytest.importorskip("grain", reason="grain is not installed")
    dataset = load(texts, format="grain", shuffle=False, batch_size=3)
    assert isinstance(dataset, grain.IterDataset)
    assert dataset.class_names == ["bad", "good"]
    one = iter(dataset)
    x, y = next(one)
    assert x == ["bad 0 é", "bad 1 é", "bad 2 é"]
    assert y.tolist() == [0, 0, 0]
    state = one.get_state()
    expected = next(one)[0]
    other = iter(dataset)
    other.set_state(state)
    assert next(other)[0] == expected
    windows = mlkit.utils.timeseries_dataset_from_array(np.arange(9.0), None, 3, batch_size=4, format="grain")
    assert [x.shape for x in windows.map(lambda x: x + 1)] == [(4, 3), (3, 3)]
