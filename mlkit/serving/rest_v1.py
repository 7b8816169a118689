"""The REST protocol of TensorFlow Serving, version 1: from bodies to arrays and back.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.serving import tensors
from mlkit.serving.contract import RequestError, TensorSpec, bad, in_order
from mlkit.serving.json_body import known_keys, written

SIGNATURE = "serving_default"
VERBS = ("predict", "classify", "regress")
_TYPES = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF", "bool": "DT_BOOL", "string": "DT_STRING"}


class Request:
    """What a body asks for: arrays in the order of the model's inputs. columns: whether they came, and the answer goes, by column."""

    timeout = None  # the protocol has none

    def __init__(self, verb: str, given: dict[str, Any], inputs: Sequence[TensorSpec]):
        self.verb, self.columns = verb, False
        if given.get("signature_name") not in (None, SIGNATURE):
            raise bad(f"there is no signature {given['signature_name']!r}; the model has {SIGNATURE!r}.")
        if verb == "predict":
            known_keys(given, "signature_name instances inputs")
            if ("instances" in given) == ("inputs" in given):
                raise bad("the body needs either 'instances' (rows) or 'inputs' (columns).")
            self.columns = "inputs" in given
            values = _of_columns(given["inputs"], inputs) if self.columns else _of_rows(given["instances"], inputs, "instances")
        else:
            known_keys(given, "signature_name examples context")
            values = _of_rows(_with_context(given), inputs, "examples")
        self.arrays = [tensors.from_json(v, s) for v, s in zip(values, inputs)]

    def answer(self, arrays: Sequence[np.ndarray], outputs: Sequence[TensorSpec], class_names: Sequence[str] | None) -> bytes:
        """The body for what the model gave."""
        if self.verb == "classify":
            return written({"results": _classes(arrays[0], class_names)})
        if self.verb == "regress":
            return written({"results": tensors.to_json(arrays[0].reshape(-1))})
        lists = [tensors.to_json(a) for a in arrays]
        if self.columns:
            return written({"outputs": lists[0] if len(lists) == 1 else {s.name: v for s, v in zip(outputs, lists)}})
        if len(lists) > 1:
            lists = [[dict(zip([s.name for s in outputs], row)) for row in zip(*lists)]]
        return written({"predictions": lists[0]})


def require_verb(verb: str, outputs: Sequence[TensorSpec]) -> None:
    """Refuse a verb that the model's outputs do not fit."""
    if verb not in VERBS:
        raise RequestError(404, f"there is no verb {verb!r}; there are {', '.join(VERBS)}.")
    if verb == "predict":
        return
    shapes = [s.shape for s in outputs]
    classifies = len(shapes) == 1 and len(shapes[0]) == 1 and shapes[0][0] not in (None, 1)
    regresses = shapes in ([()], [(1,)])
    if not (classifies if verb == "classify" else regresses):
        wanted = "one output with a score for each class" if verb == "classify" else "one output with one number a row"
        raise bad(
            f"{verb} needs {wanted}; the model gives {', '.join(f'{s.name!r} of shape {s}' for s in outputs)}: use predict."
        )


def metadata(name: str, version: int, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> bytes:
    signature = {
        "inputs": {s.name: _tensor_info(s) for s in inputs},
        "outputs": {s.name: _tensor_info(s) for s in outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return written(
        {
            "model_spec": {"name": name, "signature_name": "", "version": str(version)},
            "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
        }
    )


def status(versions: Sequence[tuple[int, str, str]]) -> bytes:
    """versions: (number, state, message) each; a message that is not empty is an error's."""
    return written(
        {
            "model_version_status": [
                {
                    "version": str(number),
                    "state": state,
                    "status": {"error_code": "INVALID_ARGUMENT" if message else "OK", "error_message": message},
                }
                for number, state, message in versions
            ]
        }
    )


def _of_columns(given: Any, inputs: Sequence[TensorSpec]) -> list[Any]:
    if _is_named(given):
        return in_order(given, inputs)
    if len(inputs) > 1:
        raise bad(f"'inputs' must be an object of {len(inputs)} columns by name: {', '.join(repr(s.name) for s in inputs)}.")
    return [given]


def _of_rows(rows: Any, inputs: Sequence[TensorSpec], key: str) -> list[Any]:
    if type(rows) is not list or not rows:
        raise bad(f"{key!r} must be a list of at least one row.")
    if not _is_named(rows[0]):
        if len(inputs) > 1:
            raise bad(f"each of {key!r} must be an object by name: {', '.join(repr(s.name) for s in inputs)}.")
        return [rows]
    for i, row in enumerate(rows):
        if type(row) is not dict:
            raise bad(f"{key}[{i}]: expected an object like those before it.")
        try:
            in_order(row, inputs)
        except RequestError as error:
            raise bad(f"{key}[{i}]: {error.message}") from None
    return [[row[s.name] for row in rows] for s in inputs]


def _is_named(value: Any) -> bool:
    return type(value) is dict and value.keys() != {"b64"}


def _with_context(given: dict[str, Any]) -> Any:
    """The examples, each with what is common to all."""
    examples, context = given.get("examples"), given.get("context") or {}
    if type(context) is not dict:
        raise bad("'context' must be an object of features by name.")
    if type(examples) is not list or not all(type(e) is dict for e in examples):
        raise bad("'examples' must be a list of objects of features by name.")
    for i, example in enumerate(examples):
        if shared := context.keys() & example.keys():
            raise bad(f"examples[{i}]: {sorted(shared)[0]!r} is in 'context' too.")
    return [{**context, **example} for example in examples]


def _classes(scores: np.ndarray, class_names: Sequence[str] | None) -> list[Any]:
    labels = (
        list(class_names) if class_names and len(class_names) == scores.shape[1] else [str(i) for i in range(scores.shape[1])]
    )
    return [[[label, score] for label, score in zip(labels, row)] for row in tensors.to_json(scores)]


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    sizes = [None, *spec.shape]
    return {
        "dtype": _TYPES.get(spec.dtype) or f"DT_{spec.dtype.upper()}",
        "tensor_shape": {"dim": [{"size": str(-1 if n is None else n), "name": ""} for n in sizes], "unknown_rank": False},
        "name": f"{SIGNATURE}_{spec.name}:0",
    }
