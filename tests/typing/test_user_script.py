"""A type checker finds nothing wrong in a script as users write it; what is wrong in one, it finds."""

import json
import pathlib
import runpy
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(__file__).with_name("user_script.py")
NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="pyright is a program for node")


def test_it_runs(capsys):
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "Conv1/kernel" in capsys.readouterr().out


def checked(folder, text):
    """(line, message) of the errors that pyright finds where mlkit lies as it is installed."""
    for name in ("mlkit", "backends", "applications"):
        within = folder / ("mlkit" if name == "mlkit" else f"mlkit/{name}")
        shutil.copytree(ROOT / name, within, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "script.py").write_text(text)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "script.py"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    errors = [d for d in json.loads(found.stdout)["generalDiagnostics"] if d["severity"] == "error"]
    return [(d["range"]["start"]["line"] + 1, d["message"]) for d in errors]


@NEEDS_NODE
@pytest.mark.slow
def test_a_type_checker_finds_nothing_wrong(tmp_path):
    assert checked(tmp_path, SCRIPT.read_text()) == []


@NEEDS_NODE
@pytest.mark.slow
def test_a_type_checker_knows_the_types(tmp_path):
    wrong = [
        "import mlkit as keras",
        "keras.layers.Dance(3)",
        "keras.ops.nn.rellu(1.0)",
        "keras.layers.Conv2D(3, 2, padding=1)",
        "keras.optimizers.Adam(learning_rate=[1])",
        'keras.Variable([1.0]).assign("a", 2)',
        'keras.Sequential().fit(epochs="many")',
        "keras.Input((3,)) + None",
        "keras.Sequential().count_params().upper()",
        "keras.ops.zeros((2,)).nummpy()",
        'keras.ops.zeros("ab")',
        'keras.ops.moments(keras.ops.ones((2, 2)), axes="all")',
        'keras.random.normal((2,), seed="one")',
        'keras.layers.LSTM("many")',
        'keras.optimizers.SGD(momentum="big")',
        "keras.Sequential().fit(3)",
        "keras.Sequential().fit([1.0], callbacks=[print])",
        "keras.Sequential().save(3)",
        'keras.models.load_model("m.keras").sumary()',
        'keras.callbacks.LearningRateScheduler("slow")',
    ]
    assert [line for line, _ in checked(tmp_path, "\n".join(wrong) + "\n")] == [*range(2, len(wrong) + 1)]
