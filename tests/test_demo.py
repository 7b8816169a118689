"""The main job from the command line: trains, shows, saves, and says by its exit status whether all went well."""

import re
import subprocess
import sys

import numpy as np
import pytest

from mlkit import demo


@pytest.mark.slow
def test_the_demo_reaches_its_accuracy(tmp_path):
    command = [sys.executable, "-m", "mlkit", "demo", "--save", str(tmp_path / "digits.keras")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = float(re.search(r"held-out digits: ([0-9.]+)%", done.stdout)[1])
    assert accuracy >= 97
    assert "predicts the same" in done.stdout
    assert (tmp_path / "digits.keras").exists()


def test_a_short_demo_fails_in_words(capsys):
    assert demo.run(epochs=1, seed=0) == (0 if accuracy_of(capsys.readouterr().out) >= 97 else 1)


def accuracy_of(output):
    return float(re.search(r"held-out digits: ([0-9.]+)%", output)[1])


def test_pictures_and_verdicts():
    image = np.zeros((28, 28), "uint8")
    image[:, 14:] = 255
    lines = demo.picture(image)
    assert len(lines) == 14
    assert set(lines) == {" " * 14 + "@" * 14}
    assert demo.verdict(3, np.array([0, 0.1, 0, 0.9])) == "3 (90%)"
    assert demo.verdict(1, np.array([0, 0.1, 0, 0.9])) == "3 (90%), is 1"
