"""What an editor offers while one types: pyright's language server is asked for completions and for the words under the mouse."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="pyright is a program for node"),
]
ROOT = pathlib.Path(__file__).parents[2]
PLACES = {  # what has been typed so far -> names that must be offered
    "mlkit.": ["layers", "ops", "Model", "Sequential", "Input", "function", "GradientTape"],
    "mlkit.layers.": ["Conv2D", "Dense", "LSTM", "MultiHeadAttention", "Rescaling"],
    "mlkit.layers.Conv": ["Conv1D", "Conv2D", "Conv2DTranspose", "ConvLSTM2D"],
    "mlkit.ops.": ["matmul", "softmax", "scan", "image"],
    "mlkit.ops.image.": ["resize", "ssim"],
    "mlkit.optimizers.": ["Adam", "SGD", "Muon", "schedules"],
    "mlkit.optimizers.schedules.": ["CosineDecay", "one_cycle"],
    "mlkit.callbacks.": ["EarlyStopping", "ModelCheckpoint"],
    "mlkit.Sequential().": ["fit", "evaluate", "predict", "summary", "export", "count_params"],
    "mlkit.ops.ones((2,)).": ["shape", "dtype", "numpy"],
    "mlkit.saving.": ["load_model", "save_model"],
    "mlkit.layers.Dense(units=3, act": ["activation="],
}
SHOWN = {  # a name -> words of its signature and of its docstring
    "mlkit.layers.Conv2D": ["kernel_size", "filters"],
    "mlkit.ops.softmax": ["axis", "Tensor"],
    "mlkit.optimizers.Adam": ["learning_rate", "beta_1"],
}


class Server:
    """A language server. folder: the root of what is open."""

    def __init__(self, folder):
        self.folder, self.number = folder, 0
        command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        root = folder.as_uri()
        folders = [{"uri": root, "name": "it"}]
        self.ask("initialize", {"processId": None, "rootUri": root, "capabilities": {}, "workspaceFolders": folders})
        self._send({"method": "initialized", "params": {}})

    def ask(self, method, params):
        """What it answers; meanwhile its own questions are answered with nothing."""
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message:
                if "id" in message:  # it asks for settings, of each thing one
                    asked = message.get("params", {}).get("items", [])
                    self._send({"id": message["id"], "result": [None] * len(asked) if asked else None})
            elif message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]

    def at_the_end_of(self, text, method):
        """What it answers about the last character of a script."""
        uri = (self.folder / f"script{self.number}.py").as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        lines = text.split("\n")
        character = len(lines[-1]) - (method == "textDocument/hover")
        place = {"line": len(lines) - 1, "character": character}
        return self.ask(method, {"textDocument": {"uri": uri}, "position": place})

    def close(self):
        self.process.terminate()
        self.process.communicate(timeout=30)

    def _send(self, message):
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self.process.stdin.flush()

    def _receive(self):
        size = 0
        while (line := self.process.stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        assert size, "the language server has ended"
        return json.loads(self.process.stdout.read(size))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server in a folder where mlkit lies as it is installed."""
    folder = tmp_path_factory.mktemp("editor")
    for name in ("mlkit", "backends", "applications"):
        within = folder / ("mlkit" if name == "mlkit" else f"mlkit/{name}")
        shutil.copytree(ROOT / name, within, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pyrightconfig.json").write_text(
        json.dumps({"venvPath": str(pathlib.Path(sys.prefix).parent), "venv": pathlib.Path(sys.prefix).name})
    )
    found = Server(folder)
    yield found
    found.close()


@pytest.mark.parametrize("typed", PLACES)
def test_completion(server, typed):
    found = server.at_the_end_of(f"import mlkit\n\n{typed}", "textDocument/completion")
    offered = {item["label"] for item in (found["items"] if isinstance(found, dict) else found or [])}
    assert [name for name in PLACES[typed] if name not in offered] == []


@pytest.mark.parametrize("name", SHOWN)
def test_hover(server, name):
    found = server.at_the_end_of(f"import mlkit\n\n{name}", "textDocument/hover")
    shown = json.dumps(found["contents"])
    assert [word for word in SHOWN[name] if word not in shown] == []
