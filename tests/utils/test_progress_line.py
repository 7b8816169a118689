"""Lines of progress: they fit, they keep every number, and no output refuses them."""

import io
import re
import sys
import types

import numpy as np
import pytest

import mlkit
from mlkit.utils import Progbar, console
from mlkit.utils.progress_line import last_lines, moving_line

VALUES = [("categorical_accuracy", 0.5), ("loss", 0.25), ("val_categorical_accuracy", 0.125), ("val_loss", 1e-5)]
SHORT = ["0.5000", "0.2500", "0.1250", "1.0000e-05"]


class Output(io.TextIOWrapper):
    """A terminal of some encoding, which raises at what it cannot show."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", newline="")

    def isatty(self):
        return True

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


def screen(text):
    """The lines that are seen once all is written."""
    lines = []
    for line in text.split("\n"):
        seen = ""
        for part in line.split("\r"):
            seen = part + seen[len(part) :]
        lines.append(seen.rstrip())
    return lines


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "cp437"])
def test_an_epoch_on_a_terminal(monkeypatch, width, encoding):
    output = Output(encoding)
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setenv("COLUMNS", str(width))
    bar = Progbar(3, interval=0, stateless_metrics=())
    for epoch in (1, 2):
        bar.reset(3, f"Epoch {epoch}/2")
        bar.update(1, VALUES[:2])
        bar.update(2, VALUES[:2])
        bar.update(3, VALUES)
    written = output.text()
    assert all(len(part) < width for part in re.split("[\r\n]", written))
    lines = screen(written)
    assert [line[:9] for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    shown = re.findall(r"[0-9]\.[0-9]{4}(?:e-05)?(?= -|$)", "\n".join(lines), re.M)
    assert shown == SHORT * 2
    if width >= 80:
        assert "val_loss: 1.0000e-05" in written
        assert "val_categorical_a" in written


def test_wide_characters_and_names_alike():
    values = [("准确率" * 10, "0.5000"), ("val_" + "准确率" * 10, "0.6000"), ("a" * 30 + "x", "1"), ("a" * 30 + "y", "2")]
    text = moving_line("Epoch 1/2", "1/2", 0.5, 20, "1s<1s", values, 79)
    assert console.shown_width(text) <= 79
    assert all(f": {number}" in text for _, number in values)
    lines = last_lines(["Epoch 1/2", "2/2"], values, 79).split("\n")
    assert all(console.shown_width(line) <= 79 for line in lines)
    names = re.findall(r"([^ ]+): ", " ".join(lines))
    assert len(set(names)) == 4


def test_a_line_that_grows_shorter_leaves_nothing_behind(monkeypatch):
    output = Output("utf-8")
    monkeypatch.setattr("sys.stdout", output)
    drawn = console.redraw("a longer text", 0)
    console.redraw("short", drawn, "\n")
    assert screen(output.text()) == ["short", ""]


def test_a_bar_that_is_left_stays_as_it_was(monkeypatch):
    output = Output("utf-8")
    monkeypatch.setattr("sys.stdout", output)
    bar = Progbar(4, interval=0)
    bar.update(2, [("loss", 1.0)])
    bar.close()
    bar.close()
    print("next")
    assert re.fullmatch(r"2/4 ━+╌+ \d+s<\d+s - loss: 1\.0000", screen(output.text())[0])
    assert screen(output.text())[1:] == ["next", ""]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1"])
def test_no_output_refuses_what_a_model_prints(monkeypatch, encoding):
    output = Output(encoding)
    monkeypatch.setattr("sys.stdout", output)
    model = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(1, name="a_layer_with_a_rather_long_name")], name="m")
    model.compile("sgd", "mse")
    model.summary(line_length=40)
    model.fit(np.ones((8, 4)), np.ones((8, 1)), epochs=2, validation_split=0.5)
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=2)
    assert "val_loss: " in output.text()
    assert "Total params: 5" in output.text()
    assert "?" not in output.text()


def test_a_kernel_whose_shell_is_derived_is_a_notebook(monkeypatch):
    """As in Colab, whose shell has a class of its own."""
    kinds = [type("ZMQInteractiveShell", (), {}), type("TerminalInteractiveShell", (), {})]
    derived = [type("Shell", (kind,), {}) for kind in kinds]
    found = []
    for kind in (*kinds, *derived):
        monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=kind))
        found.append(console.in_notebook())
    assert found == [True, False, True, False]
