"""A real JupyterLab in a browser without a window: what somebody sees who trains in a notebook. Slow: half a minute on a quiet machine.

Needs JupyterLab, playwright, and a Chromium (playwright's, or one of the system).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("jupyterlab", reason="the notebook's front end: pip install jupyterlab")
playwright = pytest.importorskip("playwright.sync_api", reason="drives a browser: pip install playwright")

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 180  # for a cell to end
CELLS = [
    """import resource, time
import numpy as np
import mlkit
from mlkit import layers
mlkit.utils.set_random_seed(0)
x, y = np.random.rand(20_000, 32).astype("float32"), np.random.randint(0, 3, 20_000)
model = mlkit.Sequential([mlkit.Input((32,)), layers.Dense(64, "relu"), layers.Dense(3, "softmax")], name="net")
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = mlkit.callbacks.History()""",
    "_ = model.fit(x, y, epochs=3, batch_size=64)",
    "_ = model.fit(x, y, epochs=500, batch_size=64, callbacks=[history])",
    """print("epochs", len(history.history["loss"]), "rows", model.predict(x[:5], verbose=0).shape)""",
    """_ = model.fit(x, y, epochs=1, batch_size=256, verbose=0)
resident = int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
print(f"MB {resident:.1f}")""",
    "model",
    "mlkit.visualization.learning_curves(history)",
    "mlkit.ops.ones((2, 3))",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as play:
        try:
            found = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        except playwright.Error as error:
            pytest.skip(f"there is no browser: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture(scope="module")
def notebook(browser, tmp_path_factory):
    """The notebook, open in JupyterLab."""
    folder = tmp_path_factory.mktemp("lab")
    cells = [
        {"cell_type": "code", "id": f"c{i}", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
        for i, text in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (folder / "it.ipynb").write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += ["--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | own | {"PYTHONPATH": paths}, stdout=log, stderr=log)
    try:
        address = _address(folder / "runtime", server, folder / "log")
        page = browser.new_page(viewport={"width": 1200, "height": 1600})
        page.set_default_timeout(SECONDS * 1000)
        page.goto(f"{address}lab/tree/it.ipynb?reset")
        page.locator(".jp-CodeCell").nth(len(CELLS) - 1).wait_for(state="attached")
        yield Notebook(page)
        page.close()
    finally:
        server.terminate()
        server.wait(30)


def _address(runtime, server, log):
    """Where the server answers, which it writes into a file of its own."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = json.loads(file.read_text())["url"]
                urllib.request.urlopen(f"{url}api", timeout=5).close()
                return url
            except (ValueError, OSError):
                continue  # not yet written, or not yet listening
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()}")


class Notebook:
    """page: in which it is open."""

    def __init__(self, page):
        self.page = page

    def start(self, number):
        """Run a cell, and do not wait."""
        cell = self.page.locator(".jp-CodeCell").nth(number)
        cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(f"{_PROMPT.format(number)} === '[*]:'")
        return cell

    def run(self, number):
        """Run a cell; returns the text and the HTML of its output."""
        cell = self.page.locator(".jp-CodeCell").nth(number)
        before = cell.locator(".jp-InputPrompt").inner_text()
        cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            f"(before) => {{ const now = {_PROMPT.format(number)}; return now !== before && /\\d/.test(now); }}", arg=before
        )
        return self.output(number)

    def output(self, number):
        area = self.page.locator(".jp-CodeCell").nth(number).locator(".jp-Cell-outputArea")
        return area.inner_text(), area.inner_html()


_PROMPT = "document.querySelectorAll('.jp-CodeCell')[{}].querySelector('.jp-InputPrompt').textContent.trim()"


@pytest.fixture(scope="module")
def trained(notebook):
    notebook.run(0)
    notebook.run(1)
    return notebook


def test_the_bar_of_fit_is_one_line_an_epoch(trained):
    text, _ = trained.output(1)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= 6, text  # an epoch is one line, or a heading and a line
    assert sum("accuracy" in line for line in lines) == 3, text


def test_the_bar_moves_and_an_interrupt_leaves_a_usable_model(trained):
    trained.start(2)
    seen = set()
    end = time.monotonic() + SECONDS
    while len(seen) < 4 and time.monotonic() < end:
        seen.add(trained.output(2)[0].strip().rpartition("\n")[2])
        time.sleep(0.1)
    assert len(seen) >= 4  # the last line was drawn anew
    trained.page.wait_for_function("document.querySelectorAll('.jp-CodeCell')[2].innerText.split('accuracy').length > 3")
    trained.page.keyboard.press("i")
    trained.page.keyboard.press("i")
    trained.page.wait_for_function(f"/\\d/.test({_PROMPT.format(2)})")
    text, _ = trained.run(3)
    assert "rows (5, 3)" in text
    assert 1 <= int(text.split()[1]) < 500


def test_twenty_runs_of_a_cell_take_no_more_memory(trained):
    resident = [float(trained.run(4)[0].split()[1]) for _ in range(20)]
    assert resident[-1] - resident[4] < 20, resident  # MB


@pytest.mark.parametrize("number, words", [(5, ["net", "dense"]), (6, ["<svg", "loss"]), (7, ["1."])])
def test_things_show_themselves(trained, number, words):
    _, shown = trained.run(number)
    assert [word for word in words if word not in shown] == []
