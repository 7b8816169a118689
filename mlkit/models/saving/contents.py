"""What a model file holds, of whatever format: looked at, compared, without making a model of it."""

import contextlib
import json
import math
import os
from typing import Any

import numpy as np

from mlkit.models.saving.config_check import check_depth, parse_json
from mlkit.models.saving.hdf5_reader import StoredTensor, TensorFile
from mlkit.models.saving.keras_file import CONFIG, METADATA, open_archive, open_weights, opened
from mlkit.models.saving.safetensors_file import read_safetensors
from mlkit.objects.errors import ModelFileError, reading

_SHOWN = 20  # differences of a kind that are listed


class Contents:
    """path, kind: of the file, in words. metadata, config: dicts, None where the file has none. tensors: name -> StoredTensor."""

    def __init__(self, path: str, kind: str, tensors: dict[str, StoredTensor], metadata=None, config=None, names=None):
        self.path, self.kind, self.tensors, self.metadata, self.config = path, kind, tensors, metadata, config
        self.names = names or {}  # group -> the name its layer had

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(t.nbytes for t in self.tensors.values())


@contextlib.contextmanager
def contents(filepath):
    """A block in which the Contents of a file can be read: ".keras", ".weights.h5", ".h5", ".hdf5" or ".safetensors".

    Raises ModelFileError for a file that is damaged or of another kind.
    """
    path = os.fspath(filepath)
    if not path.endswith((".keras", ".h5", ".hdf5", ".safetensors")):
        raise ModelFileError(path, "", "File format not supported: expected '.keras', '.weights.h5', '.h5' or '.safetensors'.")
    with opened(path) as (file, _), reading(path):
        if path.endswith(".safetensors"):
            yield Contents(path, "weights (safetensors)", read_safetensors(file, path))
        elif path.endswith(".keras"):
            archive = open_archive(file, path)
            metadata, config = (_parsed(archive.read(name), path, name) for name in (METADATA, CONFIG))
            yield _of_hdf5(open_weights(archive, path), "model (.keras)", metadata, config)
        else:
            tensors = TensorFile(file, path)
            text = tensors.attribute("", "model_config")
            config = _parsed(text.encode(), path, "model_config") if isinstance(text, str) else None
            version = tensors.attribute("", "keras_version") or tensors.attribute("", "version")
            metadata = {"keras_version": version} if isinstance(version, str) else None
            yield _of_hdf5(tensors, "model (older .h5)" if config else "weights (HDF5)", metadata, config)


def _parsed(data, path, member):
    found = parse_json(data, path, member)
    check_depth(found, path, member)
    return found


def _of_hdf5(tensors, kind, metadata, config):
    names = {group: tensors.attribute(group, "name") for group in tensors.groups}
    named = {group: name for group, name in names.items() if isinstance(name, str)}
    return Contents(tensors.path, kind, tensors.tensors, metadata, config, named)


# ---- in words ------------------------------------------------------------------------------------------------------------


def facts(filepath) -> dict[str, Any]:
    """What a file holds, as JSON can say it: its kind and version, the model and its layers, tensors with shapes and dtypes."""
    with contents(filepath) as found:
        tensors = [
            {"name": name, "dtype": str(t.dtype), "shape": list(t.shape), "layer": found.names.get(name.rpartition("/")[0])}
            for name, t in sorted(found.tensors.items())
        ]
        return {
            "file": found.path,
            "kind": found.kind,
            "metadata": found.metadata or {},
            "model": None if found.config is None else _layer(found.config),
            "tensors": tensors,
            "numbers": sum(math.prod(t["shape"]) for t in tensors),
            "bytes": found.nbytes,
        }


def _layer(entry):
    """What a config says of a layer and of those within it."""
    config = entry.get("config")
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else None)
    layers = config.get("layers") if isinstance(config, dict) else config
    within = [_layer(one) for one in layers if isinstance(one, dict)] if isinstance(layers, list) else []
    return {"class_name": entry.get("class_name"), "name": name, **({"layers": within} if within else {})}


def described(filepath) -> str:
    """`facts` as text."""
    found = facts(filepath)
    lines = [f"{found['file']}: {found['kind']}", *(f"  {key}: {value}" for key, value in sorted(found["metadata"].items()))]
    if found["model"] is not None:
        lines += ["", *_layer_lines(found["model"])]
    lines.append("")
    width = max([len(t["name"]) for t in found["tensors"]] or [0])
    for t in found["tensors"]:
        layer = f"({t['layer']})" if t["layer"] else ""
        lines.append(f"{t['name']:<{width}}  {t['dtype']:<9}{tuple(t['shape'])!s:<20}{layer}".rstrip())
    lines.append(f"{len(found['tensors']):,} tensors, {found['numbers']:,} numbers, {found['bytes']:,} bytes")
    return "\n".join(lines)


def _layer_lines(layer, indent=""):
    """A line a layer, those of models within further in."""
    yield f"{indent}{layer['class_name']} {layer['name']!r}"
    for one in layer.get("layers", ()):
        yield from _layer_lines(one, indent + "  ")


def differences(filepath, other) -> list[str]:
    """Where two files differ, a line each: configs, tensors that only one has, shapes, dtypes, values. [] if they hold the same."""
    with contents(filepath) as a, contents(other) as b:
        lines = list(_shortened(_of_configs(a.config, b.config, "config")))
        for one, two in ((a, b), (b, a)):
            lines += _shortened(f"{name}: only in {one.path}" for name in sorted(one.tensors.keys() - two.tensors.keys()))
        shared = sorted(a.tensors.keys() & b.tensors.keys())
        return lines + list(_shortened(filter(None, (_of_tensors(a.tensors[n], b.tensors[n]) for n in shared))))


def _shortened(lines):
    lines = list(lines)
    return lines[:_SHOWN] + ([f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])


def _of_configs(a: Any, b: Any, place):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from _of_configs(a.get(key, "(nothing)"), b.get(key, "(nothing)"), f"{place}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (one, two) in enumerate(zip(a, b)):
            yield from _of_configs(one, two, f"{place}[{i}]")
    elif a != b:
        yield f"{place}: {json.dumps(a):.60} and {json.dumps(b):.60}"


def _of_tensors(a, b):
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return f"{a.name}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
    x, y = a.read(allow_nonfinite=True), b.read(allow_nonfinite=True)
    if x.tobytes() == y.tobytes():
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(np.asarray(x, "float64") - np.asarray(y, "float64"))
    return f"{a.name}: values differ by up to {far.max():.3g}, {far.mean():.3g} on average"
