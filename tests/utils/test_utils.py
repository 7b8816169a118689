"""Utilities: labels, sequences, images, seeds, names, and what is printed."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

import mlkit
from mlkit import preprocessing, utils
from mlkit.utils import console


def test_every_public_name_is_there():
    for name in utils.__all__:
        assert getattr(utils, name) is not None
    assert set(utils.__all__) <= set(dir(utils))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = utils.no_such_name


class TestToCategorical:
    @pytest.mark.parametrize("shape", [(1,), (3,), (4, 3), (5, 4, 3), (3, 1), (3, 2, 1)])
    def test_rows_are_one_hot(self, shape):
        labels = np.random.RandomState(0).randint(0, 5, shape)
        rows = utils.to_categorical(labels, 5)
        assert rows.shape == (*(shape[:-1] if shape[-1] == 1 and len(shape) > 1 else shape), 5)
        assert rows.dtype == "float64"  # as in Keras
        assert (rows.sum(-1) == 1).all()
        assert np.array_equal(rows.argmax(-1).ravel(), labels.ravel())

    def test_tensors_give_tensors(self):
        from mlkit import ops

        rows = utils.to_categorical(ops.convert_to_tensor([0, 1]), 3)
        assert isinstance(rows, type(ops.zeros(1)))
        assert rows.numpy().tolist() == [[1, 0, 0], [0, 1, 0]]

    @pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
    def test_labels_out_of_range(self, labels):
        with pytest.raises(ValueError, match=r"must lie in \[0, 3\)"):
            utils.to_categorical(labels, 3)


def test_normalize():
    from mlkit import ops

    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert utils.normalize(x).tolist() == [[0.6, 0.8], [0, 0]]
    assert utils.normalize(x, axis=0, order=1).tolist() == [[1, 1], [0, 0]]
    assert np.allclose(utils.normalize(ops.convert_to_tensor(x)).numpy(), [[0.6, 0.8], [0, 0]])
    with pytest.raises(ValueError, match="at least 1"):
        utils.normalize(x, order=0)


class TestPadSequences:
    def test_sides(self):
        a = [[1], [1, 2], [1, 2, 3], []]
        assert utils.pad_sequences(a).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [0, 0, 0]]
        assert utils.pad_sequences(a, padding="post", value=9).tolist() == [[1, 9, 9], [1, 2, 9], [1, 2, 3], [9, 9, 9]]
        assert utils.pad_sequences(a, maxlen=2, truncating="post").tolist() == [[0, 1], [1, 2], [1, 2], [0, 0]]
        assert utils.pad_sequences(a, maxlen=0).shape == (4, 0)

    def test_vectors_and_texts(self):
        assert utils.pad_sequences([[[1, 2]], [[3, 4], [5, 6]]]).tolist() == [[[0, 0], [1, 2]], [[3, 4], [5, 6]]]
        assert utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="").tolist() == [["", "a"], ["b", "c"]]

    @pytest.mark.parametrize(
        "options, words",
        [
            ({"sequences": [1, 2]}, "element 0"),
            ({"sequences": 3}, "list of sequences"),
            ({"padding": "left"}, "'pre' or 'post'"),
            ({"value": "x"}, "dtype=object"),
            ({"sequences": [[[1, 2]], [[1, 2, 3]]]}, "sequence 1"),
        ],
    )
    def test_what_cannot_be_padded(self, options, words):
        with pytest.raises(ValueError, match=words):
            utils.pad_sequences(**{"sequences": [[1]], **options})


class TestImages:
    @pytest.mark.parametrize("channels", [1, 3, 4])
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_to_a_file_and_back(self, channels, data_format, tmp_path):
        x = np.random.RandomState(0).randint(0, 256, (6, 8, channels)).astype("float32")
        x[0, 0], x[0, 1] = 0, 255  # so that scaling changes nothing
        given = x.transpose(2, 0, 1) if data_format == "channels_first" else x
        utils.save_img(tmp_path / "a.png", given, data_format=data_format)
        mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
        image = utils.load_img(tmp_path / "a.png", color_mode=mode)
        back = utils.img_to_array(image, data_format=data_format)
        assert back.dtype == "float32"
        assert np.abs(back - given).max() <= 1

    def test_sizes(self, tmp_path):
        image = Image.new("RGB", (20, 10))
        image.paste((255, 255, 255), (5, 0, 15, 10))
        image.save(tmp_path / "a.png")
        assert utils.load_img(tmp_path / "a.png", target_size=(5, 4)).size == (4, 5)
        middle = utils.img_to_array(utils.load_img(tmp_path / "a.png", target_size=(6, 6), keep_aspect_ratio=True))
        assert (middle == 255).all()
        with open(tmp_path / "a.png", "rb") as file:
            assert utils.load_img(io.BytesIO(file.read())).size == (20, 10)

    def test_scaling(self):
        x = np.array([[[0.0], [0.5], [1.0]]])
        assert np.asarray(utils.array_to_img(x)).tolist() == [[0, 127, 255]]
        assert np.asarray(utils.array_to_img(x * 10, scale=False)).tolist() == [[0, 5, 10]]
        assert utils.array_to_img(np.full((2, 2, 1), 300.0), scale=False).mode == "I"
        assert np.asarray(utils.array_to_img(np.full((2, 2, 3), 7.0))).max() == 0

    def test_jpeg_has_no_alpha(self, tmp_path):
        with pytest.warns(UserWarning, match="alpha"):
            utils.save_img(tmp_path / "a.jpg", np.zeros((4, 4, 4)))
        assert utils.load_img(tmp_path / "a.jpg").mode == "RGB"

    def test_smart_resize(self):
        x = np.zeros((20, 40, 3), "float32")
        x[:, 10:30] = 1
        assert (preprocessing.image.smart_resize(x, (8, 8)) == 1).all()
        assert preprocessing.image.smart_resize(x[None], (4, 8)).shape == (1, 4, 8, 3)

    @pytest.mark.parametrize(
        "act, error, words",
        [
            (lambda: utils.array_to_img(np.zeros((2, 2))), ValueError, "one image"),
            (lambda: utils.array_to_img(np.zeros((2, 2, 2))), ValueError, "1, 3 or 4 channels"),
            (lambda: utils.img_to_array(np.zeros(3)), ValueError, "height, width"),
            (lambda: utils.img_to_array(np.zeros((2, 2)), data_format="last"), ValueError, "data_format"),
            (lambda: utils.load_img(3), TypeError, "path"),
            (lambda: preprocessing.image.smart_resize(np.zeros((2, 2)), (1, 1)), ValueError, "batch of images"),
            (lambda: preprocessing.image.smart_resize(np.zeros((2, 2, 3)), (1,)), ValueError, "height, width"),
        ],
    )
    def test_what_is_no_image(self, act, error, words):
        with pytest.raises(error, match=words):
            act()


def test_a_seed_repeats_everything():
    def draw():
        utils.set_random_seed(5)
        import random

        return random.random(), np.random.rand(), mlkit.random.uniform((2,)).numpy().tolist()

    assert draw() == draw()
    with pytest.raises(ValueError, match="integer"):
        utils.set_random_seed("5")


def test_clear_session_starts_names_anew():
    from mlkit.core import names

    utils.clear_session()
    assert [names.auto_name("Dense"), names.auto_name("Dense")] == ["dense", "dense_1"]
    utils.clear_session()
    assert names.auto_name("Dense") == "dense"


class TestConsole:
    def test_messages_go_to_the_log_when_told_so(self, capsys, caplog):
        caplog.set_level(logging.INFO, "mlkit")
        utils.disable_interactive_logging()
        try:
            console.print_message("quiet")
            assert not utils.is_interactive_logging_enabled()
            assert not console.is_live()
        finally:
            utils.enable_interactive_logging()
        console.print_message("loud")
        assert capsys.readouterr().out == "loud\n"
        assert [r.message for r in caplog.records] == ["quiet"]

    def test_characters_the_output_lacks(self, monkeypatch):
        ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr("sys.stdout", ascii_only)
        console.print_message("bar ━")
        ascii_only.seek(0)
        assert ascii_only.read() == "bar ?\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestProgbar:
    def test_one_line_where_nobody_watches(self, capsys):
        bar = utils.Progbar(3)
        for i in range(3):
            bar.add(1, [("loss", 3.0 - i)])
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        assert out.startswith("3/3 - ")
        assert out.endswith("/step - loss: 1.0000\n")

    def test_a_bar_on_a_terminal(self, monkeypatch):
        terminal = Terminal()
        monkeypatch.setattr("sys.stdout", terminal)
        bar = utils.Progbar(2, interval=0)
        bar.update(1, [("loss", 4.0)])
        bar.update(2, [("loss", 2.0)])
        shown = terminal.getvalue()
        assert "1/2" in shown
        assert "2/2" in shown
        assert "loss: 2.0000" in shown
        assert shown.count("\n") == 1

    def test_averages_and_values_as_given(self, monkeypatch):
        monkeypatch.setattr("sys.stdout", terminal := Terminal())
        for options, expected in (({}, 1.0), ({"stateful_metrics": ["v"]}, 2.0), ({"stateless_metrics": ["v"]}, 1.0)):
            bar = utils.Progbar(3, interval=0, **options)
            bar.update(1, [("v", 0.0)])
            bar.update(2, [("v", 2.0)])
            bar.close()
            assert terminal.getvalue().rpartition("v: ")[2].startswith(f"{expected:.4f}")

    def test_unknown_length_and_small_values(self, capsys):
        bar = utils.Progbar(None, verbose=2, unit_name="image")
        bar.update(7, [("loss", 1e-5)])
        bar.update(7, finalize=True)
        assert "7 images" in (out := capsys.readouterr().out)
        assert "1.0000e-05" in out

    def test_silence(self, capsys):
        utils.Progbar(1, verbose=0).update(1)
        assert capsys.readouterr().out == ""

    def test_both_kinds_of_names(self):
        with pytest.raises(ValueError, match="Only one of"):
            utils.Progbar(1, stateful_metrics=[], stateless_metrics=[])
