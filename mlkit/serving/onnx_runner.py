"""ONNX files as a server runs them, by ONNX Runtime."""

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.machine import usable_cores
from mlkit.core.state import state
from mlkit.serving.contract import TensorSpec

runtime = Deferred("onnxruntime", 'Files of ONNX are run by ONNX Runtime: pip install "mlkit-engine[onnx]"')
_DTYPES = {"float": "float32", "double": "float64"}
_SERVED = "bool float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 string".split()


class OnnxRunner:
    """See `contract.Runner`. A file may be made for one number of rows."""

    platform = "onnxruntime_onnx"

    def __init__(self, path: str, golden: str | None = None):
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = state.backend.num_threads() or usable_cores()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores are the event loop's too
        self._session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [_spec(t, path) for t in self._session.get_inputs()]
        self.outputs = [_spec(t, path) for t in self._session.get_outputs()]
        first = {t.shape[0] for t in self._session.get_inputs() if t.shape and isinstance(t.shape[0], int)}
        if len(first) > 1:
            raise ValueError(f"{path}: its inputs are made for different numbers of rows, {sorted(first)}.")
        self.rows = first.pop() if first else None
        kept = self._session.get_modelmeta().custom_metadata_map
        self.golden = golden or kept.get("golden")
        self.class_names = json.loads(kept["mlkit"]).get("class_names") if "mlkit" in kept else None
        beside = path + ".data"
        self.nbytes = sum(os.path.getsize(p) for p in (path, beside) if os.path.exists(p))  # the runtime does not tell the rest

    def prepare(self, rows: int) -> None:
        """Nothing: the runtime makes its plan when it runs."""

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        strings = lambda s, a: a.astype(object) if s.dtype == "string" else a
        return self._session.run(None, {s.name: strings(s, a) for s, a in zip(self.inputs, arrays)})


def _spec(tensor: Any, path: str) -> TensorSpec:
    kind = tensor.type.removeprefix("tensor(").removesuffix(")")
    dtype = _DTYPES.get(kind, kind)
    if dtype not in _SERVED or not tensor.shape:
        raise ValueError(f"{path}: {tensor.name!r} is a {tensor.type} of shape {tensor.shape}; served are tensors with rows.")
    return TensorSpec(tensor.name, dtype, tuple(n if isinstance(n, int) else None for n in tensor.shape[1:]))
