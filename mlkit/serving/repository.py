"""Folders that the servers of others take models from."""

import json
import os
import re
import secrets
import shutil
from typing import Any

from mlkit.core import dtypes
from mlkit.serving.contract import TensorSpec
from mlkit.serving.inference_v2 import DATATYPES
from mlkit.serving.keras_runner import KerasRunner

_KINDS = ("triton", "kserve")


def write_repository(
    model: Any,
    directory: str | os.PathLike[str],
    kind: str = "triton",
    *,
    name: str | None = None,
    max_batch_size: int = 32,
    storage_uri: str | None = None,
) -> str:
    """Write a model as NVIDIA's Triton reads it: ``NAME/config.pbtxt`` and ``NAME/1/model.onnx``, a file that ONNX Runtime has checked.

    Neither Triton nor KServe has been run with it; its structure is checked.

    Args:
        model: A model made from Input, of numbers.
        directory: The repository; made if it is not there. A model of this name must not be in it.
        kind: ``"triton"``, or ``"kserve"``, which adds ``NAME.yaml``, an InferenceService for KServe's runtime of Triton.
        name: The model's in the repository; its own unless given.
        max_batch_size: Rows that Triton may put together.
        storage_uri: For KServe, where the cluster finds the repository: ``"pvc://models/repository"``, ``"s3://…"``, ``"gs://…"``.

    Returns:
        The model's folder.

    Raises:
        ValueError: The kind is not known, the name cannot be one, or KServe is not told where the repository lies.
        FileExistsError: There is a model of this name.
        NotImplementedError: The model cannot be written as ONNX.
    """
    name = model.name if name is None else name
    if kind not in _KINDS:
        raise ValueError(f"write_repository: `kind` must be one of {', '.join(map(repr, _KINDS))}, but got {kind!r}.")
    if kind == "kserve" and not storage_uri:
        raise ValueError(
            "write_repository: KServe has to be told where the repository lies: storage_uri='pvc://claim/repository'."
        )
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?" if kind == "kserve" else r"\w[\w.-]*", name):
        raise ValueError(f"write_repository: {name!r} cannot be the name of a model there. Pass name=.")
    runner = KerasRunner(model)
    directory = os.fspath(directory)
    folder = os.path.join(directory, name)
    if os.path.exists(folder):
        raise FileExistsError(f"write_repository: there is {folder!r} already.")
    os.makedirs(directory, exist_ok=True)
    part = os.path.join(directory, f".{name}.{secrets.token_hex(4)}.part")
    os.makedirs(os.path.join(part, "1"))
    try:
        model.export(os.path.join(part, "1", "model.onnx"), verbose=False)
        _write(os.path.join(part, "config.pbtxt"), config_text(name, runner.inputs, runner.outputs, max_batch_size))
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    if kind == "kserve":
        _write(os.path.join(directory, f"{name}.yaml"), _inference_service(name, storage_uri))
    return folder


def config_text(name: str, inputs: list[TensorSpec], outputs: list[TensorSpec], max_batch_size: int) -> str:
    """A ModelConfig of Triton's as text. Rows are put together as they come, without waiting for more."""
    lines = [
        f"name: {json.dumps(name)}",
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {max_batch_size}",
    ]
    for field, specs in (("input", inputs), ("output", outputs)):
        for s in specs:
            sizes = ", ".join("-1" if n is None else str(n) for n in s.shape)
            lines += [
                f"{field} {{",
                f"  name: {json.dumps(s.name)}",
                f"  data_type: {_data_type(s)}",
                f"  dims: [ {sizes} ]",
                "}",
            ]
    return "\n".join([*lines, "dynamic_batching { max_queue_delay_microseconds: 0 }", ""])


def _data_type(spec: TensorSpec) -> str:
    return "TYPE_STRING" if spec.dtype == dtypes.STRING else f"TYPE_{DATATYPES[spec.dtype]}"


def _inference_service(name: str, storage_uri: str | None) -> str:
    return f"""\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
spec:
  predictor:
    model:
      modelFormat:
        name: triton
      protocolVersion: v2
      runtime: kserve-tritonserver
      storageUri: {json.dumps(storage_uri)}
"""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
