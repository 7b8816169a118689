"""The command line: every command explains itself, says its data as JSON, and ends with a status that a script can rely on."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import mlkit
from mlkit import layers
from mlkit.__main__ import COMMANDS, _parsers, main

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([layers.Input((4,)), layers.Dense(3, name="first"), layers.Dense(2)], name="net")
    model.save("one.keras")
    model.layers[0].bias.assign([1.0, 2.0, 3.0])
    model.save("two.keras")
    return tmp_path


def test_without_a_command_it_says_what_there_is(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    for name, row in COMMANDS.items():
        assert name in shown
        assert row.words.split()[0] in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert COMMANDS[name].words[1:] in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_what_no_command_takes_is_status_2(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--no-such-option"])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unknown_command_is_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["trian"])
    assert ended.value.code == 2
    assert "trian" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("inspect nothing.keras", "nothing.keras"),
        ("inspect --json nothing.keras", "nothing.keras"),
        ("inspect notes.txt", "File format not supported"),
        ("diff one.keras nothing.keras", "nothing.keras"),
        ("verify-file nothing.txt", "no file that holds a sample"),
        ("demo --epochs 0", "--epochs must be 1 or more"),
        ("demo --save model.h5", "ends in .keras"),
        ("demo --save nowhere/model.keras", "no folder"),
        ("serve net=nothing.keras", "nothing.keras"),
        ("debug nothing.py", "nothing.py"),
        ("launch -n 2", "which script?"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(files, capsys, arguments, words):
    assert main(arguments.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert words in said.err


def test_inspect_as_json(files, capsys):
    assert main(["inspect", "--json", "one.keras"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["numbers"], found["bytes"]) == ("model (.keras)", 23, 92)
    assert found["model"]["name"] == "net"
    assert {"class_name": "Dense", "name": "first"} in found["model"]["layers"]
    kernel = next(t for t in found["tensors"] if t["shape"] == [4, 3])
    assert (kernel["dtype"], kernel["layer"]) == ("float32", "first")


def test_diff_as_json(files, capsys):
    assert main(["diff", "--json", "one.keras", "one.keras"]) == 0
    assert json.loads(capsys.readouterr().out) == {"same": True, "differences": []}
    assert main(["diff", "--json", "one.keras", "two.keras"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["same"] is False
    assert "values differ by up to 3" in found["differences"][0]


def test_show_config_as_json_and_in_words(capsys):
    assert main(["show-config", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mlkit"].startswith(mlkit.__version__)
    assert main(["show-config"]) == 0
    assert found["processor"] in capsys.readouterr().out


def test_selftest_as_json(capsys):
    assert main(["selftest", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["failed"] == 0
    assert {c["state"] for c in found["checks"]} == {"right"}
    assert {c["check"] for c in found["checks"]} == {"Ops", "Training"}


def test_verify_file_as_json(files, capsys):
    pytest.importorskip("onnxruntime", reason="runs exported files")
    mlkit.saving.load_model("one.keras").export("one.onnx", format="onnx", verbose=False)
    assert main(["verify-file", "--json", "one.onnx"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same"] is True
    assert found["difference"] <= 1


def test_cite_agrees_with_the_citation_file(capsys):
    assert main(["cite"]) == 0
    shown = capsys.readouterr().out
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    said = dict(line.strip().lstrip("- ").split(": ", 1) for line in lines if ": " in line)
    for key in ("title", "version", "name"):
        value = said[key].strip('"')
        assert f"{{{value}}}" in shown


def test_a_reader_that_has_seen_enough(files):
    """As `python -m mlkit inspect FILE | head -1`: no traceback, no message."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "mlkit", "inspect", "one.keras"]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_the_page_lists_every_command_and_whether_it_has_json():
    rows = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").splitlines()
    listed = {row.split("`")[1]: bool(row.split("|")[3].strip()) for row in rows if row.startswith("| `")}
    parsers = _parsers()[1]
    assert listed == {name: "--json" in parsers[name]._option_string_actions for name in COMMANDS}
