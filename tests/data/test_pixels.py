"""Pixels of image folders: those of Keras, whichever package reads the file."""

import keras
import numpy as np
import pytest
from PIL import Image

import mlkit
from mlkit.data import decode, jpeg
from mlkit.data.decode import decode_image
from mlkit.data.pixels import resized

SIZES = [(96, 128), (33, 17), (48, 64), (20, 200)]


def photo(height, width, mode="RGB", seed=0):
    few = np.random.default_rng(seed).integers(0, 256, (max(height // 6, 2), max(width // 6, 2), 3), dtype="uint8")
    return Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_they_are_those_of_keras(tmp_path, interpolation, fit):
    for i, size in enumerate(SIZES):
        photo(*size, seed=i).save(tmp_path / f"{i}.png")
    options = dict(image_size=(48, 64), interpolation=interpolation, crop_to_aspect_ratio=fit == "crop")
    data = mlkit.utils.image_dataset_from_directory(tmp_path, labels=None, shuffle=False, verbose=False, **options)
    (found,) = data.epoch(0)
    options["size"] = options.pop("image_size")
    for i, image in enumerate(found):
        expected = keras.ops.image.resize(np.asarray(Image.open(tmp_path / f"{i}.png"), "float32"), **options)
        np.testing.assert_allclose(image, expected, atol=0.05 if interpolation == "bicubic" else 2e-3)


def test_area_is_the_mean_of_what_a_pixel_covers():
    x = np.random.default_rng(0).integers(0, 256, (9, 10, 3), dtype="uint8")
    by_blocks = x[:, :].reshape(3, 3, 5, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resized(x, (3, 5), "area"), by_blocks, rtol=1e-5)
    assert resized(x, (4, 7), "area").mean() == pytest.approx(x.mean(), rel=1e-5), "parts of pixels count as much as they are"


def test_pads_as_tensorflow_does(tmp_path):
    Image.new("RGB", (33, 17), (200, 200, 200)).save(tmp_path / "a.png")
    array = decode_image(tmp_path / "a.png", (48, 64), fit="pad", antialias=False)
    lit = array[:, 0, 0] > 0
    assert lit.sum() == 32  # 17 * 64 / 33 = 32.97 rows
    assert lit.argmax() == 7, "half of what is left of 48 rows, in fractions, then rounded down"


def test_photos_of_any_shape_one_after_the_other():
    x = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype="uint8")
    small, same = resized(x, (8, 9), "bilinear"), resized(x, (40, 30), "bilinear")
    one_axis = [resized(x, size, "bilinear") for size in ((40, 9), (8, 30))]
    assert np.array_equal(same, x.astype("float32"))
    assert [y.shape for y in one_axis] == [(40, 9, 3), (8, 30, 3)]
    assert np.array_equal(small, resized(x, (8, 9), "bilinear")), "nothing is left of what came between"
    np.testing.assert_allclose(resized(one_axis[0], (8, 9), "bilinear"), small, atol=1e-4)
    assert resized(x[:, :, :1].copy(), (8, 9), "bicubic").shape == (8, 9, 1)
    assert resized(x[:1, :1].copy(), (3, 2), "lanczos5").tolist() == np.broadcast_to(x[0, 0], (3, 2, 3)).tolist()


def test_names_of_interpolation(tmp_path):
    (tmp_path / "a").mkdir()
    photo(8, 8).save(tmp_path / "a" / "a.png")
    load = lambda **options: mlkit.utils.image_dataset_from_directory(tmp_path, verbose=False, **options)
    with pytest.raises(ValueError, match=r"'hamming' is not supported\. Expected one of: nearest, bilinear"):
        load(interpolation="hamming")
    assert load(interpolation="hamming", antialias=True).decoding["antialias"]


class TestSimplejpeg:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("simplejpeg", reason="simplejpeg reads JPEG files faster")

    def both(self, monkeypatch, path, size, **options):
        asked = []
        real = jpeg.jpeg_pixels
        monkeypatch.setattr(jpeg, "jpeg_pixels", lambda *a: asked.append(real(*a)) or asked[-1])
        fast = decode_image(path, size, **options)
        monkeypatch.setattr(decode, "is_installed", lambda package: False)
        slow = decode_image(path, size, **options)
        monkeypatch.undo()
        return fast, slow, asked[0] is not None

    @pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
    @pytest.mark.parametrize("antialias", [False, True])
    def test_it_gives_what_pillow_gives(self, tmp_path, monkeypatch, color_mode, antialias):
        kinds = [
            ((96, 128), "RGB", {}),
            ((401, 303), "RGB", {"subsampling": 0}),
            ((300, 500), "RGB", {"progressive": True}),
            ((90, 70), "L", {}),
        ]
        for i, (size, mode, save) in enumerate(kinds):
            photo(*size, mode, seed=i).save(tmp_path / "a.jpg", quality=90, **save)
            fast, slow, taken = self.both(monkeypatch, tmp_path / "a.jpg", (32, 40), color_mode=color_mode, antialias=antialias)
            assert taken
            assert fast.dtype == slow.dtype
            np.testing.assert_array_equal(fast, slow)

    def test_what_it_leaves_to_pillow(self, tmp_path, monkeypatch):
        exif = Image.Exif()
        exif[0x0112] = 6
        photo(40, 60).save(tmp_path / "turned.jpg", exif=exif)
        photo(40, 60, "CMYK").save(tmp_path / "cmyk.jpg")
        photo(40, 60).save(tmp_path / "png.jpg", format="png")
        for name in ("turned", "cmyk", "png"):
            fast, slow, taken = self.both(monkeypatch, tmp_path / f"{name}.jpg", (16, 16))
            assert not taken
            assert np.array_equal(fast, slow)
        photo(400, 600).save(tmp_path / "whole.jpg")
        data = (tmp_path / "whole.jpg").read_bytes()
        for left in (0, 1, 2, 3, 20, 700, len(data) // 2):
            (tmp_path / "cut.jpg").write_bytes(data[:left])
            with pytest.raises(OSError):
                decode_image(tmp_path / "cut.jpg", (16, 16))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        with pytest.raises(Image.DecompressionBombError):
            decode_image(tmp_path / "whole.jpg", (16, 16))

    def test_exif_that_turns_nothing_is_no_reason(self, tmp_path, monkeypatch):
        exif = Image.Exif()
        exif[0x0112], exif[0x0110] = 1, "a camera"
        photo(40, 60).save(tmp_path / "a.jpg", exif=exif)
        fast, slow, taken = self.both(monkeypatch, tmp_path / "a.jpg", (16, 16))
        assert taken
        assert np.array_equal(fast, slow)
