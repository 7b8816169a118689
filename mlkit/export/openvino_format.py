"""OpenVINO's files (.xml with a .bin beside it) of models, made from ONNX files and run by OpenVINO before they appear."""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlkit.core.deferred import Deferred
from mlkit.core.spec import Spec
from mlkit.export import golden, onnx_format
from mlkit.export.files import answers
from mlkit.export.precision import ALLOWED, checked
from mlkit.utils.atomic import arriving

_openvino = Deferred("openvino", 'OpenVINO\'s files are written by OpenVINO: pip install "mlkit-engine[openvino]"')
EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
}  # else it computes in bfloat16 where there is that


def write(
    fn: Callable[..., Any],
    specs: Sequence[Spec],
    names: Sequence[str],
    outputs: Callable[[int], Sequence[str]],
    path: str,
    *,
    opset_version: int = onnx_format.OPSET,
    dtype: str | None = None,
    check: bool = True,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Write a function of tensors as a file of OpenVINO's; arguments and results as of `onnx_format.write`. The ONNX file it is made
    from has been compared before."""
    kind = checked(dtype, None, None)
    with tempfile.TemporaryDirectory() as work:
        middle = os.path.join(work, "model.onnx")
        facts = onnx_format.write(fn, specs, names, outputs, middle, opset_version=opset_version, check=check)
        model = _openvino.Core().read_model(middle)
        inputs, results = golden.sample(specs), [port.get_any_name() for port in model.outputs]
        wanted, found = answers(fn, inputs), None
        kept = {**(metadata or {}), "golden": golden.packed(specs, wanted, (names, results), tolerance=ALLOWED[kind])}
        for name, text in kept.items():
            model.set_rt_info(text, ["mlkit", name])
        with arriving(path) as part:
            _openvino.save_model(model, part, compress_to_fp16=kind == "float16")
            if check:
                found = golden.require(run(part, inputs, names, results), wanted, "OpenVINO", tolerance=ALLOWED[kind])
    size = sum(os.path.getsize(p) for p in (path, f"{os.path.splitext(path)[0]}.bin"))
    return {**facts, "bytes": size, "difference": found, "run": lambda arrays: run(path, arrays, names, results)}


def run(path: str, inputs: Sequence[np.ndarray], names: Sequence[str], outputs: Sequence[str]) -> list[np.ndarray]:
    """What a file answers, by OpenVINO on this machine's processor, in float32."""
    found = _openvino.Core().compile_model(path, "CPU", EXACT)(dict(zip(names, inputs)))
    return [np.array(found[name]) for name in outputs]


def verify(path: str) -> float:
    """Run a file on its golden sample: the difference as a multiple of what is allowed.

    Raises:
        ValueError: It has no sample.
    """
    model = _openvino.Core().read_model(path)
    if not model.has_rt_info(["mlkit", "golden"]):
        raise ValueError(f"{path} has no golden sample: it was not written by mlkit.")
    text = model.get_rt_info(["mlkit", "golden"]).astype(str)
    return golden.against(text, lambda *given: run(path, *given))
