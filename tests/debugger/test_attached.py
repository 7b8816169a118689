"""Debuggers beside a running `fit`: in a terminal and as a page."""

import io
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

import mlkit
from mlkit import layers, ops
from mlkit.debugger.breakpoint import Breakpoint
from mlkit.debugger.coverage import looked_at
from mlkit.debugger.step_graph import StepGraph
from mlkit.debugger.terminal import TerminalDebugger
from mlkit.models.journal import Journal

pytestmark = pytest.mark.native("steps are compared with the native engine's, to the bit")
NONFINITE = Breakpoint(when="nonfinite")


def net(**options):
    mlkit.utils.set_random_seed(0)
    root = layers.Lambda(lambda t: ops.sqrt(2.0 - ops.maximum(t, 0.0)), name="root")
    model = mlkit.Sequential([mlkit.Input((4,)), root, layers.Dense(8, activation="relu", name="hidden"), layers.Dropout(0.3, name="drop"),
                              layers.Dense(1, name="out")], name="net")  # fmt: skip
    model.compile("adam", "mse", **options)
    return model


def data(bad=None):
    x = np.random.default_rng(0).random((320, 4), "float32")
    if bad is not None:
        x[bad, 1] = 9  # whose root is none
    return x, x[:, :1] * 0.5 + 0.1


def fit(model, x, y, *callbacks, epochs=1):
    return model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, shuffle=False, callbacks=list(callbacks)).history


class Scripted(TerminalDebugger):
    """Reads its commands from a text."""

    def __init__(self, breakpoints, commands, start=False):
        super().__init__(breakpoints, start, io.StringIO(commands), io.StringIO())

    @property
    def said(self):
        return self.stdout.getvalue()


def weights(model):
    return [v.numpy().copy() for v in model.weights]


def equal(a, b):
    return all(np.array_equal(p, q) for p, q in zip(a, b))


def test_training_stops_before_the_step_and_the_weights_are_those_before_it():
    x, y = data(bad=100)  # in batch 6
    expected = net()
    fit(expected, x[:96], y[:96])
    model, debugger = net(), Scripted([NONFINITE], "value root\ngradient hidden/kernel\nquit\n")
    fit(model, x, y, debugger, epochs=3)
    assert "the op 'sqrt' in layer 'net/root', first at (4, 1) of (16, 4), which is sample 4 of the batch" in debugger.said
    assert equal(weights(model), weights(expected))
    assert model._training.run is None


def test_training_goes_on_with_what_was_set():
    x, y = data(bad=100)
    model, debugger = net(), Scripted([NONFINITE], "set root np.nan_to_num(x)\ncontinue\n")
    history = fit(model, x, y, debugger, epochs=1)
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(w).all() for w in weights(model))


