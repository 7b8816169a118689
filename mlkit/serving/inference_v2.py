"""The Open Inference Protocol, version 2, with its extensions for binary tensors and classification: from bodies to arrays and back.

https://github.com/kserve/open-inference-protocol and Triton's protocol/extension_binary_data.md
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.serving import tensors
from mlkit.serving.contract import TensorSpec, bad, in_order, names
from mlkit.serving.json_body import known_keys, written

JSON_LENGTH = b"inference-header-content-length"
EXTENSIONS = ["binary_tensor_data", "classification", "model_repository"]
DATATYPES = {
    "bool": "BOOL",
    **{f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("u", "") for bits in (8, 16, 32, 64)},
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    "string": "BYTES",
}


class Request:
    """What a body asks for: its JSON, and the bytes of tensors behind it.

    arrays: in the order of the model's inputs. timeout: seconds that the client waits, or None. wanted: of each output asked for its
    place, whether its elements go as bytes, and how many classes are asked for (0: the numbers themselves).
    """

    def __init__(self, given: dict[str, Any], tail: memoryview, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]):
        known_keys(given, "id inputs outputs parameters")
        self.id = given.get("id")
        if self.id is not None and type(self.id) is not str:
            raise bad(f"'id' must be a string, got {repr(self.id)[:40]}.")
        parameters = _parameters(given, "the body")
        self.timeout = _timeout(parameters)
        self.arrays = _inputs(given, tail, inputs)
        self.wanted = _outputs(given, outputs, parameters.get("binary_data_output") is True)

    def answer(
        self,
        name: str,
        version: int,
        arrays: Sequence[np.ndarray],
        outputs: Sequence[TensorSpec],
        class_names: Sequence[str] | None,
    ) -> tuple[bytes, int | None]:
        """(the body for what the model gave, the length of its JSON where bytes follow it)."""
        described: list[dict[str, Any]] = []
        tail: list[bytes] = []
        for i, binary, classes in self.wanted:
            array, datatype = arrays[i], DATATYPES[dtypes.name_of(arrays[i].dtype)]
            if classes:
                array, datatype = _best(array, classes, class_names), "BYTES"
            one: dict[str, Any] = {"name": outputs[i].name, "shape": list(array.shape), "datatype": datatype}
            if binary:
                raw = tensors.packed_strings(array.ravel().tolist()) if classes else tensors.to_bytes(array)
                one["parameters"] = {"binary_data_size": len(raw)}
                tail.append(raw)
            else:
                one["data"] = tensors.to_json(array.ravel()) if not classes else array.ravel().tolist()
            described.append(one)
        answer = {"model_name": name, "model_version": str(version), "outputs": described}
        head = written(answer if self.id is None else {"id": self.id, **answer})
        return b"".join([head, *tail]), len(head) if tail else None


def metadata(
    name: str, versions: Sequence[int], platform: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> bytes:
    described = lambda specs: [
        {"name": s.name, "datatype": DATATYPES[s.dtype], "shape": [-1, *(-1 if n is None else n for n in s.shape)]}
        for s in specs
    ]
    return written(
        {
            "name": name,
            "versions": [str(v) for v in versions],
            "platform": platform,
            "inputs": described(inputs),
            "outputs": described(outputs),
        }
    )


def split(body: Any, json_length: bytes | None) -> tuple[Any, memoryview]:
    """(the JSON of a body, the bytes of tensors behind it). json_length: the header that tells where they begin."""
    view = memoryview(body)
    if json_length is None:
        return body, view[:0]
    if not json_length.isdigit() or int(json_length) > len(view):
        raise bad(f"Inference-Header-Content-Length is {json_length.decode('latin-1')[:40]!r}, the body has {len(view)} bytes.")
    return view[: int(json_length)], view[int(json_length) :]


def _parameters(given: dict[str, Any], where: str) -> dict[str, Any]:
    found = given.get("parameters") or {}
    if type(found) is not dict:
        raise bad(f"'parameters' of {where} must be an object.")
    return found


def _timeout(parameters: dict[str, Any]) -> float | None:
    found = parameters.get("timeout")
    if found is None or found == 0:
        return None
    if type(found) is not int or found < 0:
        raise bad(f"parameter 'timeout' must be a whole number of microseconds, got {repr(found)[:40]}.")
    return found / 1e6


def _by_name(given: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    listed = given.get(key)
    if type(listed) is not list or not all(type(one) is dict and type(one.get("name")) is str for one in listed):
        raise bad(f"{key!r} must be a list of objects with a 'name' each.")
    found = {one["name"]: one for one in listed}
    if len(found) < len(listed):
        raise bad(f"{key!r} names a tensor twice.")
    return found


def _inputs(given: dict[str, Any], tail: memoryview, inputs: Sequence[TensorSpec]) -> list[np.ndarray]:
    found, at = {}, 0
    by_name, specs = _by_name(given, "inputs"), {s.name: s for s in inputs}
    in_order(by_name, inputs)
    for name, one in by_name.items():  # in the request's order, in which their bytes follow one another
        size = _parameters(one, f"input {name!r}").get("binary_data_size")
        if size is not None and (type(size) is not int or not 0 <= size <= len(tail) - at):
            raise bad(
                f"input {name!r}: binary_data_size is {repr(size)[:40]}, and {len(tail) - at} bytes are left in the body."
            )
        found[name] = _tensor(one, None if size is None else tail[at : at + size], specs[name])
        at += size or 0
    if at != len(tail):
        raise bad(f"the body has {len(tail)} bytes of tensors, and binary_data_size accounts for {at}.")
    return [found[s.name] for s in inputs]


def _tensor(one: dict[str, Any], raw: memoryview | None, spec: TensorSpec) -> np.ndarray:
    shape, datatype = one.get("shape"), one.get("datatype")
    if type(shape) is not list or not shape or not all(type(n) is int and n > 0 for n in shape):
        raise bad(f"input {spec.name!r}: 'shape' must be a list of sizes like {spec}, got {repr(shape)[:40]}.")
    if datatype != DATATYPES[spec.dtype]:
        raise bad(f"input {spec.name!r}: expected datatype {DATATYPES[spec.dtype]}, got {repr(datatype)[:40]}.")
    known_keys(one, "name shape datatype parameters data", f"input {spec.name!r}")
    if ("data" in one) == (raw is not None):
        raise bad(f"input {spec.name!r} needs either 'data' or the parameter 'binary_data_size'.")
    return tensors.from_json(one["data"], spec, shape) if raw is None else tensors.from_bytes(raw, spec, shape)


def _outputs(given: dict[str, Any], outputs: Sequence[TensorSpec], binary: bool) -> list[tuple[int, bool, int]]:
    if not given.get("outputs"):
        return [(i, binary, 0) for i in range(len(outputs))]
    places = {s.name: i for i, s in enumerate(outputs)}
    found = []
    for name, one in _by_name(given, "outputs").items():
        if name not in places:
            raise bad(f"there is no output {name!r}; the model gives {names(outputs)}.")
        parameters = _parameters(one, f"output {name!r}")
        classes, as_bytes = parameters.get("classification", 0), parameters.get("binary_data", binary)
        if type(classes) is not int or classes < 0:
            raise bad(f"output {name!r}: 'classification' must be a number of classes, got {repr(classes)[:40]}.")
        if classes and len(outputs[places[name]].shape) != 1:
            raise bad(
                f"output {name!r}: 'classification' needs a score for each class, and its shape is {outputs[places[name]]}."
            )
        found.append((places[name], as_bytes is True, classes))
    return found


def _best(scores: np.ndarray, count: int, class_names: Sequence[str] | None) -> np.ndarray:
    """The classes with the highest scores, as Triton writes them: score:number:name."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    named = class_names if class_names and len(class_names) == scores.shape[1] else None
    rows = [
        [f"{float(scores[i, k]):f}:{k}" + (f":{named[k]}" if named else "") for k in map(int, places)]
        for i, places in enumerate(order)
    ]
    return np.array(rows, dtype=object)
