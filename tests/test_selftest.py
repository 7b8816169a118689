"""The self-test says what is right and what is wrong, on a machine without a GPU too."""

import mlkit
from mlkit import selftest
from mlkit.__main__ import main


def test_a_sound_machine(capsys):
    assert main(["selftest"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("mlkit ")  # what show_config prints
    assert said.count("right ") >= 2
    assert "No checks failed" in said


def test_what_computes_wrongly_is_named(capsys, monkeypatch):
    monkeypatch.setattr(mlkit.ops, "exp", lambda x: mlkit.ops.sin(x))
    assert selftest.run() == 1
    said = capsys.readouterr().out
    assert "FAILED     cpu:0: Ops" in said
    assert "exp: the error is" in said
    assert "1 check failed. Paste all of this into an issue." in said


def test_no_check_begins_when_the_time_is_over(capsys):
    assert selftest.run(seconds=-1) == 0
    assert capsys.readouterr().out.count("left out") >= 2
