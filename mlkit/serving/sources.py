"""Where versions of a model come from: an object, a file, a folder of numbered folders."""

import os
from typing import Any

from mlkit.models.keras_loader import load_model
from mlkit.serving.contract import Runner
from mlkit.serving.keras_runner import KerasRunner
from mlkit.serving.onnx_runner import OnnxRunner

GOLDEN_FILE = "golden.json"
_SUFFIXES = (".keras", ".onnx")


class Source:
    """versions: the numbers there are now, each with what changes when the files change. load: the version's Runner."""

    is_watched = False

    def versions(self) -> dict[int, Any]:
        return {1: None}

    def load(self, number: int) -> Runner:
        raise NotImplementedError


class Live(Source):
    """A model in memory, which a server runs as it is."""

    def __init__(self, model: Any):
        self.model = model

    def load(self, number: int) -> Runner:
        return KerasRunner(self.model)


class File(Source):
    """One file, .keras or .onnx."""

    def __init__(self, path: str):
        self.path = path

    def load(self, number: int) -> Runner:
        return load_file(self.path)


class Folder(Source):
    """A folder of versions: ``1/model.keras``, ``2/model.onnx`` …, each with a `golden.json` where `publish` has written it."""

    is_watched = True

    def __init__(self, path: str):
        self.path = path

    def versions(self) -> dict[int, Any]:
        found = {}
        for name in _listed(self.path):
            if name.isdigit() and str(int(name)) == name:
                folder = os.path.join(self.path, name)
                files = [f for f in _listed(folder) if f.endswith(_SUFFIXES) or f == GOLDEN_FILE]
                if files != [GOLDEN_FILE] and files:
                    found[int(name)] = tuple(_state(os.path.join(folder, f)) for f in files)
        return found

    def load(self, number: int) -> Runner:
        folder = os.path.join(self.path, str(number))
        files = [f for f in _listed(folder) if f.endswith(_SUFFIXES)]
        if len(files) != 1:
            raise ValueError(f"{folder} must hold one file of a model, .keras or .onnx, but holds {files}.")
        golden = os.path.join(folder, GOLDEN_FILE)
        text = None
        if os.path.exists(golden):
            with open(golden, encoding="utf-8") as file:
                text = file.read()
        return load_file(os.path.join(folder, files[0]), text)


def source_of(given: Any, name: str) -> Source:
    """The source for what `app` was given.

    Raises:
        FileNotFoundError, ValueError: It is none.
    """
    if not isinstance(given, (str, os.PathLike)):
        if not callable(getattr(given, "make_predict_function", None)):
            raise ValueError(
                f"serving: {name!r} must be a model, a file or a folder of versions, but got {type(given).__name__}."
            )
        return Live(given)
    path = os.fspath(given)
    if os.path.isdir(path):
        return Folder(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"serving: {name!r}: there is no file or folder {path!r}.")
    if not path.endswith(_SUFFIXES):
        raise ValueError(f"serving: {name!r}: expected a .keras or .onnx file, or a folder of versions, but got {path!r}.")
    return File(path)


def sources_in(folder: str) -> dict[str, Source]:
    """The models in a folder of folders of versions, by name."""
    return {
        name: source
        for name in _listed(folder)
        if os.path.isdir(os.path.join(folder, name)) and (source := Folder(os.path.join(folder, name))).versions()
    }


def load_file(path: str, golden: str | None = None) -> Runner:
    """A file's Runner. No code in a file is run."""
    if path.endswith(".onnx"):
        return OnnxRunner(path, golden)
    return KerasRunner(load_model(path, compile=False, safe_mode=True), golden)


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):  # it has gone meanwhile
        return []


def _state(path: str) -> tuple[str, int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return path, 0, 0
    return path, found.st_mtime_ns, found.st_size
