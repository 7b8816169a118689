"""Write the names, kinds and signatures of an installed CuPy to cupy_names.json, by which `fake_cupy` refuses what CuPy does not have.

python tests/cuda/record_cupy.py        in an environment with wheels of CuPy and NCCL; no GPU is needed
"""

import inspect
import json
import pathlib
import re
import types

PLACE = pathlib.Path(__file__).with_name("cupy_names.json")
CLASSES = ("Device", "Event", "Graph", "MemoryPointer", "MemoryPool", "Stream")  # of cupy.cuda
MODULES = (
    "cupy",
    "cupy.cuda",
    "cupy.cuda.runtime",
    "cupy._core._routines_linalg",
    "cupy.lib",
    "cupy.lib.stride_tricks",
    "cupy.linalg",
    "cupy.fft",
    "cupy.random",
)


def signature(function):
    """Parameters as `["a", "axis=", "*", "out="]`; None where CuPy does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return _of_docstring(function)
    found, keywords = [], False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not keywords:
            found.append("*")
        keywords = keywords or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        found.append(mark + p.name + ("=" if p.default is not p.empty else ""))
    return found


def _of_docstring(function):
    """Methods written in Cython tell their parameters in the first line of their docstrings."""
    head = re.match(r"\w+\.?\w*\(self(?:, )?(.*?)\)(?: ->.*)?$", (function.__doc__ or "").split("\n")[0])
    if not head:
        return None
    parts = [p.strip() for p in head.group(1).split(",") if p.strip() not in ("", "self")]
    return [re.sub(r"^(?:\w+ )?(\**\w*)(=)?.*$", r"\1\2", p) for p in parts]


def kind_of(value, cupy):
    if isinstance(value, cupy.ufunc):
        return "ufunc"
    if isinstance(value, types.ModuleType):
        return "module"
    if isinstance(value, type):
        return "type"
    return signature(value) if callable(value) else "value"


def record():
    import importlib

    import cupy

    names = {}
    for path in MODULES:
        module = importlib.import_module(path)
        names[path] = {n: kind_of(getattr(module, n), cupy) for n in sorted(dir(module)) if not n.startswith("_")}
    for name in CLASSES:
        names[f"cupy.cuda.{name}"] = {n: "value" for n in dir(getattr(cupy.cuda, name)) if not n.startswith("_")}
    nccl = importlib.import_module("cupy.cuda.nccl")
    names["cupy.cuda.nccl"] = {n: kind_of(getattr(nccl, n), cupy) for n in dir(nccl) if n.startswith(("NCCL_", "get_", "av"))}
    calls = {n: getattr(nccl.NcclCommunicator, n) for n in dir(nccl.NcclCommunicator) if not n.startswith("_")}
    names["cupy.cuda.nccl.NcclCommunicator"] = {n: signature(call) for n, call in calls.items()}
    methods = {n: getattr(cupy.ndarray, n) for n in sorted(dir(cupy.ndarray)) if not n.startswith("_")}
    names["cupy.ndarray"] = {n: signature(m) if callable(m) else "value" for n, m in methods.items()}
    text = json.dumps({"version": cupy.__version__, **names}, sort_keys=True)
    PLACE.write_text(re.sub(r"(\{|, )(?=\"\w+\": )", r"\1\n", text) + "\n")  # a name a line


if __name__ == "__main__":
    record()
