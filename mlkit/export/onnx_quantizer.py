"""ONNX models with weights and products of 8 bits, by ONNX Runtime's quantizer."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.export.onnx_writer import onnx

_MISSING = 'Weights of ONNX files are quantized by ONNX Runtime: pip install "mlkit-engine[onnx]"'
quantization = Deferred("onnxruntime.quantization", _MISSING)
shape_inference = Deferred("onnxruntime.quantization.shape_inference", _MISSING)


def smaller(path: str, calibration: Iterable[Sequence[np.ndarray]] | None) -> Any:
    """The model of a file with weights of 8 bits, one scale a channel; what it takes and gives stays as it is.

    Args:
        path: Of the file.
        calibration: Inputs from which the ranges between layers follow ("static"); None: each batch tells its own ("dynamic").
    """
    with tempfile.TemporaryDirectory() as work:
        prepared, out = os.path.join(work, "prepared.onnx"), os.path.join(work, "quantized.onnx")
        shape_inference.quant_pre_process(path, prepared, skip_symbolic_shape=True)
        if calibration is None:
            quantization.quantize_dynamic(prepared, out, per_channel=True, weight_type=quantization.QuantType.QInt8)
        else:
            names = [i.name for i in onnx.load_model(path, load_external_data=False).graph.input]
            batches = _Batches(names, calibration)
            quantization.quantize_static(prepared, out, batches, per_channel=True, extra_options={"ActivationSymmetric": False})
        return onnx.load_model(out)


class _Batches:
    """Calibration data as the quantizer reads them."""

    def __init__(self, names: Sequence[str], batches: Iterable[Sequence[np.ndarray]]):
        self._names, self._batches = names, iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        arrays = next(self._batches, None)
        return None if arrays is None else dict(zip(self._names, arrays))
