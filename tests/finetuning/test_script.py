"""The script that `finetune` prints: it runs from anywhere, and saves what the recipe saves."""

import os
import subprocess
import sys
import weakref

import numpy as np

import mlkit
from mlkit.utils import console
from tests.finetuning.pictures import pictures, small_net
from tests.finetuning.test_command import folder


def test_it_runs_from_anywhere_and_saves_the_same(tmp_path, monkeypatch):
    folder(tmp_path / "here" / "photos", 24)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    done = mlkit.finetune(
        "MobileNet", "photos", weights=None, image_size=32, head_epochs=1, epochs=1, batch_size=8, verbose=0,
        output="out", save_to="saved.keras",
    )  # fmt: skip
    names = sorted(n for n in os.listdir("out") if n not in ("run.json", "script.py") and not n.startswith("."))
    os.rename("out", "of_the_recipe")
    os.rename("saved.keras", "first.keras")
    run = subprocess.run(
        [sys.executable, "-c", done.script], cwd=tmp_path / "there", capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(os.path.dirname(mlkit.__file__)), *sys.path])},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert os.listdir(tmp_path / "there") == []
    assert set(names) <= set(os.listdir("out"))
    pairs = [("of_the_recipe/model.keras", "out/model.keras"), ("first.keras", "saved.keras")]
    for ours, theirs in pairs:
        a, b = mlkit.models.load_model(ours), mlkit.models.load_model(theirs)
        assert a.image_task == b.image_task
        assert a.class_names == ["above", "below"]
        assert all(map(np.array_equal, a.get_weights(), b.get_weights())), "to the bit"


def test_five_in_a_loop_leave_nothing_behind():
    x, y = pictures(24)
    left = []
    for _ in range(5):
        done = mlkit.finetune(small_net(), (x, y), (x[:8], y[:8]), preprocess=None, head_epochs=1, epochs=1, verbose=0)
        assert "<svg" in done._repr_html_()
        left.append(weakref.ref(done.model))
        del done
        mlkit.utils.clear_session()
    assert [ref() for ref in left] == [None] * 5


def test_a_notebook_folds_it(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(console, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    console.print_folded("The script", "a < b")
    assert shown == [
        {"text/html": "<details><summary>The script</summary><pre>a &lt; b</pre></details>", "text/plain": "a < b"}
    ]
    assert capsys.readouterr().out == ""
    monkeypatch.undo()
    console.print_folded("The script", "a < b")
    assert capsys.readouterr().out == "a < b\n"
