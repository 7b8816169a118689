"""Elements in a file: a line of JSON for each, its form and the kinds of its arrays, and their bytes. Nothing in it is executed."""

import json
import os
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.data.pipeline.elements import STRING, dtype_name, is_node

_MAGIC = b"mlkit dataset cache 1\n"


def exists(path: str) -> bool:
    """Whether there is a finished file."""
    return os.path.exists(path)


class Writer:
    """Writes elements into a file beside `path`, which takes its place when the last is written."""

    def __init__(self, path: str):
        self.path, self.part = path, f"{path}.{os.getpid()}-{id(self):x}.part"
        self.file: Any = None
        self.places: list[int] = []
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)

    def add(self, element: Any) -> None:
        """Write one element."""
        if self.file is None:
            self.file = open(self.part, "wb")  # noqa: SIM115  (`finish` and `close` end it)
            self.file.write(_MAGIC)
        blobs: list[bytes] = []
        form = json.dumps(_form(element, blobs))
        self.places.append(self.file.tell())
        self.file.write(form.encode() + b"\n")
        self.file.writelines(blobs)

    def finish(self) -> "Reader":
        """All are written: the file as a sequence of them."""
        if self.file is None:
            self.file = open(self.part, "wb")  # noqa: SIM115  (`finish` and `close` end it)
            self.file.write(_MAGIC)
        end = self.file.tell()
        self.file.write(json.dumps(self.places).encode() + b"\n" + b"%020d" % end)
        self.file.close()
        os.replace(self.part, self.path)
        return Reader(self.path)

    def close(self) -> None:
        """Remove what is not finished."""
        if self.file is not None and not self.file.closed:
            self.file.close()
            os.remove(self.part)

    __del__ = close


def _form(x: Any, blobs: list[bytes]) -> Any:
    if x is None:
        return None
    if is_node(x) or hasattr(x, "_fields"):
        raise ValueError(f"cache: {type(x).__name__} cannot be kept in a file. Use tuples and dicts, or cache in memory.")
    if isinstance(x, tuple):
        return {"tuple": [_form(e, blobs) for e in x]}
    if isinstance(x, dict):
        if not all(isinstance(k, str) for k in x):
            raise ValueError("cache: the keys of dicts that are kept in a file must be strings.")
        return {"dict": [[k, _form(v, blobs)] for k, v in x.items()]}
    name = dtype_name(x.dtype)
    parts = x.reshape(-1).tolist() if name == STRING else [np.ascontiguousarray(x).tobytes()]
    blobs += parts
    return {"dtype": name, "shape": x.shape, "bytes": list(map(len, parts))}


class Reader:
    """The elements of a finished file, each read when it is asked for."""

    def __init__(self, path: str):
        self.path = path
        with open(path, "rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError(f"cache: {path!r} is no file of a dataset's elements. Remove it, or choose another name.")
            try:
                file.seek(-20, os.SEEK_END)
                file.seek(int(file.read(20)))
                self.places = json.loads(file.readline())
            except (OSError, ValueError):
                raise ValueError(f"cache: {path!r} is damaged. Remove it; it will be made anew.") from None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: int) -> Any:
        with open(self.path, "rb") as file:
            file.seek(self.places[i])
            return _read(json.loads(file.readline()), file)


def _read(form: Any, file: Any) -> Any:
    if form is None:
        return None
    if "tuple" in form:
        return tuple(_read(e, file) for e in form["tuple"])
    if "dict" in form:
        return {k: _read(v, file) for k, v in form["dict"]}
    parts = [file.read(n) for n in form["bytes"]]
    if form["dtype"] != STRING:
        return np.frombuffer(parts[0], dtypes.as_numpy(form["dtype"])).reshape(form["shape"]).copy()
    out = np.empty(len(parts), object)
    out[:] = parts
    return out.reshape(form["shape"])