def test_a_run_that_is_watched_is_the_run():
    x, y = data()
    plain, watched = net(), net()
    expected = fit(plain, x, y, epochs=2)
    assert fit(watched, x, y, Scripted([NONFINITE], ""), epochs=2)["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(weights(plain), weights(watched)))


def test_other_breakpoints_run_each_step_call_by_call():
    x, y = data()
    model, debugger = net(), Scripted([Breakpoint(layer="hidden", op="relu")], "continue\nquit\n")
    fit(model, x, y, debugger)
    assert debugger.said.count("->     7 forward  net/hidden/relu") + debugger.said.count("net/hidden/relu") >= 2


def test_the_prompt_knows_its_commands_and_survives_wrong_ones():
    lines = "step 2\nnext\nto out\nback\nwhere\nwatch hidden\nnames *hidden*\nbreak\nbreak op=add\nbreak foo=1\nvalue nope\n"
    lines += "nonsense\nset out\nstep a"
    debugger = Scripted([NONFINITE], lines + "\nhelp\nquit\n", start=True)
    fit(net(), *data(), debugger)
    for text in (
        "call 2 of",
        "expected layer=",
        "no value of this step",
        "unknown command 'nonsense'",
        "op='add'",
        "net/hidden/kernel",
    ):
        assert text in debugger.said, text


def test_the_journal_gives_back_the_values_before_a_step_to_the_bit():
    x, y = data()
    model = net()
    model.train_on_batch(x[:16], y[:16])
    journal = Journal([*model.variables, *model.optimizer.variables, *model.metrics_variables])
    seen = []
    for k in range(5):
        if k == 3:
            model.optimizer.learning_rate = 0.5  # by a callback, say
        journal.begin_step([(x[:16], y[:16])])
        seen.append(weights(model))
        model._training.program(model, "train")((x[16 * k : 16 * k + 16], y[:16]) if k < 0 else (x[:16], y[:16]))
        journal.end_step()
    journal.rewind(model._training.program(model, "train"))
    assert equal(weights(model), seen[-1])
    assert float(model.optimizer.learning_rate) == 0.5


def test_what_is_looked_at_is_little_and_tells_of_every_layer():
    inputs = mlkit.Input((16, 16, 3))
    h = layers.ReLU(name="r")(layers.BatchNormalization(name="n")(layers.Conv2D(8, 3, use_bias=False, name="c")(inputs)))
    model = mlkit.Model(inputs, layers.Dense(2, name="d")(layers.GlobalAveragePooling2D()(layers.MaxPooling2D(name="m")(h))))
    model.compile("sgd", "mse")
    x, y = np.ones((4, 16, 16, 3), "float32"), np.ones((4, 2), "float32")
    model.train_on_batch(x, y)
    names = set(looked_at(StepGraph(model, model.train_step, (x, y))))
    assert not names & {"c", "n", "r", "m", "d"}  # the loss tells of the last one
    assert {"loss", "gradient of c/kernel", "gradient of n/gamma"} <= names


@pytest.mark.parametrize("where", ["hidden", "last", "healed", "gradient", "loss"])
def test_a_fault_anywhere_is_noticed(where):
    explode = lambda t: ops.exp(ops.where(t > 50, 1e3, 0.0)) + t  # infinite for what is large
    heal = lambda t: ops.minimum(explode(t), 1.0)
    slope = lambda t: ops.sqrt(ops.maximum(49.5 - t, 0.0) * 0.0 + ops.where(t > 50, 0.0, 1.0))
    parts = {"hidden": [explode, layers.Dense(4)], "last": [layers.Dense(4), explode], "healed": [explode, heal, layers.Dense(4)],
             "gradient": [slope, layers.Dense(4)], "loss": [layers.Dense(4)]}[where]  # fmt: skip
    made = [
        layers.Lambda(p, name=f"part{k}") if callable(p) and not isinstance(p, layers.Layer) else p for k, p in enumerate(parts)
    ]
    before = [layers.Dense(3, kernel_initializer="ones")] if where == "gradient" else []
    model = mlkit.Sequential([mlkit.Input((3,)), *before, *made])
    loss = (lambda t, p: ops.log(ops.abs(t)) + 0 * p) if where == "loss" else "mse"
    if where == "last":
        model.layers[0].kernel_initializer = mlkit.initializers.Ones()
        model = mlkit.Sequential([mlkit.Input((3,)), layers.Dense(3, kernel_initializer="ones"), made[-1]])
    model.compile("sgd", loss)
    x, y = (
        np.ones((32, 3), "float32"),
        np.linspace(0.5, 1.5, 32, dtype="float32")[:, None] * np.ones(model.output_shape[-1], "float32"),
    )
    x[20], y[20] = 60, 0 if where == "loss" else 1
    debugger = Scripted([NONFINITE], "quit\n")
    fit(model, x, y, debugger)
    assert "which is sample 4 of the batch" in debugger.said or "It came from" in debugger.said


# ---- the page --------------------------------------------------------------------------------------------------------------------


class Client:
    """Looks at the page and presses its buttons, in a thread beside training."""

    def __init__(self, live):
        self.live = live

    def ask(self, path, body=None, token=None, host=None):
        base, own = self.live.url.split("/?token=")
        headers = {"X-Token": own if token is None else token} | ({"Host": host} if host else {})
        body = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(base + path, body, headers), timeout=20) as answer:
            return answer.read()

    def state(self, wanted=lambda s: True):
        for _ in range(2000):
            if self.live.url and wanted(state := json.loads(self.ask("/state"))):
                return state
            threading.Event().wait(0.01)
        raise AssertionError("the page did not come to it")

    def press(self, do, name=""):
        version = self.state()["version"]
        self.ask("/command", {"do": do, "name": name})
        return version


def beside(model, live, script, x, y, **options):
    found = {}

    def run():
        try:
            found["said"] = script(Client(live))
        except BaseException as error:
            found["error"] = error
            model.stop_training = True
            live._page._commands.put({"do": "end", "name": ""})

    thread = threading.Thread(target=run)
    thread.start()
    history = fit(model, x, y, live, **options)
    thread.join()
    if "error" in found:
        raise found["error"]
    return history, found["said"]


def test_the_page_stops_where_it_is_not_finite_and_goes_on():
    x, y = data(bad=100)

    def script(page):
        stopped = page.state(lambda s: s.get("state") == "stopped")
        version = page.press("value", "root")
        shown = page.state(lambda s: s["version"] > version)
        page.press("end")
        return stopped, shown

    model, live = net(), mlkit.callbacks.LiveDebugger(every=2)
    _, (stopped, shown) = beside(model, live, script, x, y, epochs=2)
    assert "which is sample 4" in stopped["debugger"]["stopped"]
    assert stopped["batch"] == 6
    assert "not finite" in shown["debugger"]["answer"]
    assert set(stopped["layers"]) == {"net/root", "net/hidden", "net/drop", "net/out"}
    assert len(stopped["variables"]["net/hidden/kernel"]) == 3
    assert "hidden" in stopped["graph"]
    assert all(np.isfinite(w).all() for w in weights(model))


def test_the_page_pauses_steps_and_continues():
    x, y = data()

    def script(page):
        page.state()
        page.press("pause")
        places = [page.state(lambda s: s.get("state") == "stopped")["debugger"]["title"]]
        for do in ("step", "next_layer", "back", "to"):
            version = page.press(do, "hidden")
            places.append(page.state(lambda s, v=version: s["version"] > v and s["debugger"])["debugger"]["title"])
        page.press("batch")
        page.state(lambda s: s["state"] == "stopped" and "call 0" in s["debugger"]["title"])
        page.press("continue")
        return places

    plain, model, live = net(), net(), mlkit.callbacks.LiveDebugger(every=0, when=None)
    expected = fit(plain, x, y, epochs=40)
    history, places = beside(model, live, script, x, y, epochs=40)
    assert places[0].startswith("net: call 0")
    assert len(set(places)) > 3
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-3)


def test_the_page_answers_nobody_else():
    x, y = data()

    def status(page, *args, **kwargs):
        try:
            page.ask(*args, **kwargs)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def script(page):
        page.state()
        page.press("pause")
        page.state(lambda s: s.get("state") == "stopped")
        found = [
            status(page, "/state", token="wrong"), status(page, "/"), status(page, "/state", host="evil.example"),
            status(page, "/command", {"do": "step"}, token=""), status(page, "/command", {"do": "exec"}), status(page, "/command", b"{"),
            status(page, "/command", b" " * 70000), status(page, "/else"), status(page, "/command", {"do": "value", "name": 3}),
            status(page, "/?token=" + page.live.url.split("=")[1]),
        ]  # fmt: skip
        page.press("continue")
        return found

    _, found = beside(net(), mlkit.callbacks.LiveDebugger(every=0), script, x, y, epochs=40)
    assert found == [404, 403, 403, 403, 400, 400, 413, 404, 400, 200]


def test_arguments_are_checked_and_a_port_that_is_taken_says_so():
    for wrong in ({"port": -1}, {"every": -1}, {"when": "inf"}, {"every": 1.5}):
        with pytest.raises(ValueError, match="LiveDebugger"):
            mlkit.callbacks.LiveDebugger(**wrong)


def test_a_script_is_debugged_from_the_command_line(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, numpy as np, mlkit\n"
        "model = mlkit.Sequential([mlkit.Input((2,)), mlkit.layers.Lambda(mlkit.ops.log, name='bad'), mlkit.layers.Dense(1)])\n"
        "model.compile('sgd', 'mse')\n"
        "model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0, check=False)\n"
        "print('arguments', sys.argv[1:])\n"
    )
    command = [sys.executable, "-m", "mlkit", "debug", str(script), "--flag", "1"]
    done = subprocess.run(command, input="value bad\nquit\n", capture_output=True, text=True, timeout=120, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert "It came from the op 'log' in layer" in done.stdout
    assert "arguments ['--flag', '1']" in done.stdout
    missing = subprocess.run([*command[:4], "none.py"], capture_output=True, text=True, timeout=120)
    assert missing.returncode == 2
    assert "there is no file 'none.py'" in missing.stderr
